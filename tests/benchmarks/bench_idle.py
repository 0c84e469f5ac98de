"""What an idle service takes beside the user's own imports: memory over all of its processes.

    python -m tests.benchmarks.bench_idle [--rounds 3] [--edits 2]

PSS (a page that n processes share counts 1/n in each) from `/proc/*/smaps_rollup`, summed over the supervisor, the
process that workers are forked from, what it has ready, and the worker; less the PSS of a bare interpreter that does
the same imports and loads the same model. Measured after the first deployment and after some edits, each time when
nothing has changed for three seconds. Two scripts: one that imports scikit-learn and pandas, and one that imports only
joblib, so that scikit-learn comes with the model's file. Limit: 40 MB.
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
from pathlib import Path
from urllib.request import Request, urlopen

from tests.benchmarks.bench_edit import SCRIPT, make_model

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
    options = parser.parse_args()
    over: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as place:
        os.environ["MLDEPLOY_HOME"] = os.environ["MLDEPLOY_CACHE"] = place
        body = make_model(Path(place))
        for _ in range(options.rounds):
            for kind, source in SCRIPTS.items():
                bare = bare_pss(Path(place), source, body)
                for when, parts in idle_pss(Path(place), source, body, options.edits).items():
                    total = sum(parts.values())
                    over.setdefault(f"{kind}, {when}", []).append(total - bare)
                    shown = ", ".join(f"{name} {size:.1f}" for name, size in parts.items())
                    print(f"{kind}, {when}: {total:.1f} MB ({shown}); the imports alone {bare:.1f} MB")
    print(f"{platform.system()}, Python {platform.python_version()}, median of {options.rounds}, limit 40 MB")
    for when, values in over.items():
        print(f"over the imports: {when}: {statistics.median(values):.1f} MB")


def bare_pss(folder: Path, source: str, body: str) -> float:
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


def idle_pss(folder: Path, source: str, body: str, edits: int) -> dict[str, dict[str, float]]:
    from mldeploy_jupyter import InferenceConfig, LocalWebservice, Model, Workspace

    script = folder / "score.py"
    script.write_text(source % 0)
    ws = Workspace.create(path=folder, exist_ok=True)
    model = Model.register(ws, folder / "ridge.pkl", "ridge")
    settings = LocalWebservice.deploy_configuration()
    service = Model.deploy(ws, "idle", [model], InferenceConfig(script), settings, overwrite=True)
    service.wait_for_deployment()
    found = {"after the first deployment": settled(service, body)}
    for number in range(1, edits + 1):
        script.write_text(source % number)
        service.reload(wait=True)
        settled(service, body)
    found[f"after {edits} edits"] = settled(service, body)
    service.delete()
    return found


def settled(service: object, body: str) -> dict[str, float]:
    """PSS of each process in MB, once the processes are the same for three seconds."""
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
            return {f"{name_of(pid)} {pid}": pss(pid) for pid in sorted(family)}
        before = family


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


def pss(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


if __name__ == "__main__":
    main()
