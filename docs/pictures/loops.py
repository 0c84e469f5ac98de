"""Makes the two pictures of docs/concepts/open-and-closed-loops.md from two real runs, as SVG.

    .venv/bin/python docs/pictures/loops.py [--out FOLDER] [--seconds 20]

One service that stalls for 200 ms in each second is measured twice: by an open loop, 100 requests a second, and by a
closed loop of one user. A run in which the load was sent late is made again; the machine should do nothing else.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from mldeploy_jupyter import InferenceConfig, LatencyResult, LocalWebservice, Model, Webservice, Workspace  # noqa: E402
from mldeploy_jupyter.latency.figures import make_svg  # noqa: E402

SCRIPT = """\
import time

from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema

def init():
    pass

@input_schema("data", StandardPythonParameterType([[1.0, 2.0]]))
def run(data):
    since = time.monotonic() % 1
    time.sleep(0.2 - since if since < 0.2 else 0.001)
    return [sum(row) for row in data]
"""

LOADS = {"open-loop": {"rate": 100}, "closed-loop": {"users": 1}}

TRIES = 10


def measure(folder: Path, seconds: float) -> dict[str, LatencyResult]:
    """Both runs, over a service in a workspace of its own in `folder`, which is removed."""
    workspace = Workspace.create(path=str(folder))
    (folder / "score.py").write_text(SCRIPT)
    config = LocalWebservice.deploy_configuration(worker_count=1)
    script = InferenceConfig(entry_script=str(folder / "score.py"))
    service = Model.deploy(workspace, "stalls", [], script, config)
    try:
        service.wait_for_deployment()
        return {name: measure_once(service, seconds, load) for name, load in LOADS.items()}
    finally:
        service.delete()


def measure_once(service: Webservice, seconds: float, load: dict[str, int]) -> LatencyResult:
    """A run that is valid, or else the least late of `TRIES`."""
    results = []
    for _ in range(TRIES):
        results.append(service.latency(duration=seconds, seed=1, show_output=False, save=False, **load))
        if results[-1].valid:
            break
    return min(results, key=lambda result: result.ending.lag.get("p99", 0.0))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLDEPLOY_HOME"] = str(Path(folder) / "home")
        runs = measure(Path(folder), given.seconds)
    for name, result in runs.items():
        (given.out / f"{name}.svg").write_text(make_svg(result, "spectrum", dark=False))
        print(f"{name}.svg", *result.verdict, result, sep="\n  ")
    return 0 if all(result.valid for result in runs.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
