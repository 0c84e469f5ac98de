from __future__ import annotations

import json
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.latency.plan import (
    P99_REQUESTS,
    LatencyPlan,
    PlannedPayload,
    PlannedService,
    check_plan,
    choose_duration,
    choose_rate,
)
from mldeploy_jupyter.latency.statistics import requests_needed

ONE = (PlannedService("ridge", "http://127.0.0.1:1/score", revision=3),)
TWO = (*ONE, PlannedService("other", "http://127.0.0.1:2/score"))


def test_a_plan_survives_json() -> None:
    plan = LatencyPlan(TWO, rate=12.5, ramp=(10.0, 20.0), payload=PlannedPayload("lines", 7, 700), seed=3)
    assert LatencyPlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


def test_a_plan_of_a_newer_version_is_read_without_what_is_unknown() -> None:
    data = {**LatencyPlan(ONE).to_dict(), "colour": "red"}
    data["services"][0]["colour"] = "red"
    assert LatencyPlan.from_dict(data) == LatencyPlan(ONE)


def test_a_duration_is_what_p99_needs_within_bounds() -> None:
    assert requests_needed(0.99) == P99_REQUESTS
    chosen = {
        rate: choose_duration(rate) for rate in (None, 0.0, -1.0, 1000.0, 100.0, 60.0, 50.0, 8.0, 0.1, float("nan"))
    }
    assert list(chosen.values()) == [10, 10, 10, 10, 10, 17, 20, 120, 120, 10]


def test_a_rate_that_the_slowest_service_can_take() -> None:
    assert choose_rate([]) == (1.0, "no request of the warm-up was answered")
    rate, reason = choose_rate([("a", 0.002), ("b", 0.02)])
    assert rate == 25.0
    assert reason == "one connection reached 50/s with b in the warm-up; half of it, at most 100/s"
    assert [choose_rate([("a", seconds)])[0] for seconds in (0.001, 0.005, 3.0, 60.0)] == [100.0, 100.0, 0.167, 0.1]


def test_steps_requests_and_limits() -> None:
    plan = LatencyPlan(TWO, rate=100.0, duration=10.0, warmup=20, timeout=30.0)
    assert (plan.steps, plan.requests, plan.seconds, plan.max_seconds) == ((100.0,), 2040, 20.0, 160.0)
    ramp = LatencyPlan(ONE, ramp=(10.0, 20.0), duration=3.0, warmup=0)
    assert (ramp.steps, ramp.requests, ramp.seconds) == ((10.0, 20.0), 90, 6.0)
    closed = LatencyPlan(ONE, mode="closed", users=4)
    assert (closed.steps, closed.requests) == ((4.0,), None)
    assert LatencyPlan(ONE).requests is None


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rate": 0.5, "warmup": 0},
        {"mode": "closed", "users": 8, "warmup": 0},
        {"mode": "closed", "ramp": (1.0, 2.0, 8.0)},
        {"ramp": (10.0, 100.0), "warmup": 0},
    ],
)
def test_a_good_plan_is_returned(changes: dict[str, Any]) -> None:
    plan = LatencyPlan(ONE, **changes)
    assert check_plan(plan) is plan


@pytest.mark.parametrize(
    "changes",
    [
        {"services": ()},
        {"mode": "half-open"},
        {"arrivals": "pareto"},
        {"payload": PlannedPayload("guess")},
        {"rate": 0.0},
        {"rate": float("nan")},
        {"rate": True},
        {"ramp": (10.0, 1e6)},
        {"duration": -1.0},
        {"timeout": 0.0},
        {"block": 0.0},
        {"warmup": 2.5},
        {"warmup": 4},
        {"connections": 0},
        {"rate": 100.0, "users": 4},
        {"mode": "closed", "users": 4, "rate": 1.0},
        {"mode": "closed", "users": 0},
        {"mode": "closed", "ramp": (1.0, 2.5)},
        {"rate": 1000.0, "duration": 600.0},
    ],
    ids=str,
)
def test_a_wrong_plan_says_what_is_wrong(changes: dict[str, Any], snapshot: SnapshotAssertion) -> None:
    with pytest.raises(UserErrorException) as caught:
        check_plan(LatencyPlan(**{"services": ONE, **changes}))
    assert str(caught.value) == snapshot
