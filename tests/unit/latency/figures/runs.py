"""Runs of made-up services, whose latencies come from a seeded generator."""

from __future__ import annotations

from typing import Any

import numpy as np

from mldeploy_jupyter.latency.figures import Measured
from mldeploy_jupyter.latency.plan import LatencyPlan, PlannedService
from mldeploy_jupyter.latency.recording import Outcome, Phase, sample_dtype


def make_samples(seconds: Any, latency_ms: Any, *, service: int = 0, revision: int = 1, block: Any = 0, step: int = 0,
                 wait_ms: float = 0.05) -> np.ndarray[Any, Any]:  # fmt: skip
    """Measured requests that were planned for these seconds and took that long, in order."""
    samples = np.zeros(len(seconds), sample_dtype())
    samples["planned"] = seconds
    samples["sent"] = samples["planned"] + wait_ms / 1000
    samples["done"] = samples["planned"] + np.asarray(latency_ms) / 1000
    samples["service"], samples["revision"], samples["status"] = service, revision, 200
    samples["phase"], samples["block"], samples["step"] = Phase.MEASURED, block, step
    run = np.maximum(np.asarray(latency_ms) * 0.6 - 0.2, 0.05)
    samples["queue"], samples["parse"], samples["run"], samples["serialise"] = 0.03, 0.08, run, 0.02
    return samples


def three_services(count: int = 2000, seed: int = 1) -> Measured:
    """A fast service, one with two modes and a stall, one that sleeps and times out now and then. Turns of a second."""
    random = np.random.default_rng(seed)
    services = tuple(
        PlannedService(name, f"http://127.0.0.1:{9000 + at}/score", target="local", revision=1)
        for at, name in enumerate(("diabetes", "diabetes-batched", "diabetes-sleepy"))
    )
    rate, parts = 100.0, []
    for service in range(3):
        at = np.arange(count) / rate
        block = (at // 1.0).astype(int)
        planned = at + block * 2.0 + service  # the others' turns lie between
        latency = random.gamma(6.0, (0.3, 0.8, 0.5)[service], count) + (0.8, 2.5, 20.0)[service]
        if service == 1:
            slow = random.random(count) < 0.2
            latency[slow] += 9.0
            stall = block == 7
            latency[stall] += np.maximum(0.0, 200.0 - 1000 * (at[stall] % 1.0))
        made = make_samples(planned, latency, service=service, block=block * 3 + service)
        if service == 2:
            late = np.flatnonzero(random.random(count) < 0.003)
            made["outcome"][late], made["status"][late] = Outcome.TIMEOUT, 0
            made["done"][late] = made["planned"][late] + 1.0
            made["outcome"][count // 2 : count // 2 + 12] = Outcome.NO_CONNECTION
            made["done"][count // 2 : count // 2 + 12] = made["planned"][count // 2 : count // 2 + 12] + 0.0003
        parts.append(made)
    samples = np.concatenate(parts)
    plan = LatencyPlan(services, rate=rate, duration=count / rate, timeout=1.0)
    return Measured(samples, plan, budget=50.0)


def updated_service(count: int = 4000, seed: int = 2) -> Measured:
    """A service whose second revision takes over in the middle."""
    random = np.random.default_rng(seed)
    at = np.arange(count) / 200.0
    latency = random.gamma(6.0, 0.3, count) + 0.8
    samples = make_samples(at, latency, block=(at // 1.0).astype(int))
    samples["revision"][count // 2 :] = 2
    samples["done"][count // 2 :] += 0.0015
    plan = LatencyPlan(
        (PlannedService("diabetes", "http://127.0.0.1:9000/score", revision=1),), rate=200.0, duration=20.0
    )
    return Measured(samples, plan)


def ramp(rates: tuple[float, ...] = (50, 100, 200, 400, 800, 1000), capacity: float = 700.0, seed: int = 3) -> Measured:
    """A service of one worker that can answer so many requests a second, under a ramp of steps of 2.5 seconds."""
    random = np.random.default_rng(seed)
    parts, begin = [], 0.0
    for step, rate in enumerate(rates):
        planned = begin + np.arange(int(rate * 2.5)) / rate
        done, free = np.empty(len(planned)), 0.0
        takes = random.gamma(8.0, 1 / capacity / 8.0, len(planned))
        for at, (due, take) in enumerate(zip(planned, takes, strict=True)):
            free = max(free, due) + take
            done[at] = free
        parts.append(make_samples(planned, (done - planned) * 1000 + 0.4, block=step, step=step))
        begin = float(done.max()) + 0.1
    plan = LatencyPlan((PlannedService("diabetes", "http://127.0.0.1:9000/score"),), ramp=rates, duration=2.5)
    return Measured(np.concatenate(parts), plan, budget=20.0)
