"""How long a user waits: imports, `%load_ext`, `mldeploy --help`, a first deployment, a second one.

    python tests/benchmarks/bench_start.py [--rounds 7] [--no-environment] [--uncompiled]

Every figure is the median over the rounds; the measured things take turns, so that a busy minute of the machine falls
on all of them. The deployments serve a Ridge model that scikit-learn fitted; beside a deployment stands what its own
imports take in a bare interpreter. The last part makes a real environment from a requirements file with uv, then
deploys again with the same file.

The package's modules are compiled first, as they are after `pip install`, `uv pip install --compile-bytecode` and
`.ci/venv`, and elsewhere after a first start. With `--uncompiled` none is, as where PYTHONDONTWRITEBYTECODE is set and
nobody has compiled them: then each start does.
"""

from __future__ import annotations

import argparse
import compileall
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "mldeploy_jupyter"

SCRIPT = """
import os
import joblib
import numpy as np
import sklearn.linear_model

def init():
    global model
    model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "ridge.pkl"))

def run(data):
    import json
    return model.predict(np.array(json.loads(data)["data"])).tolist()
"""


def seconds(command: list[str], **options: object) -> float:
    begin = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, **options)  # type: ignore[call-overload]
    return time.perf_counter() - begin


def python(code: str) -> float:
    """Seconds that the code says it took, in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


LOAD_EXT = """
import time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
begin = time.perf_counter()
shell.run_line_magic("load_ext", "mldeploy_jupyter")
print(time.perf_counter() - begin)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-environment", action="store_true", help="leave out the part that installs packages")
    parser.add_argument("--uncompiled", action="store_true", help="measure starts that compile the package")
    options = parser.parse_args()
    if options.uncompiled:
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        for folder in PACKAGE.rglob("__pycache__"):
            shutil.rmtree(folder)
    else:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        compileall.compile_dir(PACKAGE, quiet=1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLDEPLOY_HOME"] = os.environ["MLDEPLOY_CACHE"] = folder
        rows = quick(options.rounds, Path(folder))
        if not options.no_environment:
            rows += with_environment(Path(folder))
    head = [platform.system(), f"{os.cpu_count()} cores", f"Python {platform.python_version()}"]
    head += [f"scikit-learn {version('scikit-learn')}", f"{'not ' if options.uncompiled else ''}compiled"]
    print(", ".join([*head, f"median of {options.rounds}"]))
    width = max(len(name) for name, _, _ in rows)
    for name, value, note in rows:
        print(f"{name:<{width}}  {value:8.3f} s  {note}")


def quick(rounds: int, folder: Path) -> list[tuple[str, float, str]]:
    import joblib
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import Ridge

    from mldeploy_jupyter import InferenceConfig, LocalWebservice, Model, Workspace

    X, y = load_diabetes(return_X_y=True)
    joblib.dump(Ridge().fit(X, y), folder / "ridge.pkl")
    (folder / "score.py").write_text(SCRIPT)
    ws = Workspace.create(path=folder)
    model = Model.register(ws, folder / "ridge.pkl", "ridge")
    body = {"data": X[:2].tolist()}
    times: dict[str, list[float]] = {}

    def first() -> float:
        begin = time.perf_counter()
        service = Model.deploy(
            ws, "bench", [model], InferenceConfig(folder / "score.py"), LocalWebservice.deploy_configuration()
        )
        service.run(body)
        taken = time.perf_counter() - begin
        begin = time.perf_counter()
        (folder / "score.py").write_text(SCRIPT + f"\n# {begin}\n")
        service.reload(wait=True)
        service.run(body)
        times.setdefault("update", []).append(time.perf_counter() - begin)
        service.delete()
        return taken

    libraries = "joblib, numpy, sklearn.linear_model"
    imports = f"import time; b = time.perf_counter(); import {libraries}; print(time.perf_counter() - b)"
    measured: dict[str, Callable[[], float]] = {
        "bare": lambda: seconds([sys.executable, "-c", "pass"]),
        "import": lambda: python(
            "import time; b = time.perf_counter(); import mldeploy_jupyter; print(time.perf_counter() - b)"
        ),
        "help": lambda: seconds([sys.executable, "-m", "mldeploy_jupyter.cli", "--help"]),
        "load_ext": lambda: python(LOAD_EXT),
        "libraries": lambda: python(imports),
        "first": first,
    }
    for turn in range(rounds + 1):
        for name, measure in measured.items():
            value = measure()
            if turn:  # the first turn warms the disk's cache
                times.setdefault(name, []).append(value)
    middle = {name: statistics.median(values) for name, values in times.items()}
    share = middle["libraries"] / middle["first"]
    return [
        ("a bare interpreter", middle["bare"], ""),
        ("import mldeploy_jupyter", middle["import"], ""),
        ("%load_ext mldeploy_jupyter", middle["load_ext"], "limit 0.05 s"),
        ("mldeploy --help", middle["help"], "limit 0.1 s"),
        ("imports of the user's script", middle["libraries"], libraries),
        (
            "first deployment to first answer",
            middle["first"],
            f"limit {middle['libraries'] + 0.25:.3f} s; {share:.0%} are the user's imports",
        ),
        (
            "update to first answer of the new code",
            middle["update"],
            f"{middle['update'] / middle['libraries']:.2f} x the imports",
        ),
    ]


def with_environment(folder: Path) -> list[tuple[str, float, str]]:
    from mldeploy_jupyter import Environment, InferenceConfig, LocalWebservice, Model, Workspace

    ws = Workspace.get(path=folder)
    (folder / "requirements.txt").write_text("numpy\nscikit-learn\njoblib\n")
    environment = Environment.from_pip_requirements("bench", folder / "requirements.txt")
    rows, deployed = [], []
    for name in ("bench-one", "bench-two"):
        begin = time.perf_counter()
        service = Model.deploy(
            ws,
            name,
            [Model(ws, "ridge")],
            InferenceConfig(folder / "score.py", environment=environment),
            LocalWebservice.deploy_configuration(),
        )
        service.wait_for_deployment()
        deployed.append(time.perf_counter() - begin)
        built = service.serialize()["environment"]["built"]
        rows.append(
            (
                f"deployment with a requirements file, {name[6:]}",
                deployed[-1],
                "environment built" if built else "nothing built",
            )
        )
        service.delete()
    return rows


if __name__ == "__main__":
    main()
