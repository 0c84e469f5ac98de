"""A run's samples as rows of numbers: rates, errors and latencies of each service, or of each revision or step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mldeploy_jupyter.latency.recording import PARTS, Outcome, Phase
from mldeploy_jupyter.latency.statistics import (
    QUANTILES,
    Blocks,
    count_independent,
    divide_blocks,
    find_quantile,
    percentile_name,
    quantile_interval,
    requests_needed,
)
from mldeploy_jupyter.latency.verdict import describe_missing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mldeploy_jupyter.latency.plan import LatencyPlan

    Samples = NDArray[np.void]
    Floats = NDArray[np.float64]

By = Literal["service", "revision", "step"]

ERRORS = {
    Outcome.CLIENT_ERROR: "HTTP 4xx",
    Outcome.SERVER_ERROR: "HTTP 5xx",
    Outcome.TIMEOUT: "timed out",
    Outcome.NO_CONNECTION: "connection refused or reset",
    Outcome.BROKEN_ANSWER: "broken answer",
    Outcome.UNAUTHORISED: "unauthorised",
    Outcome.THROTTLED: "throttled",
    Outcome.UNAVAILABLE: "unavailable",
}


@dataclass(frozen=True)
class Group:
    """The measured samples of a service, or of one of its revisions or steps; `number` is which."""

    service: int
    number: int
    samples: Samples


def group_samples(samples: Samples, services: int, by: By = "service") -> Iterator[Group]:
    """The groups in the order of the services, then of revisions or steps. A service that has none is left out.

    By revision, requests without an answer from a known revision are left out.
    """
    import numpy as np

    measured = samples[samples["phase"] == Phase.MEASURED]
    for service in range(services):
        own = measured[measured["service"] == service]
        if by == "service":
            if len(own):
                yield Group(service, 0, own)
            continue
        for number in np.unique(own[by]):
            if number or by == "step":
                yield Group(service, int(number), own[own[by] == number])


def leave_out(samples: Samples, blocks: Sequence[int]) -> Samples:
    """The samples without those that were measured in some blocks; warm-up and cold starts stay."""
    import numpy as np

    return samples[(samples["phase"] != Phase.MEASURED) | ~np.isin(samples["block"], blocks)] if blocks else samples


def latencies(samples: Samples) -> Floats:
    """Milliseconds from when each request was due to the end of its answer; infinity where that is not known.

    A request that timed out, or that was never sent because no connection was free in time, counts at its time-out.
    """
    import numpy as np

    found: Floats = np.nan_to_num((samples["done"] - samples["planned"]) * 1000, nan=math.inf)
    return found


def service_times(samples: Samples) -> Floats:
    """Milliseconds from when each request was sent to the end of its answer, of those that were sent."""
    import numpy as np

    found: Floats = (samples["done"] - samples["sent"]) * 1000
    return found[~np.isnan(found)]


def failed_share(samples: Samples) -> float:
    """The share, from 0 to 1, of requests that failed before their time was up: they may look quick."""
    import numpy as np

    slow = [Outcome.OK, Outcome.TIMEOUT, Outcome.DROPPED, Outcome.UNFINISHED]
    return float((~np.isin(samples["outcome"], slow)).mean()) if len(samples) else 0.0


def comparable(samples: Samples) -> Blocks:
    """The latencies with blocks for `statistics.compare_quantiles`."""
    return Blocks(latencies(samples), divide_blocks(samples["block"].astype("int64"), samples["planned"]))


def summarise(samples: Samples, plan: LatencyPlan, by: By = "service") -> list[dict[str, Any]]:
    """A row of plain data for each group: times in milliseconds, rates in requests a second, None for what is unknown.

    `p99`, `p99_low` and `p99_high` are a percentile of all requests, errors included, and its 95 % interval; None, with
    a sentence in `missing`, where there are too few requests. `ok_p50` and so on are those of the requests that were
    answered with 2xx, where there were others. `service_p50` begins when a request was sent.
    """
    rows = []
    for group in group_samples(samples, len(plan.services), by):
        planned = plan.services[group.service]
        row: dict[str, Any] = {"service": planned.name, "workspace": planned.workspace, "target": planned.target}
        row["revisions"] = sorted({int(number) for number in group.samples["revision"]} - {0})
        if by != "service":
            row[by] = group.number
        row |= _count(group.samples, plan, by)
        if plan.mode == "closed":
            row["users"] = int(plan.steps[group.number if by == "step" else 0] or 1)
        row |= _percentiles(group.samples)
        row |= _times(group.samples)
        cold = samples[(samples["phase"] == Phase.COLD_START) & (samples["service"] == group.service)]
        row["cold_start"] = _number((cold["done"][0] - cold["sent"][0]) * 1000) if len(cold) else None
        rows.append(row)
    return rows


def _count(samples: Samples, plan: LatencyPlan, by: By) -> dict[str, Any]:
    import numpy as np

    kinds = np.bincount(samples["outcome"], minlength=max(Outcome) + 1)
    dropped = int(kinds[Outcome.DROPPED])
    errors = {words: int(kinds[kind]) for kind, words in ERRORS.items() if kinds[kind]}
    wanted = reached = None
    if by != "revision":  # of a revision that shares blocks with another there is no rate of its own
        wanted, reached = _rates(samples, plan)
    return {
        "requests": len(samples) - dropped,
        "rate_wanted": wanted,
        "rate_reached": reached,
        "dropped": dropped,
        "errors": sum(errors.values()),
        "errors_by_kind": errors,
    }


def _rates(samples: Samples, plan: LatencyPlan) -> tuple[float | None, float | None]:
    """Requests a second: those that were planned, and those that ended, where a block lasts until its last answer."""
    import numpy as np

    order = np.argsort(samples["block"], kind="stable")
    _, starts, counts = np.unique(samples["block"][order], return_index=True, return_counts=True)
    planned = samples["planned"][order]
    first, last = np.minimum.reduceat(planned, starts), np.maximum.reduceat(planned, starts)
    # Between n requests there are n - 1 gaps; the last one is as long as the others are on average.
    spans = np.where(counts > 1, (last - first) * counts / np.maximum(1, counts - 1), plan.block)
    ended = (samples["outcome"] != Outcome.DROPPED) & ~np.isnan(samples["done"])
    done = np.where(ended, samples["done"], -math.inf)[order]
    taken = np.maximum.reduceat(done, starts) - first
    seconds = np.maximum(spans, taken) if plan.mode == "open" else np.where(np.isfinite(taken), taken, spans)
    wanted = len(samples) / spans.sum() if spans.sum() and plan.mode == "open" else None
    return _number(wanted), _number(ended.sum() / seconds.sum() if seconds.sum() else None)


def _percentiles(samples: Samples) -> dict[str, Any]:
    import numpy as np

    values, blocks = latencies(samples), divide_blocks(samples["block"].astype("int64"), samples["planned"])
    ordered = np.sort(values)
    answered = np.sort(values[samples["outcome"] == 0])
    row: dict[str, Any] = {"missing": []}
    for quantile in QUANTILES:
        name = percentile_name(quantile)
        row |= {name: None, f"{name}_low": None, f"{name}_high": None}
        if len(ordered) < requests_needed(quantile):
            row["missing"].append(describe_missing(quantile, len(ordered)))
            continue
        row[name] = _number(find_quantile(ordered, quantile))
        if row[name] is None:
            row["missing"].append(f"{name} is among the requests without an end")
        low, high = quantile_interval(ordered, quantile, independent=count_independent(values, blocks, quantile))
        row[f"{name}_low"], row[f"{name}_high"] = _number(low) if low else None, _number(high)
    row["mean"], row["max"] = (_number(ordered.mean()), _number(ordered[-1])) if len(ordered) else (None, None)
    if 0 < len(answered) < len(ordered):
        enough = [quantile for quantile in QUANTILES if len(answered) >= requests_needed(quantile)]
        row |= {f"ok_{percentile_name(quantile)}": _number(find_quantile(answered, quantile)) for quantile in enough}
    return row


def _times(samples: Samples) -> dict[str, float | None]:
    """Percentiles of the service time, and the medians of what it is made of."""
    import numpy as np

    times = np.sort(service_times(samples))
    row: dict[str, float | None] = {
        f"service_{percentile_name(quantile)}": _number(find_quantile(times, quantile))
        if len(times) >= requests_needed(quantile)
        else None
        for quantile in (0.5, 0.99)
    }
    told = samples[~np.isnan(samples["run"]) & ~np.isnan(samples["sent"])]
    parts = {name: np.nan_to_num(told[name].astype(np.float64)) for name in PARTS}
    for name, values in parts.items():
        row[name] = _number(np.median(values)) if len(told) else None
    rest = (told["done"] - told["sent"]) * 1000 - sum(parts.values())
    row["network"] = _number(np.median(rest)) if len(told) else None
    return row


def _number(value: Any) -> float | None:
    """A finite number as JSON has it; None for others."""
    number = math.nan if value is None else float(value)
    return round(number, 6) if math.isfinite(number) else None
