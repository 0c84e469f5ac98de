"""Registering a large model against `cp` and `sha256sum` of the same file: time and peak memory.

    python tests/benchmarks/bench_register.py [--gigabytes 2] [--rounds 3] [--folder DIR]

Writes random data (no sparse file) into a temporary folder, runs the three in turn, prints medians and ratios, and
deletes everything. `cp` ends with an fsync of the copy here, because a registration does too. Each registration is of
new content (a few bytes of the file change), in a process of its own, whose peak memory is its `ru_maxrss`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BLOCK = 16 * 1024 * 1024

REGISTER = """
import json, os, resource, sys, time
from mldeploy_jupyter.api.models import Model
from mldeploy_jupyter.api.workspace import Workspace
ws = Workspace.get(path=sys.argv[1])
ws.folder.open_store(); ws.folder.open_artifacts()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
read = lambda: int(next(l for l in open("/proc/self/io") if l.startswith("rchar")).split()[1])
read_before, start = read(), time.perf_counter()
model = Model.register(ws, sys.argv[2], "big")
seconds = time.perf_counter() - start
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"seconds": seconds, "before": before * 1024, "peak": after * 1024, "read": read() - read_before}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default=None, help="where the temporary folder is made")
    arguments = parser.parse_args()
    size = int(arguments.gigabytes * 1e9)
    with tempfile.TemporaryDirectory(prefix="mldeploy-bench-", dir=arguments.folder) as place:
        os.environ["MLDEPLOY_HOME"] = str(Path(place) / "home")
        report(measure(Path(place), size, arguments.rounds), size, arguments.rounds)


def measure(place: Path, size: int, rounds: int) -> dict[str, list[dict[str, float]]]:
    from mldeploy_jupyter.api.workspace import Workspace

    source, workspace = place / "model.bin", place / "work"
    with source.open("wb") as file:
        for start in range(0, size, BLOCK):
            file.write(os.urandom(min(BLOCK, size - start)))
    workspace.mkdir()
    ws = Workspace.create(path=workspace)
    results: dict[str, list[dict[str, float]]] = {"cp + fsync": [], "sha256sum": [], "register": []}
    for number in range(rounds):
        with source.open("r+b") as file:
            file.write(number.to_bytes(8, "big"))
        os.sync()
        copy = place / "copy.bin"
        results["cp + fsync"].append(timed(["cp", str(source), str(copy)], copy))
        copy.unlink()
        os.sync()
        results["sha256sum"].append(timed(["sha256sum", str(source)]))
        done = subprocess.run(
            [sys.executable, "-c", REGISTER, str(workspace), str(source)], capture_output=True, text=True, check=True
        )
        results["register"].append(json.loads(done.stdout.splitlines()[-1]))
        ws.folder.open_artifacts().sweep(set())
        os.sync()
    return results


def timed(command: list[str], copy: Path | None = None) -> dict[str, float]:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    if copy is not None:
        fd = os.open(copy, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
    return {"seconds": time.perf_counter() - start}


def report(results: dict[str, list[dict[str, float]]], size: int, rounds: int) -> None:
    medians = {name: statistics.median(run["seconds"] for run in runs) for name, runs in results.items()}
    both = medians["cp + fsync"] + medians["sha256sum"]
    print(f"{size / 1e9:.1f} GB of random data, {rounds} rounds in turn, medians")
    print(f"{'':14}{'seconds':>9}{'GB/s':>8}")
    for name, seconds in medians.items():
        print(f"{name:14}{seconds:9.2f}{size / 1e9 / seconds:8.2f}")
    register = results["register"]
    print(f"register / (cp + fsync): {medians['register'] / medians['cp + fsync']:.2f}")
    print(f"register / (cp + fsync, then sha256sum): {medians['register'] / both:.2f}")
    print(f"bytes read / size: {max(run['read'] for run in register) / size:.3f}")
    grown = max(run["peak"] - run["before"] for run in register)
    peak = max(run["peak"] for run in register)
    print(f"peak memory: {peak / 1e6:.0f} MB, grown by {grown / 1e6:.0f} MB while registering")


if __name__ == "__main__":
    main()
