"""Which models are MLflow's, and script and environment of a deployment of one that names none."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mldeploy_jupyter.core.records import ModelRecord
from mldeploy_jupyter.core.runs.mlflow_model import DESCRIPTION

if TYPE_CHECKING:
    from mldeploy_jupyter.core.artifacts.artifact_store import ArtifactStore
    from mldeploy_jupyter.core.bundle.builder import BundleModel
    from mldeploy_jupyter.core.environment.spec import EnvironmentSpec

SCRIPT = Path(__file__).parent / "mlflow_model" / "score.py"


def is_mlflow_model(model: ModelRecord | Path) -> bool:
    """Whether a registered model, or a folder, has the file in which MLflow describes a model."""
    if isinstance(model, ModelRecord):
        return any(PurePosixPath(name).name == DESCRIPTION for name in model.files)
    return model.is_dir() and any(True for _ in model.rglob(DESCRIPTION))


def find_script(models: Iterable[ModelRecord | Path]) -> Path | None:
    """The script that scores with the only one of `models` that is MLflow's; None where there is no such one."""
    return SCRIPT if sum(map(is_mlflow_model, models)) == 1 else None


def read_environment(
    script: Path | None, models: Iterable[BundleModel], artifacts: ArtifactStore
) -> EnvironmentSpec | None:
    """The environment that the only model of MLflow among `models` asks for; None where `script` is not `SCRIPT`.

    It is that of `requirements.txt` with the Python of `python_env.yaml`, as `mlflow models serve` makes it; of a model
    without them that of `conda.yaml`. None for a model that has neither. Raises `ConfigError`.
    """
    import tempfile

    from mldeploy_jupyter.core.environment.conda_file import read_conda_file
    from mldeploy_jupyter.core.environment.requirements_file import read_requirements_file

    if script is None or script.read_bytes() != SCRIPT.read_bytes():
        return None
    found = [(model, PurePosixPath(name).parent) for model in models for name in _names(model) if _describes(name)]
    if len(found) != 1:
        return None
    model, folder = found[0]
    with tempfile.TemporaryDirectory(prefix="mldeploy-mlflow-") as place:
        for name in (_REQUIREMENTS, _PYTHON, _CONDA):
            if (content := _read(model, str(folder / name), artifacts)) is not None:
                Path(place, name).write_bytes(content)
        if Path(place, _REQUIREMENTS).exists():
            spec = read_requirements_file(Path(place, _REQUIREMENTS), name=model.name)
            return replace(spec, python=_read_python(Path(place, _PYTHON)))
        conda = Path(place, _CONDA)
        return read_conda_file(conda) if conda.exists() else None


_REQUIREMENTS, _PYTHON, _CONDA = "requirements.txt", "python_env.yaml", "conda.yaml"


def _names(model: BundleModel) -> list[str]:
    return [*dict.fromkeys([*model.files, *model.paths])]


def _describes(name: str) -> bool:
    return PurePosixPath(name).name == DESCRIPTION


def _read(model: BundleModel, name: str, artifacts: ArtifactStore) -> bytes | None:
    if name in model.paths:
        return model.paths[name].read_bytes()
    if name not in model.files:
        return None
    with artifacts.open_blob(model.files[name][0]) as file:
        return file.read()


def _read_python(path: Path) -> str | None:
    """The minor version, whose patch releases load the same models; None where the file does not name one."""
    text = path.read_text("utf-8", "replace") if path.exists() else ""
    found = re.search(r"^python: *[\"']?(\d+\.\d+)", text, re.MULTILINE)
    return found[1] if found else None
