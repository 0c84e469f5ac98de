"""How far the scoring server is from the limit, in pairs: short loads in turn on servers that all run at once.

    python -m tests.benchmarks.bench_pairs [--seconds 1] [--minutes 5] [--work small,batch,raw] [--before FOLDER] \\
        [--environments DIR]

A machine that changes its speed from second to second slows both of a pair nearly alike, so ratios settle sooner than
in `bench_serving`, which starts every server anew. All servers are on one processor, and `wrk` is on another; the order
is reversed each round. Shown are medians, and ratios with the lowest and the highest. `--before` is a clone of an
earlier version that has a virtualenv of its own, `.venv`: it takes part as `ours before`.

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
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.serving import environments, inside, processes, report, turn, wrk
from tests.benchmarks.serving.figures import Key, Rounds, verdicts
from tests.benchmarks.serving.servers import OURS, OWN_LOOP, SERVERS, WITH_DUTIES, Server
from tests.benchmarks.serving.work import WORKS, Work, body

BEFORE = "ours before"
LOADS = (("small", 1), ("small", 8), ("small", 64), ("batch", 8), ("batch", 64), ("raw", 8))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one load")
    parser.add_argument("--minutes", type=float, default=5.0, help="of all loads; servers that start are not counted")
    parser.add_argument("--work", default="small,batch,raw")
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
            for name, connections in (load for load in LOADS if load[0] in started):
                for server, found, place in started[name][:: 1 if number % 2 else -1]:
                    try:
                        rounds.add(number, [burst(server, found, WORKS[name], connections, given.seconds, place)])
                    except (turn.TurnFailed, wrk.LoadFailed, OSError, ValueError) as error:
                        print(f"failed: {server.name}, {name}, {connections} connections: {error}", flush=True)
            number += 1
    print(f"{number} rounds of {given.seconds:g} s a load, all servers at once\n")
    print("\n".join(pairs(rounds)))
    print("\n" + "\n".join(report.judged([one for one in verdicts(rounds) if one.got is not None])))


def earlier(server: Server, clone: Path) -> Server:
    """The server as it was in `clone`."""
    python = str(clone / ".venv" / "bin" / "python")
    command = server.command
    return replace(
        server, name=BEFORE, command=lambda place: [python, *command(place)[1:]], working=lambda place: clone
    )


def burst(
    server: Server, running: turn.Running, kind: Work, connections: int, seconds: float, folder: Path
) -> turn.Measured:
    least = len(turn.check(running, server, kind))
    headers = {**running.headers, "Content-Type": turn.content_type(kind)}
    lua = wrk.script(folder, body(kind, server.form), headers)
    before = processes.cpu_seconds(running.pids)
    load = wrk.read(
        wrk.start(running.url, lua, connections, seconds, turn.LOAD_CPU).communicate(timeout=seconds + 60)[0], least
    )
    spent = processes.cpu_seconds(running.pids) - before
    return turn.Measured(
        server.name, kind.name, connections, load.rate, load.p50, load.p99, spent / load.requests * 1e6
    )


def pairs(rounds: Rounds) -> list[str]:
    lines = []
    for name, connections in LOADS:
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
