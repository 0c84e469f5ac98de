"""What a measurement says, in sentences: differences that are shown, and what the data cannot say."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mldeploy_jupyter.latency.statistics import (
    CONFIDENCE,
    QuantileComparison,
    percentile_name,
    requests_needed,
)

WIDE = 0.25  # an interval that reaches further from "no difference" says that too little was measured


def format_milliseconds(value: float | None) -> str:
    """A latency with its unit, at three digits: `1.92 ms`, `87.0 ms`, `1.25 s`; `-` for none."""
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "never"
    seconds = abs(value) >= 999.5
    shown = value / 1000 if seconds else value
    decimals = 2 if abs(shown) < 9.995 else 1 if abs(shown) < 99.95 else 0
    return f"{shown:.{decimals}f} {'s' if seconds else 'ms'}"


def describe_comparison(first: str, second: str, compared: QuantileComparison) -> str:
    """One quantile of `second` against that of `first`: how much slower or faster, or what was not shown.

    "churn-b p99 is 4 to 9 % slower than churn-a, 95 % CI"; "p50: no difference above 3 % shown between churn-b and
    churn-a".
    """
    if not compared.shown:
        return _describe_none(first, second, [compared])
    name = percentile_name(compared.quantile)
    low, high = compared.ratio_low, compared.ratio_high
    if low >= 2 or high <= 0.5:
        slower = low >= 2
        least, most = (low, high) if slower else (1 / high, 1 / low if low else math.inf)
        word = "slower" if slower else "faster"
        return f"{second} {name} is {_range(least, most)} times {word} than {first}, {_confidence()}"
    slower = compared.difference > 0
    least, most = (low - 1, high - 1) if slower else (1 - high, 1 - low)
    word = "slower" if slower else "faster"
    return f"{second} {name} is {_range(100 * least, 100 * most)} % {word} than {first}, {_confidence()}"


def _describe_none(first: str, second: str, compared: Sequence[QuantileComparison]) -> str:
    """Quantiles that are known about as well, and of which no difference was shown."""
    names, most = ", ".join(percentile_name(item.quantile) for item in compared), max(map(_possible, compared))
    earlier = f"{second} in run "
    both = f"{second} now and in run {first[len(earlier) :]}" if first.startswith(earlier) else f"{second} and {first}"
    if not math.isfinite(most):
        return f"{names}: no difference shown between {both}; one of any size is possible"
    percent = _round_up(100 * most)
    if most > WIDE:
        return f"{names}: no difference shown between {both}; {percent} % is possible, {_confidence()}"
    return f"{names}: no difference above {percent} % shown between {both}, {_confidence()}"


def _possible(compared: QuantileComparison) -> float:
    """How far the interval of the ratio reaches from "no difference"."""
    return max(compared.ratio_high - 1, 1 - compared.ratio_low)


def describe_missing(quantile: float, count: int, rate: float | None = None) -> str:
    """That there are too few requests for a quantile: "p99.9 needs 10,000 requests; there are 1,000".

    With `rate`, in requests a second, it says how long they take: "p99 needs 1,000 requests, 20 s at 50/s; there ...".
    """
    takes = f", {math.ceil(requests_needed(quantile) / rate):,} s at {rate:g}/s" if rate else ""
    there = f"there are {count:,}" if count != 1 else "there is 1"
    return f"{percentile_name(quantile)} needs {requests_needed(quantile):,} requests{takes}; {there}"


def describe_comparisons(first: str, second: str, compared: Sequence[QuantileComparison]) -> list[str]:
    """A sentence for each quantile that differs, and one for those, known about as well, of which that is not shown."""
    lines = [describe_comparison(first, second, item) for item in compared if item.shown]
    alike: dict[str, list[QuantileComparison]] = {}
    for item in compared:
        if not item.shown:
            most = _possible(item)
            kind = "any" if not math.isfinite(most) else "wide" if most > WIDE else "narrow"
            alike.setdefault(kind, []).append(item)
    return lines + [_describe_none(first, second, items) for items in alike.values()]


def _confidence() -> str:
    return f"{100 * CONFIDENCE:g} % CI"


def _range(low: float, high: float) -> str:
    """`4 to 9`, `0.4 to 1.2`, `12`: as many decimals as the smaller bound needs for two digits, at most two."""
    if math.isinf(high):
        return f"at least {_two_digits(low, low)}"
    shown = _two_digits(low, low), _two_digits(high, low)
    return shown[0] if shown[0] == shown[1] else f"{shown[0]} to {shown[1]}"


def _two_digits(value: float, scale: float) -> str:
    decimals = 0 if abs(scale) >= 4 else 1 if abs(scale) >= 0.4 else 2
    return f"{value:,.{decimals}f}"


def _round_up(percent: float) -> str:
    """At least the number: a bound must not become smaller by rounding."""
    if percent >= 1:
        return f"{math.ceil(round(percent, 6)):,}"
    return f"{math.ceil(round(percent * 10, 6)) / 10:g}"
