"""Where the time of our worker goes, per request: py-spy samples it, native frames too, while wrk loads it.

    python -m tests.benchmarks.profile_serving [--work small] [--connections 64] [--seconds 10] [--top 25] \\
        [--batch] [--python-only] [--folded FILE]

Needs what `bench_serving` needs. The service is the benchmark's own, deployed in the default configuration; the worker
is the process of its tree that uses most processor time. The same by hand, on a running service:

    py-spy record -d 10 -r 500 --native -f raw -o stacks.txt -p PID      (folded stacks; -f speedscope for a viewer)
    perf stat -e task-clock,context-switches -p PID -- sleep 10          (what the kernel sees)
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.serving import environments, inside, processes, profile, turn, wrk
from tests.benchmarks.serving.servers import OURS, SERVERS, skipped
from tests.benchmarks.serving.work import WORKS, body

RATE = 500  # samples a second


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", default="small", choices=["small", "large", "raw"])
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--top", type=int, default=25)
    parser.add_argument("--batch", action="store_true", help="with max_batch_size=64, small work")
    parser.add_argument("--python-only", action="store_true", help="without native frames: less disturbance")
    parser.add_argument("--folded", type=Path, metavar="FILE", help="keep the folded stacks here")
    parser.add_argument("--environments", type=Path, default=environments.default_folder(), metavar="DIR")
    given = parser.parse_args()
    if wrk.missing():
        sys.exit(wrk.missing())
    if not inside.is_inside():
        environments.ensure("tools", given.environments)
        return inside.again("tests.benchmarks.profile_serving", sys.argv[1:])
    folder = Path(tempfile.mkdtemp(prefix="mldeploy-profile-"))
    try:
        return run(given, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(given: argparse.Namespace, folder: Path) -> int:
    name = "batch" if given.batch else given.work
    kind = WORKS[name]
    server = next(server for server in SERVERS if server.name == OURS and name in server.works)
    if why := skipped(server, True):
        sys.exit(why)
    stacks = folder / "stacks.txt"
    with turn.running(server, folder / "server", given.environments) as found:
        headers = {**found.headers, "Content-Type": turn.content_type(kind)}
        lua = wrk.script(folder, body(kind, server.form), headers)
        before = processes.cpu_seconds(found.pids)
        used = {process.pid: sum(process.cpu_times()[:2]) for process in processes.tree(found.pids)}
        load = wrk.start(found.url, lua, given.connections, given.seconds + 3, turn.LOAD_CPU)
        time.sleep(2)
        worker = max(processes.tree(found.pids), key=lambda one: sum(one.cpu_times()[:2]) - used.get(one.pid, 0.0)).pid
        tool = [str(given.environments / "tools" / "bin" / "py-spy"), "record", "-p", str(worker), "-r", str(RATE)]
        tool += [] if given.python_only else ["--native"]
        tool += ["-d", str(given.seconds), "-f", "raw", "-o", str(stacks)]
        sampled = subprocess.run(["taskset", "-c", str(turn.LOAD_CPU), *tool], capture_output=True, text=True)
        said = wrk.read(load.communicate(timeout=60)[0])
        spent = processes.cpu_seconds(found.pids) - before
    if sampled.returncode:
        sys.exit(f"py-spy failed: {sampled.stderr}")
    folded = stacks.read_text()
    if given.folded:
        given.folded.write_text(folded)
    each = spent / said.requests * 1e6
    print(f"{name}, {given.connections} connections: {said.rate:,.0f} requests/s while sampled at {RATE}/s, "
          f"{each:.0f} us of processor time a request\n")  # fmt: skip
    working, waiting = profile.split(folded)
    words = ", ".join(f"{share:.0f}% for {name}" for name, share in waiting.items())
    print(f"of all samples of its threads waited: {words}")
    print("of the others:\n")
    print("\n".join(profile.table(profile.shares(working), given.top, each)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
