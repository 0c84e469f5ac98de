from __future__ import annotations

import random
from collections import Counter
from itertools import islice, takewhile

import pytest

from mldeploy_jupyter.latency.arrivals import plan_arrivals, plan_blocks, plan_more_blocks
from mldeploy_jupyter.latency.plan import LatencyPlan, PlannedService

THREE = tuple(PlannedService(name, f"http://127.0.0.1/{name}") for name in "abc")


def test_every_round_has_each_service_once_and_orders_differ() -> None:
    blocks = plan_blocks(LatencyPlan(THREE, duration=40.0), random.Random(1))
    rounds = [tuple(block.service for block in blocks[at : at + 3]) for at in range(0, len(blocks), 3)]
    assert len(rounds) == 40 and all(sorted(each) == [0, 1, 2] for each in rounds)
    assert len(Counter(rounds)) == 6  # all orders happen
    assert [block.number for block in blocks] == list(range(120))


def test_a_seed_makes_the_same_order_again() -> None:
    plan = LatencyPlan(THREE, duration=9.0)
    assert plan_blocks(plan, random.Random(5)) == plan_blocks(plan, random.Random(5))


@pytest.mark.parametrize(
    ("duration", "block", "lengths"), [(2.5, 1.0, [1.0, 1.0, 0.5]), (0.3, 1.0, [0.3]), (0.3, 0.1, [0.1, 0.1, 0.1])]
)
def test_blocks_fill_the_duration(duration: float, block: float, lengths: list[float]) -> None:
    blocks = plan_blocks(LatencyPlan(THREE[:1], duration=duration, block=block), random.Random(0))
    assert [each.seconds for each in blocks] == pytest.approx(lengths)
    assert [each.begin for each in blocks] == pytest.approx([at * block for at in range(len(lengths))])


def test_more_blocks_are_whole_rounds_after_the_others() -> None:
    blocks = plan_blocks(LatencyPlan(THREE, duration=4.0), random.Random(1))
    more = plan_more_blocks(blocks, 6, 4.0, random.Random(2))
    assert [block.number for block in more] == list(range(12, 18))
    assert [sorted(block.service for block in more[at : at + 3]) for at in (0, 3)] == [[0, 1, 2]] * 2
    assert [(block.begin, block.seconds) for block in more] == [(4.0, 1.0)] * 3 + [(5.0, 1.0)] * 3


def test_in_a_ramp_a_turn_is_a_whole_step_and_steps_go_up() -> None:
    blocks = plan_blocks(LatencyPlan(THREE, ramp=(1.0, 2.0), duration=5.0), random.Random(0))
    assert [block.step for block in blocks] == [0, 0, 0, 1, 1, 1]
    assert {block.seconds for block in blocks} == {5.0}


def test_constant_arrivals_do_not_drift() -> None:
    times = list(islice(plan_arrivals(3.0, "constant", random.Random(0)), 3001))
    assert times[0] == 0.0 and times[3000] == 1000.0


def test_poisson_arrivals_have_the_rate_and_the_spread_of_one() -> None:
    counts = Counter(
        int(at) for at in takewhile(lambda at: at < 2000, plan_arrivals(10.0, "poisson", random.Random(0)))
    )
    each = [counts[second] for second in range(2000)]
    mean = sum(each) / len(each)
    variance = sum((count - mean) ** 2 for count in each) / len(each)
    assert mean == pytest.approx(10, rel=0.03) and variance == pytest.approx(10, rel=0.1)
