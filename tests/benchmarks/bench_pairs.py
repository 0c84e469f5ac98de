"""How far the scoring server is from the limit, in pairs: short loads in turn on servers that all run at once.

    python -m tests.benchmarks.bench_pairs [--seconds 1] [--minutes 5] [--work small,batch,raw] [--before FOLDER] \\
        [--client http.client|requests] [--environments DIR]

A machine that changes its speed from second to second slows both of a pair nearly alike, so ratios settle sooner than
in `bench_serving`, which starts every server anew. All servers are on one processor, and `wrk` is on another; the order
is reversed each round. Shown are medians, and ratios with the lowest and the highest. `--before` is a clone of an
earlier version that has a virtualenv of its own, `.venv`: it takes part as `ours before`. `--client` loads with one of
Python's clients instead of wrk, with fewer connections.

Needs what `bench_serving` needs.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.serving import environments, inside, processes, python_clients, report, turn, wrk
from tests.benchmarks.serving.figures import Key, Rounds, verdicts
from tests.benchmarks.serving.servers import OURS, OWN_LOOP, SERVERS, WITH_DUTIES, Server
from tests.benchmarks.serving.work import WORKS, Work, body

BEFORE = "ours before"
LOADS = (("small", 1), ("small", 8), ("small", 64), ("batch", 8), ("batch", 64), ("raw", 8))
LOADS_BY_PYTHON = (("small", 1), ("small", 4), ("batch", 4), ("raw", 1))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one load")
    parser.add_argument("--minutes", type=float, default=5.0, help="of all loads; servers that start are not counted")
    parser.add_argument("--work", default="small,batch,raw")
    parser.add_argument("--client", choices=("wrk", *python_clients.CLIENTS), default="wrk")
    parser.add_argument("--before", type=Path, metavar="FOLDER")
    parser.add_argument("--environments", type=Path, default=environments.default_folder(), metavar="DIR")
    given = parser.parse_args()
    if wrk.missing():
        sys.exit(wrk.missing())
    if not inside.is_inside():
        environments.ensure("fastapi", given.environments)
        return inside.again("tests.benchmarks.bench_pairs", sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = Path(tempfile.mkdtemp(prefix="mldeploy-pairs-"))
    try:
        run(given, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def run(given: argparse.Namespace, folder: Path) -> None:
    works = given.work.split(",")
    servers = [one for one in SERVERS if one.name in (OURS, OWN_LOOP, WITH_DUTIES)]
    if given.before:
        servers += [earlier(one, given.before) for one in servers if one.name == OURS]
    print(report.machine())
    loads = LOADS if given.client == "wrk" else LOADS_BY_PYTHON
    rounds, number = Rounds(), 0
    with ExitStack() as stack:
        started: dict[str, list[tuple[Server, turn.Running, Path]]] = {}
        for server in servers:
            for name in set(server.works) & set(works):
                place = folder / f"{server.name} {name}".replace(" ", "-")
                found = stack.enter_context(turn.running(server, place, given.environments))
                started.setdefault(name, []).append((server, found, place))
        end = time.monotonic() + 60 * given.minutes
        while time.monotonic() < end:
            for name, connections in (load for load in loads if load[0] in started):
                for server, found, place in started[name][:: 1 if number % 2 else -1]:
                    try:
                        took = burst(server, found, WORKS[name], connections, given.seconds, place, given.client)
                        rounds.add(number, [took])
                    except (turn.TurnFailed, wrk.LoadFailed, OSError, ValueError) as error:
                        print(f"failed: {server.name}, {name}, {connections} connections: {error}", flush=True)
            number += 1
    print(f"{number} rounds of {given.seconds:g} s a load, all servers at once\n")
    print("\n".join(pairs(rounds, loads)))
    print("\n" + "\n".join(report.judged([one for one in verdicts(rounds) if one.got is not None])))


def earlier(server: Server, clone: Path) -> Server:
    """The server as it was in `clone`."""
    python = str(clone / ".venv" / "bin" / "python")
    command = server.command
    return replace(
        server, name=BEFORE, command=lambda place: [python, *command(place)[1:]], working=lambda place: clone
    )


def burst(
    server: Server, running: turn.Running, kind: Work, connections: int, seconds: float, folder: Path, client: str
) -> turn.Measured:
    least = len(turn.check(running, server, kind))
    headers = {**running.headers, "Content-Type": turn.content_type(kind)}
    lua = wrk.script(folder, body(kind, server.form), headers)
    before = processes.cpu_seconds(running.pids)
    if client == "wrk":
        loading = wrk.start(running.url, lua, connections, seconds, turn.LOAD_CPU)
    else:
        loading = python_clients.start(
            client, running.url, folder / "body", headers, connections, seconds, turn.LOAD_CPU
        )
    load = wrk.read(loading.communicate(timeout=seconds + 60)[0], least)
    spent = processes.cpu_seconds(running.pids) - before
    return turn.Measured(
        server.name, kind.name, connections, load.rate, load.p50, load.p99, spent / load.requests * 1e6
    )


def pairs(rounds: Rounds, loads: Iterable[tuple[str, int]]) -> list[str]:
    lines = []
    for name, connections in loads:
        keys: list[Key] = [key for key in rounds.found if key[1:] == (name, connections)]
        if not keys:
            continue
        lines.append(
            f"{f'{name}, {connections}':<24} {'requests/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'CPU us':>8}  ours / it"
        )
        ours = rounds.found.get((OURS, name, connections), {})
        for key in sorted(keys, key=lambda key: -(rounds.median(key, "rate") or 0)):
            rate, p50, p99, cpu = (rounds.median(key, quantity) or 0.0 for quantity in report.SHOWN)
            ratios = [ours[turn].rate / one.rate for turn, one in rounds.found[key].items() if turn in ours]
            shown = f"{statistics.median(ratios):.2f} [{min(ratios):.2f}..{max(ratios):.2f}]" if ratios else "-"
            lines.append(f"  {key[0]:<22} {rate:>10,.0f} {p50:>8.2f} {p99:>8.2f} {cpu:>8.0f}  {shown}")
        lines.append("")
    return lines


if __name__ == "__main__":
    sys.exit(main())
