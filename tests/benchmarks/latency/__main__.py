"""python -m tests.benchmarks.latency [--seconds 20] [--only accuracy agreement capacity] [--vegeta PATH]

Accuracy: the quantiles that the lab reports against the delays that the server made and measured itself, at 200
requests a second, with a closed loop of one user beside it. Agreement: the same quantiles from vegeta, at the same
rate. Capacity: 3,000 requests a second from one process on one core; its lag, its processor time and its memory.

Each line has the load average: on a busy machine they say more about it than about the lab. With `chrt -r 10` before
the command, which needs root, other programs come second.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.latency.lab import PAYLOADS, KnownServer, Seen, measure

PROFILES = {"fixed": ("fixed", 5), "bimodal": ("bimodal", 2, 20, 0.05), "stall": ("stall", 2, 200, 1000)}

QUANTILES = (50, 90, 99)

RATE = 200.0

AGREEMENT_RATE = 500.0

CAPACITY_RATE = 3000.0


def quantiles(values: np.ndarray[Any, Any]) -> list[float]:
    return [float(value) for value in np.percentile(values, QUANTILES)]


def show(name: str, values: list[float], more: str = "") -> None:
    cells = "".join(f"{value:10.2f}" for value in values)
    print(f"{name:34}{cells}   {more}", flush=True)


def within(measured: float, true: float) -> bool:
    """2 %, or 0.2 ms."""
    return abs(measured - true) <= max(0.02 * true, 0.2)


def describe(seen: Seen) -> str:
    lag = seen.ending.lag
    return f"n={len(seen.samples)}, lag p99 {lag.get('p99', 0):.2f} ms, load {os.getloadavg()[0]:.1f}"


def check_accuracy(seconds: float) -> None:
    print(f"accuracy at {RATE:g}/s             p50, p90, p99 in ms")
    for name, profile in PROFILES.items():
        with KnownServer(*profile) as server:
            server.read_delays()
            seen = measure([server.uri], rate=RATE, duration=seconds, warmup=0)
            true, reported = quantiles(server.read_delays()), quantiles(seen.latencies)
            show(f"{name}: the server", true)
            verdicts = ["met" if within(*pair) else "MISSED" for pair in zip(reported, true, strict=True)]
            show(f"{name}: the lab", reported, f"{' '.join(verdicts)}; {describe(seen)}")
            closed = measure([server.uri], mode="closed", users=1, duration=seconds, warmup=0)
            show(f"{name}: a closed loop, one user", quantiles(closed.latencies), f"n={len(closed.samples)}")


def check_agreement(seconds: float, vegeta: str) -> None:
    print(f"agreement at {AGREEMENT_RATE:g}/s            p50, p90, p99 in ms")
    for name, profile in PROFILES.items():
        with KnownServer(*profile) as server:
            seen = measure([server.uri], rate=AGREEMENT_RATE, duration=seconds, warmup=0)
            ours = quantiles(seen.latencies)
            theirs = attack(vegeta, server.uri, AGREEMENT_RATE, seconds)
            ratios = [ours[at] / theirs[at] for at in range(len(QUANTILES))]
            good = all(abs(ratios[at] - 1) <= 0.05 for at in (0, 2))
            show(f"{name}: vegeta", theirs)
            show(f"{name}: the lab", ours, describe(seen))
            show(f"{name}: ratio", ratios, "met" if good else "MISSED")


def attack(vegeta: str, uri: str, rate: float, seconds: float) -> list[float]:
    """The quantiles that vegeta measures, in milliseconds, exactly: from its raw results."""
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "body"
        body.write_bytes(PAYLOADS[0].body)
        attacked = subprocess.run(
            [vegeta, "attack", f"-rate={rate:g}", f"-duration={seconds:g}s", f"-body={body}", "-max-workers=256"],
            input=f"POST {uri}\n".encode(),
            capture_output=True,
            check=True,
        )
        encoded = subprocess.run(
            [vegeta, "encode", "--to=json"], input=attacked.stdout, capture_output=True, check=True
        )
    return quantiles(np.array([json.loads(line)["latency"] / 1e6 for line in encoded.stdout.splitlines()]))


def check_capacity(seconds: float) -> None:
    print(f"capacity at {CAPACITY_RATE:g}/s            p50, p90, p99 in ms")
    cores = sorted(os.sched_getaffinity(0))
    with KnownServer("fixed", 0) as server:
        if len(cores) > 1:
            os.sched_setaffinity(server.pid, {cores[1]})
        os.sched_setaffinity(0, {cores[0]})  # and the generator's process, which inherits it
        try:
            before, _ = _children()
            seen = measure([server.uri], rate=CAPACITY_RATE, duration=seconds, max_requests=10_000_000)
            cpu, memory = _children()
        finally:
            os.sched_setaffinity(0, set(cores))
    reached = len(seen.samples) / seen.ending.services[0]["seconds"]
    good = seen.ending.lag["p99"] < 1.0 and reached >= 0.99 * CAPACITY_RATE
    show("latency", quantiles(seen.latencies), describe(seen))
    print(
        f"{reached:,.0f} requests a second, {(cpu - before) / len(seen.samples) * 1e6:.0f} us of processor time each, "
        f"{memory / 1e6:.0f} MB; {'met' if good else 'MISSED'}: lag {seen.ending.lag}"
    )


def _children() -> tuple[float, float]:
    """Processor seconds of the children that have ended, and the most memory of one of them in bytes."""
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime, used.ru_maxrss * 1024.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--only", nargs="*", default=["accuracy", "agreement", "capacity"])
    parser.add_argument("--vegeta", default=shutil.which("vegeta"))
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
    if "accuracy" in arguments.only:
        check_accuracy(arguments.seconds)
    if "agreement" in arguments.only:
        if arguments.vegeta is None:
            print("agreement: not measured; go install github.com/tsenart/vegeta/v12@latest")
        else:
            check_agreement(arguments.seconds, arguments.vegeta)
    if "capacity" in arguments.only:
        check_capacity(arguments.seconds)


if __name__ == "__main__":
    main()
