"""Samples as a generator would have written them, from latencies that are given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mldeploy_jupyter.latency.measuring import Ending
from mldeploy_jupyter.latency.plan import LatencyPlan, PlannedService
from mldeploy_jupyter.latency.recording import Outcome, Phase, sample_dtype
from mldeploy_jupyter.latency.result import LatencyResult


def make_samples(
    milliseconds: Sequence[float] | NDArray[np.float64],
    *,
    service: int = 0,
    services: int = 1,
    rate: float = 100.0,
    late: float = 0.0,
    revision: int | Sequence[int] = 1,
    step: int = 0,
    parts: Sequence[float] | None = (0.1, 0.05, 0.5, 0.02),
    begin: float = 0.0,
) -> NDArray[np.void]:
    """A sample for each latency, in turns of a second; it is sent `late` milliseconds after it was due."""
    count = len(milliseconds)
    samples = np.zeros(count, sample_dtype())
    due = np.arange(count) / rate
    turn = np.floor(due + 1e-9)
    samples["planned"] = begin + due + turn * (services - 1) + service
    samples["sent"] = samples["planned"] + late / 1000
    samples["done"] = samples["planned"] + np.asarray(milliseconds) / 1000
    samples["service"], samples["revision"], samples["step"] = service, revision, step
    samples["status"], samples["phase"] = 200, Phase.MEASURED
    samples["block"] = turn * services + service
    for place, name in enumerate(("queue", "parse", "run", "serialise")):
        samples[name] = math.nan if parts is None else parts[place]
    samples["connect"] = math.nan
    return samples


def fail(samples: NDArray[np.void], which: Any, outcome: Outcome, status: int = 0) -> None:
    """Gives some samples another outcome; dropped ones were never sent."""
    samples["outcome"][which], samples["status"][which] = outcome, status
    samples["revision"][which] = 0 if status == 0 else samples["revision"][which]
    for name in ("queue", "parse", "run", "serialise"):
        samples[name][which] = math.nan
    if outcome is Outcome.DROPPED:
        samples["sent"][which] = math.nan


def cold_start(milliseconds: float, service: int = 0) -> NDArray[np.void]:
    sample = make_samples([milliseconds], service=service, begin=-1.0)
    sample["phase"] = Phase.COLD_START
    return sample


def make_plan(*names: str, **more: Any) -> LatencyPlan:
    services = tuple(
        PlannedService(name, f"http://127.0.0.1:{6000 + place}/score", "demo", "local", 1)
        for place, name in enumerate(names or ("churn",))
    )
    return LatencyPlan(services, **{"rate": 100.0, **more})


def make_result(samples: NDArray[np.void], plan: LatencyPlan | None = None, **ending: Any) -> LatencyResult:
    plan = plan or make_plan()
    known = {"begun": "2026-11-27T03:00:00+00:00", "ended": "2026-11-27T03:00:10+00:00", "rate": plan.rate}
    return LatencyResult(
        "20261127T030000-a1b2c3", plan, Ending(**{"reason": "finished", **known, **ending}), lambda: samples
    )


def steady(count: int, scale: float = 2.0, seed: int = 1, **more: Any) -> NDArray[np.void]:
    """Log-normal latencies with the median `scale`."""
    return make_samples(np.random.default_rng(seed).lognormal(math.log(scale), 0.2, count), **more)
