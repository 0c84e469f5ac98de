"""Models of MLflow: those of its registry, and those that a run logged under an id of their own."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.errors import ModelNotFoundException, RunEnvironmentException
from mldeploy_jupyter.core.runs.mlflow_run import REFUSED, ask, import_mlflow, mlflow_in_use, open_mlflow

LOGGED_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")

DESCRIPTION = "MLmodel"  # the file that says what a folder with a model of MLflow holds


_EMPTY_STAGE = "No versions of model"  # MLflow's words for a stage without one, which has no code of its own


@dataclass(frozen=True)
class MlflowModel:
    """A copy of a model of MLflow on this machine. `run_id` and `experiment_name` are None where MLflow has none."""

    path: Path
    run_id: str | None = None
    experiment_name: str | None = None


@contextmanager
def open_mlflow_model(uri: str) -> Iterator[MlflowModel]:
    """The model that `uri` names, such as `models:/churn@champion`, within the `with` block.

    Raises `ModelNotFoundException` when there is none or MLflow is not in use, `RunEnvironmentException` when its store
    cannot be reached.
    """
    what = f"the model {uri} could not be read from MLflow"
    mlflow = import_mlflow(what) if mlflow_in_use() else None
    if mlflow is None:
        why, hint = "no tracking store of MLflow is in use here", "set MLFLOW_TRACKING_URI to the store that has it"
        if mlflow_in_use():
            why, hint = "the package mlflow is not installed", "pip install mlflow"
        raise ModelNotFoundException(f"there is no model {uri}", why=why, hint=hint)
    with tempfile.TemporaryDirectory(prefix="mldeploy-model-") as staged:
        folder = Path(staged) / _folder_name(uri, mlflow)
        folder.mkdir()
        try:
            path = Path(ask(what, lambda: mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder))))
        except RunEnvironmentException as error:
            if getattr(error.__cause__, "error_code", "") in REFUSED or error.why.startswith(_EMPTY_STAGE):
                hint = _which_there_are(uri, error.why)
                raise ModelNotFoundException(f"there is no model {uri}", why=error.why, hint=hint) from error
            raise
        run_id = _read_run_id(path)
        run = open_mlflow(run_id) if run_id else None
        yield MlflowModel(path, run_id if run else None, run.experiment_name if run else None)


def _which_there_are(uri: str, why: str) -> str:
    """The hint for a model that is not there: where its name is known, it lists the versions."""
    name = re.split("[/@]", uri.partition(":")[2].lstrip("/"), maxsplit=1)[0]
    if LOGGED_MODEL_ID.fullmatch(name) or why.startswith("Registered Model "):
        return "see which there are with mlflow.search_registered_models()"
    search = f"mlflow.search_model_versions(filter_string=\"name='{name}'\")"
    return f"see its versions, with their stages and aliases: {search}"


def _folder_name(uri: str, mlflow: Any) -> str:
    """What the model's folder is called: the model's name in MLflow."""
    name = re.split("[/@]", uri.partition(":")[2].lstrip("/"), maxsplit=1)[0]
    if LOGGED_MODEL_ID.fullmatch(name):
        try:
            name = mlflow.MlflowClient().get_logged_model(name).name or name
        except Exception:  # the download says what is wrong
            pass
    return re.sub(r"[^\w.-]", "_", name).strip(".") or "model"


def _read_run_id(path: Path) -> str | None:
    try:
        text = (path / DESCRIPTION).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    found = re.search(r"^run_id: *['\"]?([0-9A-Za-z]+)", text, re.MULTILINE)
    return found[1] if found else None
