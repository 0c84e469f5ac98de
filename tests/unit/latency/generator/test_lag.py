from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from mldeploy_jupyter.latency.generator.lag import PROBE_SECONDS, Histogram, Watch, find_late_blocks, stolen_seconds


def test_quantiles_are_right_to_two_percent() -> None:
    draw = random.Random(0)
    values = sorted(draw.lognormvariate(-5, 1.5) for _ in range(5000))
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    for q in (0.01, 0.5, 0.9, 0.99, 0.999):
        assert histogram.quantile(q) == pytest.approx(values[int(q * 5000) - 1], rel=0.02)
    assert histogram.quantile(1.0) == values[-1] == histogram.greatest


def test_an_empty_histogram_and_odd_values() -> None:
    histogram = Histogram()
    assert histogram.quantile(0.5) == 0.0
    for value in (0.0, -1.0, 1e9):
        histogram.add(value)
    assert histogram.count == 3 and histogram.quantile(1.0) == 1e9


def in_block(moment: float) -> int:
    """Blocks of a second from second 100 on."""
    return int(moment - 100)


class Clocks:
    def __init__(self) -> None:
        self.awake, self.total = 100.0, 200.0
        self.watch = Watch(lambda: self.awake, lambda: self.total)

    def run(self, seconds: float, slept: float = 0.0) -> None:
        self.awake += seconds
        self.total += seconds + slept


def test_a_loop_that_is_late_is_counted_for_every_look_that_it_missed() -> None:
    clocks = Clocks()
    for _ in range(100):
        clocks.run(PROBE_SECONDS + 1e-5)
        assert clocks.watch.look(in_block) is None
    assert clocks.watch.lag.greatest < 0.002
    before = clocks.watch.lag.count
    clocks.run(0.5)
    assert clocks.watch.look(in_block) is None
    assert clocks.watch.lag.count - before == pytest.approx(100, abs=1)
    assert clocks.watch.lag.quantile(0.75) == pytest.approx(0.25, rel=0.1)
    assert clocks.watch.next_look > clocks.awake


def test_what_is_not_measured_is_not_late() -> None:
    clocks = Clocks()
    clocks.run(0.5)
    assert clocks.watch.look(None) is None
    assert clocks.watch.lag.count == 0


def test_a_machine_that_sleeps_is_noticed_by_the_clock_that_goes_on() -> None:
    clocks = Clocks()
    clocks.run(PROBE_SECONDS, slept=3600.0)
    assert clocks.watch.look(in_block) == (pytest.approx(3600.0), True)
    clocks.run(PROBE_SECONDS)
    assert clocks.watch.look(in_block) is None
    assert clocks.watch.lag.greatest < 0.002


def test_a_process_that_is_stopped_is_noticed_by_the_clock_that_it_missed() -> None:
    clocks = Clocks()
    clocks.run(3.0)
    assert clocks.watch.look(in_block) == (pytest.approx(3.0), False)
    assert clocks.watch.lag.count == 0  # the run is cut there: nothing of it was measured


def test_each_block_has_how_late_it_was() -> None:
    clocks = Clocks()
    for gap in [PROBE_SECONDS] * 150 + [0.5] + [PROBE_SECONDS] * 150:  # late from 100.75 to 101.25
        clocks.run(gap)
        clocks.watch.look(in_block)
        clocks.watch.add(0.0, in_block(clocks.awake))
    shares = {number: lateness.share for number, lateness in clocks.watch.blocks.items()}
    assert shares == {0: pytest.approx(0.14, abs=0.02), 1: pytest.approx(0.14, abs=0.02)}
    assert clocks.watch.blocks[0].greatest == pytest.approx(0.5, abs=0.01)


def made_blocks(late: dict[int, float], count: int = 10, services: int = 1, seconds: float = 1.0) -> list[list[float]]:
    return [
        [number, number % services, 0, number * seconds, seconds, late.get(number, 0.002), 4.0]
        for number in range(count)
    ]


def test_late_blocks_are_left_out_up_to_a_fifth_of_the_run() -> None:
    assert find_late_blocks(made_blocks({}), 1) == []
    assert find_late_blocks(made_blocks({3: 0.02, 7: 0.4}), 1) == [3, 7]
    assert find_late_blocks(made_blocks({3: 0.02, 7: 0.4, 8: 0.011}), 1) == []
    assert find_late_blocks(made_blocks({3: 0.01}), 1) == []  # one of a hundred may be late
    assert find_late_blocks([], 1) == []


def test_a_late_block_in_which_a_request_failed_is_not_hidden() -> None:
    assert find_late_blocks(made_blocks({3: 0.4, 7: 0.4}), 1, {2}) == [3, 7]
    assert find_late_blocks(made_blocks({3: 0.4, 7: 0.4}), 1, {7}) == []


def test_services_that_take_turns_lose_the_same_round() -> None:
    assert find_late_blocks(made_blocks({4: 0.5}, count=15, services=3), 3) == [3, 4, 5]
    assert find_late_blocks(made_blocks({4: 0.5, 8: 0.5}, count=15, services=3), 3) == []  # two rounds of five


def test_steps_of_a_ramp_and_blocks_too_short_to_judge_stay() -> None:
    steps = made_blocks({3: 0.5}, count=10)
    steps[5][2] = 1
    assert find_late_blocks(steps, 1) == []
    assert find_late_blocks(made_blocks({3: 0.5}, count=100, seconds=0.1), 1) == []


def test_the_time_that_a_host_took_is_read_where_it_is_told(tmp_path: Path) -> None:
    told = tmp_path / "stat"
    told.write_text("cpu  8185957 597784 1391848 3668732 58202 0 54539 152116 0 0\ncpu0 1 2 3\n")
    assert stolen_seconds(str(told)) == pytest.approx(152116 / os.sysconf("SC_CLK_TCK"))
    told.write_text("cpu  8185957 597784\n")
    assert stolen_seconds(str(told)) == stolen_seconds(str(tmp_path / "missing")) == 0.0
