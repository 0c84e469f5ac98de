"""What grows with a workspace: seconds of CPU and memory of reads that should not cost more than what they return.

    python -m tests.benchmarks.bench_growth [--before FOLDER]

`--before` is a clone of an earlier version, which is measured in turn with this one: each part in a process of its own,
imported from that folder; the least of three. Prints a table for RESULTS.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.bench_lists import fill

# Run twice by each process; the first time imports. `folder` has what `make` wrote.
PARTS = {
    "500 services as `service list` has them": """
from mldeploy_jupyter import Webservice, Workspace
from mldeploy_jupyter.api.webservices.overview import read_overviews
run = lambda: read_overviews(Webservice.list(Workspace.get(path=f"{folder}/ws")))
""",
    "`Model.list(ws)`, 10,000 models": """
from mldeploy_jupyter import Model, Workspace
run = lambda: Model.list(Workspace.get(path=f"{folder}/ws"))
""",
    "`Model.list(ws, latest=True)`, 1,000 of them": """
from mldeploy_jupyter import Model, Workspace
run = lambda: Model.list(Workspace.get(path=f"{folder}/ws"), latest=True)
""",
    "a journal of 100,000 events followed": """
from mldeploy_jupyter.core.journal.journal import follow_events
from mldeploy_jupyter.core.journal.timeline import fold
run = lambda: fold(follow_events(Path(folder, "events.jsonl"), stop=lambda: True))
""",
    "a journal of 100,000 events continued": """
from mldeploy_jupyter.core.journal.journal import Journal
run = lambda: Journal(Path(folder, "events.jsonl")).write("check", "log")
""",
    "a journal of 300,000 events archived": """
from mldeploy_jupyter import Workspace
from mldeploy_jupyter.deployment.execution.ending import archive_journal
from mldeploy_jupyter.deployment.files import journal_path
workspace = Workspace.get(path=f"{folder}/ws").folder
journal_path(workspace, "long").parent.mkdir(parents=True, exist_ok=True)
journal_path(workspace, "long").write_bytes(b"")
with journal_path(workspace, "long").open("ab") as long:
    for _ in range(3):
        shutil.copyfileobj(Path(folder, "events.jsonl").open("rb"), long)
run = lambda: archive_journal(workspace, "long")
""",
    "a panel's first look at a log of 256 MB": """
from mldeploy_jupyter.targets.numbered_log import NumberedLog
def run():
    log = NumberedLog(Path(folder, "service.log"))
    log.refresh()
    return list(log.entries(log.before_last(5000)))
""",
    "the last 20 lines of a log of 256 MB": """
from mldeploy_jupyter.targets.process_log import read_log
run = lambda: list(read_log(Path(folder, "service.log"), tail=20))
""",
    "a bundle of 10,000 files built": """
from mldeploy_jupyter.core.bundle import builder
files = {f"{n}.py": Path(folder, "source", f"{n}.py") for n in range(10_000)}
def run():
    shutil.rmtree(f"{folder}/bundles", ignore_errors=True)
    builder.build(builder.BundleContent("source", files, "0.py"), Path(folder, "bundles"))
""",
    "the same bundle again": """
from mldeploy_jupyter.core.bundle import builder
files = {f"{n}.py": Path(folder, "source", f"{n}.py") for n in range(10_000)}
run = lambda: builder.build(builder.BundleContent("source", files, "0.py"), Path(folder, "bundles"))
run()
time.sleep(2.5)
run()
""",
    "200 runs below a run, recursively": """
from mldeploy_jupyter.api.runs import Run
from mldeploy_jupyter import Workspace
run = lambda: list(Run(Workspace.get(path=f"{folder}/ws"), "top").get_children(recursive=True))
""",
}

PROGRAM = """
import shutil, sys, time
from pathlib import Path
folder = sys.argv[1]
{part}
run()
cpu = time.process_time()
run()
cpu = time.process_time() - cpu
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(cpu, int(peak.split()[1]) // 1000)
"""


def make(folder: Path) -> None:
    """Writes what is read."""
    from mldeploy_jupyter import Workspace
    from mldeploy_jupyter.core.runs.folder_run import FolderRun

    fill(folder / "ws", 500, 10_000)
    runs = Workspace.get(path=str(folder / "ws")).folder.runs
    for number in range(200):
        FolderRun(runs / f"run-{number}").begin(experiment="e", parent="top")
    FolderRun(runs / "top").begin(experiment="e")
    event = '{"seq":%d,"time":"2026-11-27T10:00:00.000Z","stage":"image","kind":"log","text":"a line","data":{}}\n'
    (folder / "events.jsonl").write_text("".join(event % number for number in range(1, 100_001)))
    line = '{"time":"2026-11-27T10:00:00.000Z","level":"info","logger":"print","message":"a line of output"}\n'
    (folder / "service.log").write_text(line * ((256 << 20) // len(line)))
    (folder / "source").mkdir()
    for number in range(10_000):
        (folder / "source" / f"{number}.py").write_text(f"number = {number}\n" * 100)


def measure(version: Path, folder: Path, part: str) -> tuple[float, int]:
    """The CPU seconds of a part and the most memory of its process in MB."""
    command = [sys.executable, "-c", PROGRAM.format(part=part), str(folder)]
    env = {**os.environ, "MLDEPLOY_HOME": str(folder / "home"), "PYTHONPATH": str(version)}
    done = subprocess.run(command, cwd=version, env=env, check=True, capture_output=True, text=True)
    seconds, memory = done.stdout.split()[-2:]
    return float(seconds), int(memory)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures what grows with a workspace.")
    parser.add_argument("--before", type=Path, help="a clone of the version to compare with")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="a word of the parts to measure")
    options = parser.parse_args()
    here = Path(__file__).parents[2]
    versions = [*([options.before.absolute()] if options.before else []), here]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["MLDEPLOY_HOME"] = str(folder / "home")
        (folder / "ws").mkdir()
        make(folder)
        head = "before, ms | MB | after, ms | MB" if options.before else "ms | MB"
        print(f"| ms of CPU, and memory of the process | {head} |\n|---{'|---|---' * len(versions)}|")
        for name, part in PARTS.items():
            if options.only not in name:
                continue
            found: list[list[tuple[float, int]]] = [[] for _ in versions]
            for _ in range(options.rounds):
                for version, results in zip(versions, found, strict=True):
                    results.append(measure(version, folder, part))
            cells = [f"{min(seconds for seconds, _ in one) * 1000:,.0f} | {one[0][1]:,}" for one in found]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
