"""Rows of numbers from samples: what is counted where, and which percentiles are left out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mldeploy_jupyter.latency.recording import Outcome
from mldeploy_jupyter.latency.statistics import QUANTILES, percentile_name, requests_needed
from mldeploy_jupyter.latency.summary import summarise
from tests.unit.latency.made_samples import cold_start, fail, make_plan, make_samples, steady


def test_the_percentiles_are_measured_latencies() -> None:
    samples = make_samples(np.arange(1.0, 1001.0), late=0.5)
    (row,) = summarise(samples, make_plan())
    assert [row[name] for name in ("p50", "p90", "p95", "p99", "max")] == pytest.approx([500, 900, 950, 990, 1000])
    assert row["p50_low"] < 500 < row["p50_high"]
    assert row["service_p50"] == pytest.approx(499.5)
    assert row["requests"] == 1000 and row["errors"] == 0
    assert row["rate_wanted"] == pytest.approx(100)
    assert row["revisions"] == [1]


def test_a_percentile_that_the_data_cannot_carry_is_left_out_with_the_reason() -> None:
    (row,) = summarise(steady(800), make_plan())
    assert row["p99"] is row["p99_low"] is row["p99_high"] is row["service_p99"] is None
    assert row["missing"] == ["p99 needs 1,000 requests; there are 800", "p99.9 needs 10,000 requests; there are 800"]
    (few,) = summarise(steady(1), make_plan())
    assert few["p50"] is None and len(few["missing"]) == len(QUANTILES)


@pytest.mark.parametrize("quantile", QUANTILES)
def test_the_least_number_is_enough(quantile: float) -> None:
    needed = requests_needed(quantile)
    (enough,) = summarise(steady(needed), make_plan())
    (less,) = summarise(steady(needed - 1), make_plan())
    assert enough[percentile_name(quantile)] is not None and less[percentile_name(quantile)] is None


def test_errors_count_and_are_named() -> None:
    samples = make_samples([2.0] * 900 + [30_000.0] * 100)
    fail(samples, slice(900, 960), Outcome.TIMEOUT)
    fail(samples, slice(960, 1000), Outcome.SERVER_ERROR, 500)
    (row,) = summarise(samples, make_plan())
    assert row["errors"] == 100
    assert row["errors_by_kind"] == {"HTTP 5xx": 40, "timed out": 60}
    assert row["p95"] == pytest.approx(30_000) and row["ok_p95"] == pytest.approx(2)
    assert "ok_p99" not in row  # 900 are too few


def test_a_dropped_request_counts_at_its_timeout_and_beside_the_requests() -> None:
    samples = make_samples([2.0] * 980 + [5_000.0] * 20)
    fail(samples, slice(980, 1000), Outcome.DROPPED)
    (row,) = summarise(samples, make_plan())
    assert (row["requests"], row["dropped"], row["errors"]) == (980, 20, 0)
    assert row["p99"] == pytest.approx(5_000)
    assert row["service_p50"] == pytest.approx(2)


def test_a_request_whose_end_is_not_known_is_slower_than_all() -> None:
    samples = make_samples([2.0] * 900 + [math.nan] * 100)
    (row,) = summarise(samples, make_plan())
    assert row["p90"] == pytest.approx(2) and row["p99"] is None
    assert "p99 is among the requests without an end" in row["missing"]


def test_services_revisions_and_steps_are_apart() -> None:
    plan = make_plan("a", "b", ramp=(100.0, 200.0), rate=None)
    one = steady(200, 1.0, services=2, revision=[1] * 100 + [2] * 100)
    two = steady(200, 5.0, service=1, services=2, step=1)
    samples = np.concatenate([one, two])
    assert [row["service"] for row in summarise(samples, plan)] == ["a", "b"]
    assert summarise(samples, plan)[0]["revisions"] == [1, 2]
    assert [(row["service"], row["revision"]) for row in summarise(samples, plan, "revision")] == [
        *(("a", 1), ("a", 2), ("b", 1))
    ]
    assert [(row["service"], row["step"]) for row in summarise(samples, plan, "step")] == [("a", 0), ("b", 1)]


def test_warm_up_and_cold_start_are_not_measured() -> None:
    (row,) = summarise(np.concatenate([cold_start(812.0), steady(100)]), make_plan())
    assert row["cold_start"] == pytest.approx(812)
    assert row["requests"] == 100 and row["max"] < 10


def test_where_the_time_goes() -> None:
    (row,) = summarise(make_samples([2.0] * 100, late=0.5, parts=(0.1, 0.05, 0.5, 0.02)), make_plan())
    assert [row[name] for name in ("queue", "parse", "run", "serialise")] == pytest.approx([0.1, 0.05, 0.5, 0.02])
    assert row["network"] == pytest.approx(2.0 - 0.5 - 0.67, abs=1e-6)
    (silent,) = summarise(make_samples([2.0] * 100, parts=None), make_plan())
    assert silent["run"] is silent["network"] is None


def test_a_rate_that_was_not_reached() -> None:
    """Each second's requests take two seconds to be answered."""
    samples = make_samples(np.tile(np.linspace(10, 2000, 100), 5))
    (row,) = summarise(samples, make_plan())
    assert row["rate_wanted"] == pytest.approx(100)
    assert row["rate_reached"] < 40


def test_a_closed_loop_has_users_and_no_wanted_rate() -> None:
    plan = make_plan(mode="closed", users=8, rate=None)
    (row,) = summarise(steady(100), plan)
    assert row["users"] == 8 and row["rate_wanted"] is None and row["rate_reached"] > 90


def test_nothing_measured_is_no_row() -> None:
    assert summarise(steady(0), make_plan()) == []
