"""Lines for a terminal: rates, progress, and bars that are on one scale."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mldeploy_jupyter.latency.text import (
    describe_interval,
    describe_progress,
    describe_rate,
    describe_share,
    sparklines,
    table,
)


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (None, "-"),
        (100.0, "100/s"),
        (99.98, "100/s"),
        (1234.5, "1,234/s"),
        (12.5, "12.5/s"),
        (0.5, "0.5/s"),
        (50.1, "50/s"),
    ],
)
def test_a_rate(rate: float | None, text: str) -> None:
    assert describe_rate(rate) == text


def test_a_share() -> None:
    assert [describe_share(0, 100), describe_share(3, 1000), describe_share(5, 0)] == ["0", "3 (0.3 %)", "5"]
    assert [describe_share(count, 1000) for count in (1000, 999, 986)] == ["1,000 (100 %)", "999 (99 %)", "986 (99 %)"]


@pytest.mark.parametrize(
    ("low", "high", "value", "text"),
    [
        (1.954, 2.04, 2.0, "1.95-2.04"),
        (None, 12.04, 9.9, "?-12.0"),
        (800.0, None, 1200.0, "0.80-?"),
        (None, None, 2.0, ""),
    ],
)
def test_an_interval_has_the_unit_of_its_value(low: float | None, high: float | None, value: float, text: str) -> None:
    assert describe_interval(low, high, value) == text


def test_numbers_end_at_one_edge() -> None:
    assert table([["a", "1 ms"], ["longer", "10 ms"]], ["NAME", "p50"]) == [
        "NAME      p50",
        "a        1 ms",
        "longer  10 ms",
    ]


def test_progress_shows_percentiles_that_it_can_carry() -> None:
    service = {"done": 10, "failed": 0, "dropped": 0, "p50": 1.5, "p99": 9.0}
    event = {"elapsed": 3.2, "of": 20.0, "services": [service, {**service, "done": 1500, "failed": 2, "dropped": 1}]}
    assert describe_progress(event, ["a", "b"]) == "3 of 20 s   a 10   b 1,500 p50 1.50 ms p99 9.00 ms, 3 failed"
    assert describe_progress({}, ["a"]) == "0 of 0 s   "


def test_bars_of_several_services_share_a_scale() -> None:
    fast, slow = np.linspace(1, 2, 2000), np.linspace(10, 20, 2000)
    first, second = sparklines({"fast": fast, "slower": slow})
    assert first.startswith("fast    ▁") and second.rstrip().endswith("p10 to p99.5: 11.0 ms to 19.9 ms")
    assert "█" in second and "█" not in first


def test_bars_of_few_requests() -> None:
    assert sparklines({"a": np.array([])}) == []
    assert sparklines({"a": np.full(100, 2.0), "b": np.array([1.0])})[1] == "b  too few requests"
    assert sparklines({"a": np.full(10, math.inf)}) == []


@given(st.lists(st.floats(0, 1e6), min_size=12, max_size=400))
def test_bars_never_fall(values: list[float]) -> None:
    lines = sparklines({"a": np.sort(np.array(values))})
    bars = lines[0].split("  ")[1] if lines else ""
    assert list(bars) == sorted(bars)
