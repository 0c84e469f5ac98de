"""Where the time goes: what the server says of each request, and what is left for the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.latency.figures.charts import Axis, Bar, BarChart, linear_ticks, tick_text
from mldeploy_jupyter.latency.figures.measured import Measured, Series, series
from mldeploy_jupyter.latency.recording import PARTS as TOLD
from mldeploy_jupyter.latency.recording import Outcome

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PARTS = ("Before the send", "Network", *(name.capitalize() for name in TOLD))

TYPICAL = (0.4, 0.6)  # percentiles between which a request is typical
SLOWEST = 0.99  # percentile above which it is one of the slowest


def parts_chart(measured: Measured) -> BarChart:
    """Two bars for each service: a typical request, and the slowest one in a hundred. Means, which add up."""
    bars = []
    for each in series(measured):
        bars += [Bar(f"{each.name}, {title}", each.name, values) for title, values in split_time(each)]
    longest = max((sum(bar.values) for bar in bars), default=1.0) or 1.0
    ticks = [(at, tick_text(at)) for at in linear_ticks(0.0, longest * 1.12)]
    return BarChart(
        "parts",
        "Where the time goes",
        Axis("time of a request", "linear", 0.0, longest * 1.12, ticks),
        PARTS,
        bars,
        ("Means of the requests between the 40th and the 60th percentile, and of the slowest 1 %.",),
    )


def split_time(each: Series) -> list[tuple[str, list[float]]]:
    """The mean parts of a typical and of a slow request that were answered, in milliseconds.

    Of a service that sends no `Server-Timing`, all of the answer counts as network.
    """
    import numpy as np

    answered = each.samples["outcome"] == Outcome.OK
    samples, latency = each.samples[answered], each.latency[answered]
    if not len(samples):
        return []
    order = np.argsort(latency, kind="stable")
    count = len(order)
    typical = order[int(count * TYPICAL[0]) : max(int(count * TYPICAL[0]) + 1, int(np.ceil(count * TYPICAL[1])))]
    slowest = order[min(count - 1, int(count * SLOWEST)) :]
    return [("typical", mean_parts(samples[typical])), ("slowest 1 %", mean_parts(samples[slowest]))]


def mean_parts(samples: Any) -> list[float]:
    """The mean of each part over these requests."""
    import numpy as np

    before = (samples["sent"] - samples["planned"]) * 1000.0
    whole: NDArray[np.float64] = (samples["done"] - samples["sent"]) * 1000.0
    inside = [np.nan_to_num(samples[name].astype(float)) for name in TOLD]
    network = np.maximum(whole - sum(inside), 0.0)
    return [round(float(np.mean(np.maximum(values, 0.0))), 4) for values in (before, network, *inside)]
