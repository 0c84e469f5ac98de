"""Latencies over time: what percentiles hide, such as two modes, a stall, or a change after a deployment."""

from __future__ import annotations

from typing import Any

from mldeploy_jupyter.latency.figures.charts import (
    Axis,
    CellChart,
    CellRow,
    Mark,
    linear_ticks,
    log_bounds,
    log_ticks,
)
from mldeploy_jupyter.latency.figures.measured import Measured, only_measured
from mldeploy_jupyter.latency.recording import Outcome
from mldeploy_jupyter.latency.summary import latencies

CELLS = 6000  # of all services at most: a picture, not a data set
MOST_COLUMNS, MOST_ROWS = 200, 80
FEWEST_COLUMNS, FEWEST_ROWS = 24, 16

# What has no latency, or one that is a limit or a failure's. They have rows of their own, so that neither a limit nor a
# quick refusal looks like an answer.
FAILURES: tuple[tuple[str, tuple[Outcome, ...]], ...] = (
    ("timed out", (Outcome.TIMEOUT,)),
    (
        "failed",
        (
            Outcome.CLIENT_ERROR, Outcome.SERVER_ERROR, Outcome.NO_CONNECTION, Outcome.BROKEN_ANSWER,
            Outcome.UNAUTHORISED, Outcome.THROTTLED, Outcome.UNAVAILABLE,
        ),
    ),
    ("never sent", (Outcome.DROPPED,)),
    ("cut off", (Outcome.UNFINISHED,)),
)  # fmt: skip


def heatmap_chart(measured: Measured, cells: int = CELLS) -> CellChart:
    """Counts of requests by the time they were planned for and their latency, in buckets that grow by a factor."""
    import numpy as np

    samples = only_measured(measured.samples)
    planned, latency = samples["planned"], latencies(samples)
    begin, end = (float(planned.min()), float(planned.max())) if len(samples) else (0.0, 1.0)
    end = max(end, begin + 1e-3)
    columns, rows = _shape(cells // max(1, len(measured.names)), len(samples))
    x_edges = _time_edges(samples, len(measured.names), columns, begin, end)
    answered = (samples["outcome"] == Outcome.OK) & np.isfinite(latency) & (latency > 0)
    known = latency[answered] if answered.any() else np.array([1.0, 10.0])
    low, high = log_bounds([float(known.min()), float(known.max())])
    y_edges = np.geomspace(low, high, rows + 1)
    found = []
    for service, name in enumerate(measured.names):
        own = samples["service"] == service
        counts, _, _ = np.histogram2d(latency[own & answered], planned[own & answered], (y_edges, x_edges))
        found.append(CellRow(name, counts.astype(int).tolist(), _failures(samples, own, x_edges)))
    return CellChart(
        "heatmap",
        "Latency over time",
        Axis("time since the run began", "linear", begin, end, [(at, f"{at:g} s") for at in linear_ticks(begin, end)]),
        Axis("latency", "log", low, high, log_ticks(low, high)),
        x_edges.tolist(),
        y_edges.tolist(),
        found,
        [Mark(at, text) for at, text in sorted([*measured.marks, *_updates(samples)]) if begin <= at <= end],
    )


def _time_edges(samples: Any, services: int, columns: int, begin: float, end: float) -> Any:
    """The edges of the columns. Services that take turns have whole rounds in each, so that no column is empty."""
    import numpy as np

    if services < 2 or not len(samples):
        return np.linspace(begin, end, columns + 1)
    rounds = samples["block"] // services
    starts = np.array([samples["planned"][rounds == number].min() for number in np.unique(rounds)])
    starts = np.sort(starts)[:: -(-len(starts) // columns)]
    return np.concatenate((starts, [end]))


def _updates(samples: Any) -> list[tuple[float, str]]:
    """When each later revision of a service answered first."""
    import numpy as np

    found = []
    for service in np.unique(samples["service"]):
        own = samples[(samples["service"] == service) & (samples["revision"] > 0)]
        revisions, first = np.unique(own["revision"], return_index=True)
        moments = sorted(
            (float(own["planned"][at]), int(revision)) for revision, at in zip(revisions, first, strict=True)
        )
        found += [(at, f"revision {revision}") for at, revision in moments[1:]]
    return found


def _shape(cells: int, count: int) -> tuple[int, int]:
    """Columns and rows: as many as fit, and no more than the requests can fill."""
    rows = min(MOST_ROWS, max(FEWEST_ROWS, int((cells / 2.5) ** 0.5)))
    columns = min(MOST_COLUMNS, max(FEWEST_COLUMNS, cells // rows))
    return min(columns, max(FEWEST_COLUMNS, count // 8)), rows


def _failures(samples: Any, own: Any, edges: Any) -> list[tuple[str, list[int]]]:
    import numpy as np

    found = []
    for title, outcomes in FAILURES:
        chosen = own & np.isin(samples["outcome"], outcomes)
        if chosen.any():
            found.append((title, np.histogram(samples["planned"][chosen], edges)[0].tolist()))
    return found
