"""python -m tests.benchmarks.latency [--seconds 8] [--rounds 4] [--tries 6] [--only accuracy agreement capacity]
[--vegeta PATH]

Accuracy: the quantiles that the lab reports against the delays that the server made and measured itself, at 200
requests a second, in several rounds; in the first with a closed loop of one user beside it. Agreement: the same
quantiles from vegeta, at the same rate and with the same priority, of slower answers. Both take turns on one server,
and what each reports is compared with what the server measured in its own turns: that shows how much of a difference is
the tool's. Capacity: 3,000 requests a second from one process on one core; its lag, its processor time and its memory.

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
from mldeploy_jupyter.latency.statistics import quantile_interval
from tests.benchmarks.latency.lab import PAYLOADS, KnownServer, Seen, measure

Result = TypeVar("Result")

Floats = np.ndarray[Any, Any]

PROFILES = {"fixed": ("fixed", 5), "bimodal": ("bimodal", 2, 20, 0.05), "stall": ("stall", 2, 200, 1000)}

# Slower ones for vegeta, which counts until its own process has read the answer: 0.3 ms are 15 % of 2 ms.
AGREEMENT_PROFILES = {"fixed": ("fixed", 20), "bimodal": ("bimodal", 20, 100, 0.05), "stall": ("stall", 20, 200, 1000)}

QUANTILES = (50, 90, 99)

RATE = 200.0

TURNS = 5  # of the lab and vegeta each

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


def check_accuracy(seconds: float, tries: int, rounds: int) -> None:
    print(f"accuracy at {RATE:g}/s             p50, p90, p99 in ms")
    found = [
        verdict
        for number in range(rounds)
        for name in PROFILES
        for verdict in _check_profile(name, seconds, tries, with_closed_loop=number == 0)
    ]
    print(f"{sum(found)} of {len(found)} quantiles are met", flush=True)


def _check_profile(name: str, seconds: float, tries: int, with_closed_loop: bool) -> list[bool]:
    """Whether each quantile is within the limits."""
    with KnownServer(*PROFILES[name]) as server:

        def run() -> tuple[Seen, list[float]]:
            server.read_delays()
            seen = measure([server.uri], rate=RATE, duration=seconds, warmup=0)
            return seen, quantiles(seen.of_counted(server.read_delays()))

        seen, true, which = measure_valid(tries, run)
        reported = quantiles(seen.latencies)
        met = [within(*pair) for pair in zip(reported, true, strict=True)]
        show(f"{name}: the server", true)
        words = " ".join("met" if each else "MISSED" for each in met)
        show(f"{name}: the lab", reported, f"{words}; {which}; {describe(seen)}")
        if with_closed_loop:
            closed = measure([server.uri], mode="closed", users=1, duration=seconds, warmup=0)
            show(f"{name}: a closed loop, one user", quantiles(closed.latencies), f"n={len(closed.samples)}")
    return met


def check_agreement(seconds: float, tries: int, vegeta: str) -> None:
    """In turns, each tool first in every other one: what disturbs the machine disturbs both."""
    print(f"agreement at {RATE:g}/s            p50, p90, p99 in ms")
    turn = max(1, round(seconds / 2))  # whole seconds, so that each has as many stalls
    for name, profile in AGREEMENT_PROFILES.items():
        reported: dict[str, list[Floats]] = {"the lab": [], "vegeta": []}
        true: dict[str, list[Floats]] = {"the lab": [], "vegeta": []}
        lags = []
        with KnownServer(*profile, priority=True) as server:

            def run(server: KnownServer = server) -> tuple[Seen, Floats]:
                server.read_delays()
                seen = measure([server.uri], rate=RATE, duration=turn, warmup=0)
                return seen, seen.of_counted(server.read_delays())

            for number in range(TURNS):
                for tool in sorted(reported, reverse=number % 2 == 1):
                    if tool == "vegeta":
                        server.read_delays()
                        answers, delays = attack(vegeta, server.uri, RATE, turn), server.read_delays()
                    else:
                        seen, delays, _ = measure_valid(tries, run)
                        answers = seen.latencies
                        lags.append(seen.ending.lag["p99"])
                    reported[tool].append(answers)
                    true[tool].append(delays)
        for tool in reported:
            delays, answers = np.concatenate(true[tool]), np.concatenate(reported[tool])
            show(f"{name}: the server, for {tool}", quantiles(delays))
            low, high = quantile_interval(np.sort(answers), 0.99)
            lag = f", lag p99 up to {max(lags):.2f} ms" if tool == "the lab" else ""
            interval = f"95 % CI of p99 {low:.2f} to {high:.2f}"
            show(f"{name}: {tool}", quantiles(answers), f"n={len(answers)}, {interval}{lag}")
            more = [has - made for has, made in zip(quantiles(answers), quantiles(delays), strict=True)]
            show(f"{name}: {tool}, more than the server", more)
        ours, theirs = (quantiles(np.concatenate(reported[tool])) for tool in reported)
        ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
        good = all(abs(ratios[at] - 1) <= 0.05 for at in (0, 2))
        show(f"{name}: the lab / vegeta", ratios, f"{'met' if good else 'MISSED'}; load {os.getloadavg()[0]:.1f}")


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
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=4, help="of the accuracy")
    parser.add_argument("--tries", type=int, default=6)
    parser.add_argument("--only", nargs="*", default=["accuracy", "agreement", "capacity"])
    parser.add_argument("--vegeta", default=shutil.which("vegeta"))
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
    if "accuracy" in arguments.only:
        check_accuracy(arguments.seconds, arguments.tries, arguments.rounds)
    if "agreement" in arguments.only:
        if arguments.vegeta is None:
            print("agreement: not measured; go install github.com/tsenart/vegeta/v12@latest")
        else:
            check_agreement(arguments.seconds, arguments.tries, arguments.vegeta)
    if "capacity" in arguments.only:
        check_capacity(arguments.seconds, arguments.tries)


if __name__ == "__main__":
    main()
