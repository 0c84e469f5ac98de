"""The scoring server against its peers: requests a second, latency, processor time, memory.

    python -m tests.benchmarks.bench_serving [--rounds 5] [--seconds 3] [--only ours,azureml] [--work small,large] \\
        [--environments DIR] [--check]

Needs Linux, two processors, `wrk` (apt-get install wrk), and root or user namespaces. The peers' environments are made
once, in the cache folder. Every round every server is started on processor 0, one worker each, checked, loaded by
`wrk` on processor 1 with 1, 8 and 64 connections, and ended; so only one runs at a time and the machine's drift falls
on all. Shown are medians over the rounds; a ratio is the median of the rounds' ratios. A run with one failed or wrong
answer does not count. Everything runs in a network and a process namespace of its own.

An edit until it is live, and an idle service's memory, have benches of their own (bench_edit, bench_idle).
Five rounds take forty minutes. For the floors alone `--only "ours,azureml,fastapi async,uvicorn"` is enough, in half
of that; `--only "ours,own loop,own loop with duties" --work small,batch,raw` says how far we are from the limit.

With --check the exit code is 1 when a floor is missed or was not measured, or a run failed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks.serving import environments, inside, report, turn, wrk
from tests.benchmarks.serving.figures import Rounds, verdicts
from tests.benchmarks.serving.servers import SERVERS, Server, skipped
from tests.benchmarks.serving.work import WORKS


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one load")
    parser.add_argument("--only", default="", metavar="NAMES", help=f"of {', '.join(dict.fromkeys(names()))}")
    parser.add_argument("--work", default="", metavar="NAMES", help=f"of {', '.join(WORKS)}")
    parser.add_argument("--environments", type=Path, default=environments.default_folder(), metavar="DIR")
    parser.add_argument("--check", action="store_true", help="exit code 1 when a floor is missed")
    return parser.parse_args()


def names() -> list[str]:
    return [server.name for server in SERVERS]


def chosen(given: str, known: list[str]) -> list[str]:
    """The names in a comma-separated list, all when it is empty. Exits when one is unknown."""
    wanted = [name.strip() for name in given.split(",") if name.strip()] or list(dict.fromkeys(known))
    unknown = set(wanted) - set(known)
    if unknown:
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(dict.fromkeys(known))}")
    return wanted


def main() -> int:
    given = options()
    wanted, works = chosen(given.only, names()), chosen(given.work, list(WORKS))
    if wrk.missing():
        sys.exit(wrk.missing())
    if (os.cpu_count() or 1) < 2:
        sys.exit("two processors are needed: one for the server, one for the load")
    servers = [server for server in SERVERS if server.name in wanted and set(server.works) & set(works)]
    if not inside.is_inside():  # the package index cannot be reached from inside
        needed = {server.environment for server in servers if server.environment}
        for name in sorted(needed):
            environments.ensure(name, given.environments)
        return inside.again("tests.benchmarks.bench_serving", sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = Path(tempfile.mkdtemp(prefix="mldeploy-benchmark-"))
    try:
        return run(given, servers, works, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(given: argparse.Namespace, servers: list[Server], works: list[str], folder: Path) -> int:
    cache = given.environments
    print(report.machine())
    print(f"{given.rounds} rounds of {given.seconds:g} s a load, one worker each; server on processor "
          f"{turn.SERVER_CPU}, wrk on {turn.LOAD_CPU}")  # fmt: skip
    ours = {name: version(name) for name in ("mldeploy-jupyter", *environments.SHOWN) if _installed(name)}
    used = sorted({server.environment for server in servers if server.environment})
    print("\n".join(report.versions_table({name: environments.versions(cache / name) for name in used}, ours)))
    rounds = Rounds()
    failures: list[str] = []
    configuration: list[str] = []
    runnable = [server for server in servers if not _note_skipped(server)]
    for server in runnable:
        if server.notes:
            print(f"{server.name} ({', '.join(server.works)}): {server.notes}")
    memory: dict[str, list[float]] = {}
    for number in range(given.rounds):
        for server in runnable:
            begin = time.monotonic()
            taken = turn.take(server, works, given.seconds, folder / "server", cache)
            rounds.add(number, taken.measured)
            failures += [f"round {number + 1}, {failure}" for failure in taken.failures]
            memory.setdefault(f"{server.name} ({', '.join(server.works)})", []).append(taken.memory / 1e6)
            configuration = configuration or taken.configuration
            print(
                f"round {number + 1}/{given.rounds}: {server.name} {', '.join(server.works)}, "
                f"{time.monotonic() - begin:.0f} s",
                *taken.failures,
                sep="\n  ",
                file=sys.stderr,
                flush=True,
            )
    print("\nour configuration\n  " + "\n  ".join(configuration) + "\n")
    print("\n".join(report.table(rounds)))
    print("memory after the load (PSS, MB): " + ", ".join(f"{name} {max(v):.0f}" for name, v in memory.items()))
    found_verdicts = verdicts(rounds)
    print("\n" + "\n".join(report.judged(found_verdicts)))
    for failure in failures:
        print(f"failed: {failure}")
    return int(given.check and (bool(failures) or any(one.met is not True for one in found_verdicts)))


def _note_skipped(server: Server) -> bool:
    why = skipped(server, inside.is_inside())
    if why:
        print(f"left out: {server.name} ({', '.join(server.works)}): {why}")
    return bool(why)


def _installed(name: str) -> bool:
    from importlib.metadata import PackageNotFoundError

    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


if __name__ == "__main__":
    sys.exit(main())
