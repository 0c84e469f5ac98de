"""What an idle service takes beside the user's own imports: memory over all of its processes.

    python -m tests.benchmarks.bench_idle [--rounds 3] [--edits 2] [--services 2]

PSS (a page that n processes share counts 1/n in each) from `/proc/*/smaps_rollup`, summed over the supervisor, the
process that workers are forked from, what it has ready, and the worker; less the PSS of a bare interpreter that does
the same imports and loads the same model. Measured after the first deployment and after some edits, each time when
nothing has changed for three seconds. Two scripts: one that imports scikit-learn and pandas, and one that imports only
joblib, so that scikit-learn comes with the model's file. Limit: 40 MB. In brackets is the part
that belongs to no file, which does not depend on what else runs on the machine.

With --services N instead: what N services of one environment take together, each measured when one more has come.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

from tests.benchmarks.bench_edit import SCRIPT, make_model
from tests.benchmarks.serving import processes

LEAN = (
    SCRIPT.replace("import pandas as pd\n", "")
    .replace("import sklearn.linear_model\n", "")
    .replace('pd.DataFrame(json.loads(data)["data"])', 'json.loads(data)["data"]')
)
SCRIPTS = {"imports all": SCRIPT, "imports joblib": LEAN}
BARE = "\ninit()\nrun(sys.stdin.readline())\nprint('ready', flush=True)\nsys.stdin.readline()\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--edits", type=int, default=2)
    parser.add_argument("--services", type=int, default=0, metavar="N", help="how services of one environment share")
    options = parser.parse_args()
    over: dict[str, list[float]] = {}
    if options.services:
        return together(options.services)
    with tempfile.TemporaryDirectory() as place:
        os.environ["MLDEPLOY_HOME"] = os.environ["MLDEPLOY_CACHE"] = place
        body = make_model(Path(place))
        for _ in range(options.rounds):
            for kind, source in SCRIPTS.items():
                bare = bare_pss(Path(place), source, body)
                for when, parts in idle_pss(Path(place), source, body, options.edits).items():
                    over.setdefault(f"{kind}, {when}", []).append(total(parts) - bare.all)
                    print(f"{kind}, {when}: {described(parts)}; the imports alone {bare}")
    print(f"{platform.system()}, Python {platform.python_version()}, median of {options.rounds}, limit 40 MB")
    for when, values in over.items():
        print(f"over the imports: {when}: {statistics.median(values):.1f} MB")


class Memory(NamedTuple):
    """MB of memory in proportion, all and what of it belongs to no file."""

    all: float
    own: float

    def __str__(self) -> str:
        return f"{self.all:.1f} [{self.own:.1f}] MB"


def total(parts: Mapping[str, Memory]) -> float:
    return sum(part.all for part in parts.values())


def described(parts: Mapping[str, Memory]) -> str:
    shown = ", ".join(f"{name} {part.all:.1f} [{part.own:.1f}]" for name, part in parts.items())
    return f"{Memory(total(parts), sum(part.own for part in parts.values()))} ({shown})"


def bare_pss(folder: Path, source: str, body: str) -> Memory:
    environ = {**os.environ, "AZUREML_MODEL_DIR": str(folder)}
    command = [sys.executable, "-c", "import sys\n" + source % 0 + BARE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(body + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n"
        found = pss(process.pid)
        process.stdin.write("\n")
    return found


def idle_pss(folder: Path, source: str, body: str, edits: int) -> dict[str, dict[str, Memory]]:
    script = folder / "score.py"
    script.write_text(source % 0)
    service = deploy(folder, "idle")
    found = {"after the first deployment": settled(service, body)}
    for number in range(1, edits + 1):
        script.write_text(source % number)
        service.reload(wait=True)
        settled(service, body)
    found[f"after {edits} edits"] = settled(service, body)
    service.delete()
    return found


def deploy(folder: Path, name: str) -> Any:
    """A live service with the script and the model in the folder."""
    from mldeploy_jupyter import InferenceConfig, LocalWebservice, Model, Workspace

    ws = Workspace.create(path=folder, exist_ok=True)
    model = Model.register(ws, folder / "ridge.pkl", "ridge")
    settings = LocalWebservice.deploy_configuration()
    service = Model.deploy(ws, name, [model], InferenceConfig(folder / "score.py"), settings, overwrite=True)
    service.wait_for_deployment()
    return service


def together(count: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["MLDEPLOY_HOME"] = os.environ["MLDEPLOY_CACHE"] = place
        body = make_model(folder)
        (folder / "score.py").write_text(SCRIPT % 0)
        services: list[Any] = []
        try:
            for number in range(1, count + 1):
                services.append(deploy(folder, f"idle-{number}"))
                settled(services[-1], body)
                parts = {
                    f"{index} {name}": part
                    for index, service in enumerate(services, 1)
                    for name, part in weighed(service.record.endpoint["pid"]).items()
                }
                print(f"{number} services: {described(parts)}")
        finally:
            for service in services:
                service.delete()


def settled(service: object, body: str) -> dict[str, Memory]:
    """The memory of each process, once the processes are the same for three seconds."""
    key = service.get_keys()[0]  # type: ignore[attr-defined]
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
    with urlopen(Request(service.scoring_uri, body.encode(), headers)) as answer:  # type: ignore[attr-defined]
        assert json.loads(answer.read())["result"]
    supervisor = service.record.endpoint["pid"]  # type: ignore[attr-defined]
    before: set[int] = set()
    while True:
        time.sleep(3)
        family = {supervisor, *children(supervisor)}
        if family == before:
            with suppress(ProcessLookupError):  # one has ended since
                return weighed(supervisor)
        before = family


def weighed(supervisor: int) -> dict[str, Memory]:
    return {f"{name_of(pid)} {pid}": pss(pid) for pid in sorted({supervisor, *children(supervisor)})}


def children(parent: int) -> set[int]:
    direct = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            direct.add(int(path.parent.name))
    return direct.union(*(children(pid) for pid in direct)) if direct else direct


def name_of(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return next((word.rpartition(b".")[2].decode() for word in words if b"serving." in word), "other")


def pss(pid: int) -> Memory:
    return Memory(*(processes.pss(pid, field) / 2**20 for field in ("Pss", "Pss_Anon")))


if __name__ == "__main__":
    main()
