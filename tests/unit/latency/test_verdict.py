"""The sentences about differences: texts pinned, and true whatever the numbers are."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.latency.statistics import QuantileComparison
from mldeploy_jupyter.latency.verdict import (
    describe_comparison,
    describe_comparisons,
    describe_missing,
    format_milliseconds,
)


def compared(ratio: float, low: float, high: float, shown: bool, quantile: float = 0.99) -> QuantileComparison:
    return QuantileComparison(
        quantile, 10, 10 * ratio, 10 * (ratio - 1), 10 * (low - 1), 10 * (high - 1), ratio, low, high, 0.01, shown
    )


CASES = {
    "slower": compared(1.06, 1.04, 1.09, True),
    "a little slower": compared(1.01, 1.004, 1.012, True),
    "faster": compared(0.94, 0.9, 0.98, True),
    "several times slower": compared(3.1, 2.9, 3.4, True),
    "several times faster": compared(0.2, 0.15, 0.25, True),
    "slower without a bound": compared(math.inf, 2.5, math.inf, True),
    "none shown": compared(1.01, 0.98, 1.024, False, 0.5),
    "less than a percent": compared(1.0, 0.998, 1.0031, False, 0.5),
    "little is known": compared(1.2, 0.8, 1.9, False),
    "nothing is known": compared(math.nan, -math.inf, math.inf, False),
}


def test_the_sentences(snapshot: SnapshotAssertion) -> None:
    assert {name: describe_comparison("local", "aks", case) for name, case in CASES.items()} == snapshot


def test_quantiles_without_a_difference_share_a_sentence(snapshot: SnapshotAssertion) -> None:
    found = [
        compared(1.01, 0.98, 1.024, False, 0.5),
        compared(1.06, 1.04, 1.09, True, 0.9),
        compared(1.02, 0.97, 1.08, False, 0.95),
        compared(1.2, 0.8, 1.9, False, 0.99),
    ]
    lines = describe_comparisons("aks in run 7", "aks", found)
    assert lines == snapshot
    assert all(name in " ".join(lines) for name in ("p50", "p90", "p95", "p99"))


@given(st.floats(0.01, 50), st.floats(0.001, 0.5))
def test_a_shown_difference_names_its_direction_and_no_wrong_bound(middle: float, width: float) -> None:
    low, high = middle * (1 - width), middle * (1 + width)
    if low <= 1 <= high:
        text = describe_comparison("a", "b", compared(middle, low, high, False))
        most = float(re.search(r"([\d,.]+) %", text)[1].replace(",", ""))  # type: ignore[index]
        assert most >= 100 * max(high - 1, 1 - low) - 1e-6
    else:
        text = describe_comparison("a", "b", compared(middle, low, high, True))
        assert ("slower" in text) == (middle > 1) and ("faster" in text) == (middle < 1)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0.1234, "0.12 ms"), (1.921, "1.92 ms"), (9.996, "10.0 ms"), (87.04, "87.0 ms"), (999.4, "999 ms")),
        *(
            (999.6, "1.00 s"),
            (1250.0, "1.25 s"),
            (30000.0, "30.0 s"),
            (None, "-"),
            (math.nan, "-"),
            (math.inf, "never"),
        ),
    ],
)
def test_a_latency_has_three_digits_and_a_unit(value: float | None, text: str) -> None:
    assert format_milliseconds(value) == text


def test_too_few_requests() -> None:
    assert describe_missing(0.999, 1000) == "p99.9 needs 10,000 requests; there are 1,000"
    assert describe_missing(0.5, 1) == "p50 needs 20 requests; there is 1"
