"""python -m tests.benchmarks.latency [--seconds 20] [--tries 6] [--only accuracy agreement capacity] [--vegeta PATH]

Accuracy: the quantiles that the lab reports against the delays that the server made and measured itself, at 200
requests a second, with a closed loop of one user beside it. Agreement: the same quantiles from vegeta, at the same
rate and with the same priority, of slower answers. Capacity: 3,000 requests a second from one process on one core; its
lag, its processor time and its memory.

Blocks that the lab leaves out of a run, because it was late there itself, are left out of the server's delays, too;
vegeta has none of that. A run that the lab calls invalid is repeated, `--tries` times at most, since nobody may use its
numbers; the output says how often. Each line has the load average: on a busy machine it says more about that than about
the lab.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from mldeploy_jupyter.latency.generator.__main__ import take_priority
from tests.benchmarks.latency.lab import PAYLOADS, KnownServer, Seen, measure

Result = TypeVar("Result")

Floats = np.ndarray[Any, Any]

PROFILES = {"fixed": ("fixed", 5), "bimodal": ("bimodal", 2, 20, 0.05), "stall": ("stall", 2, 200, 1000)}

# Slower ones for vegeta, which counts until its own process has read the answer: 0.2 ms are 10 % of 2 ms.
AGREEMENT_PROFILES = {"fixed": ("fixed", 10), "bimodal": ("bimodal", 10, 50, 0.05), "stall": ("stall", 10, 200, 1000)}

QUANTILES = (50, 90, 99)

RATE = 200.0

AGREEMENT_RATE = 500.0

ROUNDS = 4  # of the lab and vegeta

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
    left_out = f", {len(seen.ending.left_out)} blocks left out" if seen.ending.left_out else ""
    return f"n={len(seen.latencies)}{left_out}, lag p99 {lag.get('p99', 0):.2f} ms, load {os.getloadavg()[0]:.1f}"


def measure_valid(tries: int, run: Callable[[], tuple[Seen, Result]]) -> tuple[Seen, Result, str]:
    """The first valid run with what else was measured in it, and how many were not; the last where none was valid."""
    for number in range(1, tries + 1):
        seen, result = run()
        if not seen.ending.invalid_reason:
            return seen, result, f"run {number}" if number > 1 else "first run"
    return seen, result, f"INVALID {tries} times"


def check_accuracy(seconds: float, tries: int) -> None:
    print(f"accuracy at {RATE:g}/s             p50, p90, p99 in ms")
    for name, profile in PROFILES.items():
        with KnownServer(*profile) as server:

            def run(server: KnownServer = server) -> tuple[Seen, list[float]]:
                server.read_delays()
                seen = measure([server.uri], rate=RATE, duration=seconds, warmup=0)
                return seen, quantiles(seen.of_counted(server.read_delays()))

            seen, true, which = measure_valid(tries, run)
            reported = quantiles(seen.latencies)
            show(f"{name}: the server", true)
            verdicts = ["met" if within(*pair) else "MISSED" for pair in zip(reported, true, strict=True)]
            show(f"{name}: the lab", reported, f"{' '.join(verdicts)}; {which}; {describe(seen)}")
            closed = measure([server.uri], mode="closed", users=1, duration=seconds, warmup=0)
            show(f"{name}: a closed loop, one user", quantiles(closed.latencies), f"n={len(closed.samples)}")


def check_agreement(seconds: float, tries: int, vegeta: str) -> None:
    print(f"agreement at {AGREEMENT_RATE:g}/s            p50, p90, p99 in ms")
    for name, profile in AGREEMENT_PROFILES.items():
        with KnownServer(*profile) as server:
            ours_all, theirs_all, lags = [], [], []
            for _ in range(ROUNDS):  # in turns: what disturbs the machine disturbs both

                def run(server: KnownServer = server) -> tuple[Seen, Floats]:
                    seen = measure([server.uri], rate=AGREEMENT_RATE, duration=seconds / ROUNDS, warmup=0)
                    return seen, attack(vegeta, server.uri, AGREEMENT_RATE, seconds / ROUNDS)

                seen, answers, _ = measure_valid(tries, run)
                ours_all.append(seen.latencies)
                theirs_all.append(answers)
                lags.append(seen.ending.lag["p99"])
            ours, theirs = quantiles(np.concatenate(ours_all)), quantiles(np.concatenate(theirs_all))
            ratios = [ours[at] / theirs[at] for at in range(len(QUANTILES))]
            good = all(abs(ratios[at] - 1) <= 0.05 for at in (0, 2))
            show(f"{name}: vegeta", theirs)
            show(f"{name}: the lab", ours, f"lag p99 up to {max(lags):.2f} ms, load {os.getloadavg()[0]:.1f}")
            show(f"{name}: ratio", ratios, "met" if good else "MISSED")


def attack(vegeta: str, uri: str, rate: float, seconds: float) -> Floats:
    """The latencies that vegeta measures, in milliseconds, exactly: from its raw results."""
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "body"
        body.write_bytes(PAYLOADS[0].body)
        attacked = subprocess.run(
            [vegeta, "attack", f"-rate={rate:g}", f"-duration={seconds:g}s", f"-body={body}", "-max-workers=256"],
            input=f"POST {uri}\n".encode(),
            capture_output=True,
            check=True,
            preexec_fn=take_priority,  # as the lab's own process does
        )
        encoded = subprocess.run(
            [vegeta, "encode", "--to=json"], input=attacked.stdout, capture_output=True, check=True
        )
    return np.array([json.loads(line)["latency"] / 1e6 for line in encoded.stdout.splitlines()])


def check_capacity(seconds: float, tries: int) -> None:
    print(f"capacity at {CAPACITY_RATE:g}/s            p50, p90, p99 in ms")
    cores = sorted(os.sched_getaffinity(0))
    with KnownServer("fixed", 0) as server:
        if len(cores) > 1:
            os.sched_setaffinity(server.pid, {cores[1]})
        os.sched_setaffinity(0, {cores[0]})  # and the generator's process, which inherits it
        try:

            def run() -> tuple[Seen, tuple[float, float]]:
                before, _ = _children()
                seen = measure([server.uri], rate=CAPACITY_RATE, duration=seconds, max_requests=10_000_000)
                after, memory = _children()
                return seen, (after - before, memory)

            seen, (cpu, memory), which = measure_valid(tries, run)
        finally:
            os.sched_setaffinity(0, set(cores))
    reached = len(seen.samples) / seen.ending.services[0]["seconds"]
    good = seen.ending.lag["p99"] < 1.0 and reached >= 0.99 * CAPACITY_RATE
    show("latency", quantiles(seen.latencies), f"{which}; {describe(seen)}")
    print(
        f"{reached:,.0f} requests a second, {cpu / len(seen.samples) * 1e6:.0f} us of processor time each, "
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
    parser.add_argument("--tries", type=int, default=6)
    parser.add_argument("--only", nargs="*", default=["accuracy", "agreement", "capacity"])
    parser.add_argument("--vegeta", default=shutil.which("vegeta"))
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
    if "accuracy" in arguments.only:
        check_accuracy(arguments.seconds, arguments.tries)
    if "agreement" in arguments.only:
        if arguments.vegeta is None:
            print("agreement: not measured; go install github.com/tsenart/vegeta/v12@latest")
        else:
            check_agreement(arguments.seconds, arguments.tries, arguments.vegeta)
    if "capacity" in arguments.only:
        check_capacity(arguments.seconds, arguments.tries)


if __name__ == "__main__":
    main()
