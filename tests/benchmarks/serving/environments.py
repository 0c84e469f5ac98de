"""The peers' Python environments: one each, made once, in a cache folder outside the repository.

All have the interpreter, scikit-learn, numpy and joblib of the environment that runs the benchmark. What a peer's own
requirements bring besides is its own affair; the report prints where a version differs.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import platformdirs

SHARED = ("scikit-learn", "numpy", "joblib")
SHOWN = (*SHARED, "pandas", "uvicorn", "uvloop", "httptools", "orjson", "fastapi", "flask", "gunicorn")

ENVIRONMENTS: dict[str, tuple[str, ...]] = {
    "azureml": (
        "azureml-inference-server-http==1.5.1",
        "inference-schema[numpy-support,pandas-support]==1.8",
        "pandas==3.1.1",
    ),
    "fastapi": (
        "fastapi==0.165.0",
        "uvicorn[standard]==0.54.0",
        "uvloop==0.23.0",
        "httptools==0.9.0",
        "orjson==3.13.0",
        "pandas==3.1.1",
    ),
    "litserve": ("litserve==0.2.19",),
    # Its inference worker does not start with uvloop 0.22 and later.
    "mlserver": ("mlserver==1.7.1", "mlserver-sklearn==1.7.1", "uvloop<0.22"),
    "mlflow": ("mlflow==3.17.2",),
    "bentoml": ("bentoml==1.4.39",),
    "tools": ("py-spy",),
}
MODEL = Path(__file__).with_name("peers") / "make_model.py"


def default_folder() -> Path:
    return Path(platformdirs.user_cache_dir("mldeploy-benchmarks"))


def requirements(name: str) -> list[str]:
    """What is installed: the peer's own list and the shared packages in our versions."""
    if name == "tools":
        return list(ENVIRONMENTS[name])
    return [*ENVIRONMENTS[name], *(f"{package}=={version(package)}" for package in SHARED)]


def ensure(name: str, folder: Path) -> Path:
    """The environment's folder; made when it is not there as asked. Raises `subprocess.CalledProcessError`."""
    wanted = requirements(name)
    digest = hashlib.sha256(json.dumps([wanted, sys.version, MODEL.read_text()]).encode()).hexdigest()
    place = folder / name
    done = place / ".done"
    if done.exists() and done.read_text() == digest:
        return place
    print(f"making the environment {name} in {place} (once)", file=sys.stderr, flush=True)
    uv = [sys.executable, "-m", "uv"]
    base = str(Path(sys.executable).resolve())
    subprocess.run([*uv, "venv", "-q", "--clear", "--python", base, str(place)], check=True)
    python = str(place / "bin" / "python")
    subprocess.run([*uv, "pip", "install", "-q", "--compile-bytecode", "--python", python, *wanted], check=True)
    if name != "tools":
        make_model(python, place / "model", name)
    done.write_text(digest)
    return place


def make_model(python: str, folder: Path, peer: str = "") -> None:
    """Fits the model with this interpreter and leaves it in the folder."""
    subprocess.run([python, str(MODEL), str(folder), *([peer] if peer else [])], check=True)


def versions(place: Path) -> dict[str, str]:
    """The versions of the packages that matter, as installed there."""
    own = {
        requirement.partition("=")[0].partition("<")[0].partition("[")[0] for requirement in ENVIRONMENTS[place.name]
    }
    code = (
        "import json, sys; from importlib.metadata import version, PackageNotFoundError\n"
        "def of(name):\n    try: return version(name)\n    except PackageNotFoundError: return ''\n"
        "print(json.dumps({name: of(name) for name in sys.argv[1:]}))"
    )
    names = sorted(own | set(SHOWN))
    said = subprocess.run(
        [str(place / "bin" / "python"), "-c", code, *names], check=True, capture_output=True, text=True
    ).stdout
    return {name: number for name, number in json.loads(said).items() if number}
