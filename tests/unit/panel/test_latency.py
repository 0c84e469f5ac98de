"""Runs of the latency lab as a view has them: read from their files, whoever carried them out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mldeploy_jupyter.latency import saved
from mldeploy_jupyter.latency.measuring import STOP_FILE, Ending
from mldeploy_jupyter.latency.plan import LatencyPlan, PlannedPayload, PlannedService
from mldeploy_jupyter.latency.recording import Outcome
from mldeploy_jupyter.panel import Subscriptions
from tests.unit.latency.figures.runs import make_samples

from .conftest import Pass, Site
from .protocol import check_event

PLAN = LatencyPlan(
    (PlannedService("churn", "http://127.0.0.1:9000/score", "home", "local", 1),),
    rate=100.0,
    duration=20.0,
    payload=PlannedPayload("sample", 1, 120),
)


def measure(site: Site, factor: float = 1.0, count: int = 2000, *, run: saved.SavedRun | None = None) -> saved.SavedRun:
    """A run with so many requests, which is in progress."""
    run = run or saved.create_run(site.folder, PLAN)
    at = np.arange(count) / 100.0
    latency = np.random.default_rng(5).gamma(6.0, 0.5, count) * factor
    make_samples(at, latency, block=at.astype(int)).tofile(run.samples_path)
    return run


def end(site: Site, run: saved.SavedRun, reason: str = "finished", lag: float = 0.1, **ending: Any) -> saved.SavedRun:
    times = {"begun": run.begun, "ended": site.clock.stamp(), "elapsed": 20.4}
    return saved.finish_run(run, Ending(reason, **{**times, "rate": 100.0, "lag": {"p99": lag}, **ending}))


def moved(run: saved.SavedRun, id: str) -> saved.SavedRun:
    """The run under another id, of an earlier time."""
    path = run.path.with_name(id)
    run.path.rename(path)
    return replace(run, id=id, path=path)


@pytest.fixture
def live(site: Site) -> Site:
    site.end(site.begin(), "live")
    return site


def test_a_run_that_has_ended(live: Site) -> None:
    run = end(live, measure(live))
    report = live.ask("latency.result", run=run.id)
    (one,) = report["series"]
    assert (report["state"], report["elapsedSeconds"], report["seconds"]) == ("finished", 20.4, 20.0)
    assert (
        report["load"] == "Open loop, 100/s, constant arrivals, 20 s" and report["payload"] == "The sample, 120 bytes"
    )
    assert (one["name"], one["requests"], one["errors"], one["unsent"]) == ("churn", 2000, 0, 0)
    assert [each["name"] for each in one["percentiles"]] == ["p50", "p90", "p95", "p99"]
    assert all(each["low"] <= each["ms"] <= each["high"] for each in one["percentiles"])
    assert one["points"][0][0] == 1 and one["points"][-1] == [2000, pytest.approx(one["slowest"], rel=1e-4)]
    assert len(one["points"]) <= 61
    assert [part["title"] for part in one["parts"]] == [
        "Before the send", "Network", "Queue", "Parse", "Run", "Serialise",
    ]  # fmt: skip
    (cells,) = report["cells"]
    assert sum(map(sum, cells["counts"])) == 2000 and cells["failures"] == []
    assert (
        report["verdict"] == ["p99.9 needs 10,000 requests, 100 s at 100/s; there are 2,000"]
        and report["against"] == ""
    )


def test_a_ramp_has_a_row_for_each_step_and_its_knee(live: Site) -> None:
    plan = replace(PLAN, rate=None, ramp=(50.0, 100.0, 200.0), duration=10.0)
    run = saved.create_run(live.folder, plan)
    with open(run.samples_path, "ab") as file:
        for step, (count, ms) in enumerate([(500, 2.0), (1000, 2.2), (2000, 90.0)]):
            at = 10.0 * step + np.arange(count) * 10 / count
            make_samples(at, np.full(count, ms), block=step, step=step).tofile(file)
    ramp = live.ask("latency.result", run=end(live, run).id)["ramp"]
    assert [(step["name"], step["requests"]) for step in ramp["steps"]] == [
        ("churn at 50/s", 500), ("churn at 100/s", 1000), ("churn at 200/s", 2000),
    ]  # fmt: skip
    assert {line["name"] for line in ramp["lines"]} == {"churn, median", "churn, p95"}
    (knee,) = ramp["marks"]
    assert knee["text"].startswith("knee of churn: 100 a second")


def test_a_deployment_meanwhile_is_marked(live: Site) -> None:
    notes = [{"time": 4.0, "service": 0, "kind": "deployment", "text": "update began"}]
    report = live.ask("latency.result", run=end(live, measure(live), notes=notes).id)
    assert report["cells"][0]["marks"] == [{"at": 4.0, "text": "update began"}]
    assert report["notes"] == ["at 4.0 s: churn update began"] and report["ramp"] is None


def test_it_is_compared_with_the_last_valid_run_under_the_same_load(live: Site) -> None:
    begun = "2026-11-20T12:00:00.000Z"
    first = end(
        live, measure(live, run=moved(saved.create_run(live.folder, PLAN), "20261120T120000-aaaaaa")), begun=begun
    )
    late = end(
        live, measure(live, 3.0, run=moved(saved.create_run(live.folder, PLAN), "20261120T130000-aaaaaa")), lag=5.0
    )
    second = end(live, measure(live, 1.3))
    report = live.ask("latency.result", run=second.id)
    assert report["against"] == begun
    assert any("churn p50 is" in line and "% CI" in line for line in report["verdict"])
    rows = live.ask("latency.runs", service="churn")
    assert [row["run"] for row in rows] == [second.id, late.id, first.id]


def test_a_run_that_was_late_says_nothing(live: Site) -> None:
    run = end(live, measure(live), lag=3.1)
    report = live.ask("latency.result", run=run.id)
    assert report["invalid"].startswith("the load's own process was late by 3.1 ms (p99)")
    assert not any(line.startswith("invalid") for line in report["verdict"])
    (row,) = live.ask("latency.runs", service="churn")
    assert not row["valid"]


def test_the_end_of_a_run_is_its_state_and_not_said_twice(live: Site) -> None:
    run = measure(live, count=300)
    notes = [{"time": 2.0, "service": 0, "kind": "throttled", "text": "answered 429"}]
    report = live.ask("latency.result", run=end(live, run, "cancelled", notes=notes).id)
    assert report["state"] == "cancelled" and report["notes"] == ["at 2.0 s: churn answered 429"]
    assert report["verdict"] == ["p99 needs 1,000 requests, 10 s at 100/s; there are 300"]


def test_failures_and_requests_that_were_never_sent(live: Site) -> None:
    run = measure(live, count=1000)
    samples = run.read_samples()
    samples["outcome"][:30], samples["outcome"][30:50] = Outcome.SERVER_ERROR, Outcome.DROPPED
    samples.tofile(run.samples_path)
    (one,) = live.ask("latency.result", run=end(live, run).id)["series"]
    assert (one["requests"], one["errors"], one["unsent"]) == (980, 30, 20)


def test_a_run_is_watched_while_its_file_grows(live: Site, subscriptions: Subscriptions, pass_time: Pass) -> None:
    events: list[dict[str, Any]] = []
    run = saved.create_run(live.folder, PLAN)
    subscriptions.subscribe("latency", {"run": run.id}, events.append)
    pass_time(0.6)
    assert {event["report"]["state"] for event in events} == {"running"} and events[-1]["report"]["series"] == []
    measure(live, count=400, run=run)
    pass_time(1.2)
    live_report = events[-1]["report"]
    assert live_report["series"][0]["requests"] == 400 and live_report["cells"] == [] and live_report["verdict"] == []
    end(live, run)
    pass_time(1.2)
    assert events[-1]["report"]["state"] == "finished" and events[-1]["report"]["cells"]
    count = len(events)
    assert subscriptions.look() is None  # nothing is due any more
    late: list[dict[str, Any]] = []
    subscriptions.subscribe("latency", {"run": run.id}, late.append)
    pass_time(0.6)
    assert len(events) == count and late[-1]["report"]["state"] == "finished"
    for event in [*events, *late]:
        check_event("latency", event)


def test_a_run_whose_process_is_gone_is_interrupted(live: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    run = measure(live, count=300)
    monkeypatch.setattr("mldeploy_jupyter.core.process_identity.is_alive", lambda identity: False)
    report = live.ask("latency.result", run=run.id)
    assert report["state"] == "interrupted" and report["elapsedSeconds"] == pytest.approx(3.0, abs=0.1)
    assert live.ask("latency.stop", run=run.id) == {"text": "It has ended"}


def test_a_stop_is_a_file_beside_the_samples(live: Site) -> None:
    run = measure(live)
    assert live.ask("latency.stop", run=run.id) == {"text": "It is being stopped"}
    assert (run.path / STOP_FILE).is_file()
    assert live.refuse("latency.start", service="churn")["code"] == "in-progress"


@pytest.mark.parametrize(
    ("params", "wrong"),
    [
        ({"rate": 0}, "rate"),
        ({"users": 0.5}, "users"),
        ({"duration": "x"}, "duration"),
        ({"arrivals": "never"}, "arrivals"),
    ],
)
def test_loads_that_cannot_be_are_refused(live: Site, params: dict[str, Any], wrong: str) -> None:
    assert wrong in live.refuse("latency.start", service="churn", **params)["cause"]


def test_a_run_that_is_not_there(live: Site) -> None:
    assert live.refuse("latency.result", run="20260101T000000-abcdef")["code"] == "latency-run-not-found"
