"""How long lists take in a workspace of 500 services and 10,000 models, as commands of their own.

    python -m tests.benchmarks.bench_lists [--services 500] [--models 10000]

The services have records and no processes, as after a restart of the machine. Prints a table for RESULTS.md.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mldeploy_jupyter import Workspace
from mldeploy_jupyter.core.records import DeploymentRecord, ModelRecord, RevisionRecord, ServiceRecord

MLDEPLOY = [sys.executable, "-m", "mldeploy_jupyter.cli"]

KERNEL = """
import time
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "mldeploy_jupyter")
{code}  # the first call imports
began, cpu = time.perf_counter(), time.process_time()
{code}
print(f"seconds {{time.perf_counter() - began:.3f}} {{time.process_time() - cpu:.3f}}")
"""


def fill(folder: Path, services: int, models: int) -> None:
    """Makes the records, without their files: nothing that is measured reads those."""
    store = Workspace.create("bench", path=str(folder), exist_ok=True).folder.open_store()
    table = store._tables.models  # one transaction, not ten thousand
    from mldeploy_jupyter.core.store.rows import to_row

    rows = []
    for number in range(models):
        files = {f"m{number}/file{i}.bin": ["ab" * 32, 1000] for i in range(5)}
        record = ModelRecord(
            f"model-{number // 10}", number % 10 + 1, digest="cd" * 32, size=5000, files=files,
            tags={"stage": "test", "number": str(number)}, created_time="2026-01-01T00:00:00.000Z",
            details={"libraries": {"scikit-learn": "1.5.0"}},
        )  # fmt: skip
        rows.append(to_row(table, record))
    store._rows.write(lambda connection: connection.execute(table.insert(), rows))
    for number in range(services):
        name, endpoint = f"service-{number}", {"scoring_uri": f"http://127.0.0.1:{20000 + number}/score"}
        deployment = store.add_deployment(DeploymentRecord(f"d{number}", name, "local", state="live"), durable=False)
        store.add_revision(
            RevisionRecord(name, deployment_id=deployment.id, models=["model-1:1"], outcome="live"), durable=False
        )
        store.save_service(
            ServiceRecord(
                name, "local", "Local", state="Live", revision=1, deployment_id=deployment.id, endpoint=endpoint
            )
        )


def run(folder: Path, *command: str) -> tuple[float, float]:
    """Seconds of a command of its own, and its CPU seconds, which other programs change less."""
    env = {**os.environ, "MLDEPLOY_HOME": str(folder / "home")}
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*MLDEPLOY, *command], cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run_in_shell(folder: Path, code: str) -> tuple[float, float]:
    """As `run`, for the second call in a shell of IPython."""
    env = {**os.environ, "MLDEPLOY_HOME": str(folder / "home")}
    command = [sys.executable, "-c", KERNEL.format(code=code)]
    done = subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True, text=True)
    seconds, cpu = done.stdout.rpartition("seconds ")[2].split()
    return float(seconds), float(cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures lists in a large workspace.")
    parser.add_argument("--services", type=int, default=500)
    parser.add_argument("--models", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "m.txt").write_text("2")
        fill(folder, options.services, options.models)
        draw = 'shell.display_formatter.format(shell.run_line_magic("services", ""))'
        complete = (
            'with provisionalcompleter(): print(len(list(shell.Completer.completions("%register model-99", 18))))'
        )
        measured = [
            ("mldeploy --version", run(folder, "--version")),
            ("service list", run(folder, "service", "list")),
            ("service list --json", run(folder, "service", "list", "--json")),
            ("service show", run(folder, "service", "show", "service-7")),
            ("%services, drawn", run_in_shell(folder, draw)),
            ("model list", run(folder, "model", "list")),
            ("model list --latest", run(folder, "model", "list", "--latest")),
            ("model list --json", run(folder, "model", "list", "--json")),
            ("model show", run(folder, "model", "show", "model-7:3")),
            ("completion of a model's name", run_in_shell(folder, complete)),
            ("model register", run(folder, "model", "register", "-n", "model-7", "-p", "m.txt")),
            ("prune", run(folder, "prune")),
        ]
    print(f"\n| {options.services} services, {options.models} models | seconds | of CPU |\n|---|---|---|")
    for name, (seconds, cpu) in measured:
        print(f"| {name} | {seconds:.2f} | {cpu:.2f} |")


if __name__ == "__main__":
    main()
