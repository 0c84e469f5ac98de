"""Services, or runs of one service, compared quantile by quantile."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.latency.html import comparison_html
from mldeploy_jupyter.latency.measured_run import MeasuredRun
from mldeploy_jupyter.latency.statistics import QuantileComparison, compare_quantiles, percentile_name
from mldeploy_jupyter.latency.summary import comparable, failed_share
from mldeploy_jupyter.latency.text import describe_percent
from mldeploy_jupyter.latency.verdict import describe_comparisons, format_milliseconds

MOST_FAILED = 0.01  # of the requests of one, above which latencies are not compared: failures are often the quickest


@dataclass(frozen=True)
class Pair:
    """Two that were compared; `quantiles` is empty where there was too little of one, or for another `reason`."""

    first: str
    second: str
    quantiles: tuple[QuantileComparison, ...]
    reason: str = ""


@dataclass(frozen=True)
class LatencyComparison:
    """What comparing latencies found: `second` against `first` for each pair."""

    pairs: tuple[Pair, ...]

    @property
    def verdict(self) -> list[str]:
        """The sentences of each pair: one for each quantile that differs, and one for those that do not."""
        lines = []
        for pair in self.pairs:
            lines += describe_comparisons(pair.first, pair.second, pair.quantiles)
            if not pair.quantiles:
                reason = pair.reason or "one has too few requests"
                lines.append(f"{pair.second} and {pair.first} cannot be compared: {reason}")
        return lines

    def rows(self) -> list[dict[str, Any]]:
        """Plain data, one dict for each quantile of each pair: latencies and differences in milliseconds; None for
        what has no bound. `chance` is the corrected p-value."""
        found = []
        for pair in self.pairs:
            for compared in pair.quantiles:
                values: dict[str, Any] = {
                    key: _number(value) for key, value in asdict(compared).items() if key != "shown"
                }
                before, after = values.pop("first"), values.pop("second")
                values["quantile"] = percentile_name(compared.quantile)
                names = {"first": pair.first, "second": pair.second}
                found.append({**names, **values, "before": before, "after": after, "shown": compared.shown})
        return found

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Head and cells of a table: the quantile of both, the ratio and its interval, the p-value."""
        head = ["", "BEFORE", "NOW", "RATIO", "95 % CI", "p"]
        cells = []
        for pair in self.pairs:
            for compared in pair.quantiles:
                cells.append(
                    [
                        f"{pair.second} {percentile_name(compared.quantile)}",
                        format_milliseconds(compared.first),
                        format_milliseconds(compared.second),
                        f"{compared.ratio:.3f}",
                        f"{compared.ratio_low:.3f} to {compared.ratio_high:.3f}",
                        f"{compared.chance:.3f}" if compared.chance >= 0.001 else "< 0.001",
                    ]
                )
        return head, cells

    def __str__(self) -> str:
        return "\n".join(self.verdict)

    def _repr_html_(self) -> str:
        head, cells = self.table()
        return comparison_html(head, cells, self.verdict)


def compare_groups(pairs: Iterable[tuple[str, Any, str, Any]], *, seed: int, paired: bool = False) -> LatencyComparison:
    """Compares samples: each pair is a name and its samples, and another name and its samples."""
    found: list[Pair] = []
    for first, before, second, after in pairs:
        failed = [(share, name) for name, each in ((first, before), (second, after)) if (share := failed_share(each))]
        worst, name = max(failed, default=(0.0, ""))
        if worst > MOST_FAILED:
            reason = f"{describe_percent(worst)} of the requests to {name} failed"
            found.append(Pair(first, second, (), reason))
            continue
        compared: Sequence[QuantileComparison] = compare_quantiles(
            comparable(before), comparable(after), seed=seed, paired=paired
        )
        found.append(Pair(first, second, tuple(compared)))
    return LatencyComparison(tuple(found))


def compare_runs(run: MeasuredRun, other: MeasuredRun | None = None) -> LatencyComparison:
    """The body of `LatencyResult.compare`."""
    groups = run.groups
    if other is None:
        names = list(groups)
        pairs = [(names[0], groups[names[0]], name, groups[name]) for name in names[1:]]
        return compare_groups(pairs, seed=run.plan.seed, paired=True)
    before = other.groups
    if len(groups) == len(before) == 1:
        common = [(next(iter(before)), next(iter(groups)))]
    else:
        common = [(name, name) for name in groups if name in before]
    if not common:
        raise UserErrorException(
            "the two runs have no service in common",
            why=f"one measured {', '.join(before)}, the other {', '.join(groups)}",
            hint="compare runs of the same service, or runs of one service each",
        )
    pairs = [(f"{old} in run {other.id}", before[old], new, groups[new]) for old, new in common]
    return compare_groups(pairs, seed=run.plan.seed)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
