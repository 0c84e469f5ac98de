"""The report of a run as text, pinned: what a person reads in a terminal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.latency.recording import Outcome
from mldeploy_jupyter.latency.report import describe_percentiles, describe_plan
from mldeploy_jupyter.latency.result import LatencyResult
from tests.unit.latency.made_samples import cold_start, fail, make_plan, make_result, steady


def one_service(count: int = 1000, scale: float = 2.0, **ending: object) -> LatencyResult:
    return make_result(np.concatenate([cold_start(41.0), steady(count, scale)]), **ending)


def test_a_service(snapshot: SnapshotAssertion) -> None:
    assert str(one_service()) == snapshot
    assert describe_percentiles(one_service()) == "churn p50 1.99 ms, p99 3.09 ms"


def test_services_side_by_side(snapshot: SnapshotAssertion) -> None:
    plan = make_plan("local", "aks", rate=100.0)
    samples = np.concatenate([steady(2000, services=2), steady(2000, 2.3, seed=2, service=1, services=2)])
    assert str(make_result(samples, plan)) == snapshot


def test_against_the_run_before(snapshot: SnapshotAssertion) -> None:
    before = make_result(steady(2000, 1.8, seed=3))
    assert make_result(steady(2000)).judge(before) == snapshot


def test_errors_and_requests_that_were_never_sent(snapshot: SnapshotAssertion) -> None:
    samples = steady(1000)
    fail(samples, slice(0, 30), Outcome.SERVER_ERROR, 500)
    fail(samples, slice(30, 32), Outcome.TIMEOUT)
    fail(samples, slice(32, 52), Outcome.DROPPED)
    assert make_result(samples).verdict == snapshot


def with_quick_failures(which: slice) -> LatencyResult:
    """Ten seconds in which some requests were refused within 0.4 ms."""
    samples = steady(1000)
    samples["done"][which] = samples["planned"][which] + 0.0004
    fail(samples, which, Outcome.NO_CONNECTION)
    return make_result(samples)


def test_quick_failures_do_not_make_a_service_look_quick(snapshot: SnapshotAssertion) -> None:
    died = with_quick_failures(slice(450, 1000))
    assert died.judge(one_service()) == snapshot
    assert died.compare(one_service()).rows() == []
    assert with_quick_failures(slice(0, 1000)).verdict[:2] == snapshot
    few = with_quick_failures(slice(0, 9))
    assert few.compare(one_service()).rows() != []


def test_a_service_that_does_not_keep_up(snapshot: SnapshotAssertion) -> None:
    samples = steady(500)
    samples["done"] += np.tile(np.linspace(0, 2, 100), 5)
    assert make_result(samples).verdict == snapshot


def test_a_service_that_refuses_what_it_cannot_take_is_not_said_to_fall_behind() -> None:
    samples = steady(500)
    samples["done"] += np.tile(np.linspace(0, 2, 100), 5)
    assert any("did not keep up" in line for line in make_result(samples.copy()).verdict)
    fail(samples, slice(0, 300), Outcome.THROTTLED, 429)
    assert not any("did not keep up" in line for line in make_result(samples).verdict)


def test_an_update_in_the_middle(snapshot: SnapshotAssertion) -> None:
    samples = np.concatenate([steady(500), steady(500, 3.0, revision=2, begin=5.0)])
    samples["block"][500:] += 5
    assert str(make_result(samples)) == snapshot


def test_a_ramp(snapshot: SnapshotAssertion) -> None:
    plan = make_plan(rate=None, ramp=(50.0, 100.0))
    two = steady(200, 2.5, step=1, begin=3.0)
    two["block"] += 10
    samples = np.concatenate([steady(100, rate=50.0), two])
    assert str(make_result(samples, plan)) == snapshot


def made_ramp(*medians: float) -> LatencyResult:
    """Steps of 100, 200, 300 ... requests a second."""
    rates = tuple(100.0 * (1 + step) for step in range(len(medians)))
    steps = []
    for step, (rate, median) in enumerate(zip(rates, medians, strict=True)):
        samples = steady(int(2 * rate), median, rate=rate, step=step, begin=3.0 * step)
        samples["block"] = step
        steps.append(samples)
    return make_result(np.concatenate(steps), make_plan(rate=None, ramp=rates))


def test_a_ramp_says_where_its_knee_is(snapshot: SnapshotAssertion) -> None:
    assert made_ramp(2.0, 2.1, 2.3, 9.0).verdict[0] == snapshot(name="a knee")
    assert made_ramp(2.0, 2.1, 2.2, 2.3).verdict[0] == snapshot(name="no knee")
    assert not any("knee" in line for line in made_ramp(2.0, 9.0).verdict)


def test_a_closed_loop(snapshot: SnapshotAssertion) -> None:
    assert str(make_result(steady(200), make_plan(mode="closed", users=4, rate=None))) == snapshot


def test_an_invalid_run_says_so_first_and_compares_nothing(snapshot: SnapshotAssertion) -> None:
    plan = make_plan("local", "aks")
    samples = np.concatenate([steady(200, services=2), steady(200, 9.0, service=1, services=2)])
    result = make_result(samples, plan, lag={"p99": 3.14})
    assert not result.valid
    assert result.judge(make_result(samples, plan)) == snapshot


def test_a_run_that_ended_early(snapshot: SnapshotAssertion) -> None:
    notes = [{"time": 3.21, "service": 0, "kind": "key", "text": "answered 401; its key was fetched again"}]
    assert str(make_result(steady(30), reason="cancelled", notes=notes)) == snapshot
    assert make_result(steady(0), reason="cancelled").verdict == snapshot
    for reason in ("slept", "stalled"):
        assert make_result(steady(50), reason=reason).verdict == snapshot


def with_late_seconds(*late: int, left_out: list[int] | None = None, **lag: float) -> LatencyResult:
    """Ten seconds in some of which the load was sent late, and answers took 40 ms longer."""
    samples = steady(1200, rate=120.0)
    for block in late:
        samples["done"][samples["block"] == block] += 0.04
    blocks = [[number, 0, 0, 0.5 + number, 1.0, 0.3 * (number in late), 18.24] for number in range(10)]
    lag = {"p99": 7.2, **lag}
    return make_result(samples, lag=lag, blocks=blocks, left_out=list(late) if left_out is None else left_out)


def test_seconds_that_were_sent_late_are_left_out_and_named(snapshot: SnapshotAssertion) -> None:
    result = with_late_seconds(4, 7)
    assert result.valid and result.rows()[0]["requests"] == 960 and len(result.samples) == 1200
    assert result.verdict == snapshot


def test_late_seconds_that_were_measured_again() -> None:
    again = with_late_seconds(4, 7)
    more = [[10.0 + number, 0, 0, 10.5 + number, 1.0, 0.0, 0.2] for number in range(2)]
    ending = replace(again.ending, blocks=[*again.ending.blocks, *more])
    verdict = replace(again, ending=ending).verdict
    one = replace(ending, left_out=[4], blocks=ending.blocks[:11])
    assert replace(again, ending=one).verdict[0].startswith("1 of 11 s is left out (at 4 s) and was measured again:")
    assert verdict[0].startswith("2 of 12 s are left out (at 4, 8 s) and were measured again: the load's own process")


def test_a_run_that_was_late_too_often_is_invalid(snapshot: SnapshotAssertion) -> None:
    result = with_late_seconds(1, 4, 7, left_out=[])
    assert not result.valid and result.rows()[0]["requests"] == 1200
    assert result.verdict[0] == snapshot(name="a busy machine")
    assert with_late_seconds(1, 4, 7, left_out=[], stolen=0.034).verdict[0] == snapshot(name="a busy host")


def test_the_cold_start_stays_when_the_first_second_is_left_out() -> None:
    samples = np.concatenate([cold_start(41.0), steady(1200, rate=120.0)])
    result = make_result(samples, lag={"p99": 7.2}, blocks=[[0, 0, 0, 0.0, 1.0, 0.3, 9.0]], left_out=[0])
    assert result.rows()[0]["cold_start"] == 41.0 and result.rows()[0]["requests"] == 1080


def test_a_run_that_goes_on_names_the_rate_that_was_planned() -> None:
    run = make_result(steady(100), make_plan("local", rate=50.0), rate=None)
    assert describe_plan(run).startswith("open loop, 50/s, ")
    run = make_result(steady(100), make_plan("local", rate=None), rate=None)
    assert describe_plan(run).startswith("open loop, a rate chosen after the warm-up, ")
