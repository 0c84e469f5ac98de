"""A run of MLflow, and the tracking store of this process."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from mldeploy_jupyter.api.runs.backend import combine_values
from mldeploy_jupyter.core.errors import RunEnvironmentException

# MLflow's status of a run -> v1's.
_STATUS = {"RUNNING": "Running", "FINISHED": "Completed", "FAILED": "Failed", "KILLED": "Canceled"}


class MlflowRun:
    """A run in the MLflow tracking store that this process is configured for."""

    def __init__(self, client: Any, run: Any) -> None:
        self._client = client
        self._id = run.info.run_id
        experiment = client.get_experiment(run.info.experiment_id)
        self.experiment_name: str | None = experiment.name if experiment else None

    def get_properties(self) -> dict[str, Any]:
        return dict(self._client.get_run(self._id).data.tags)

    def set_properties(self, properties: dict[str, Any]) -> None:
        for key, value in properties.items():
            self._client.set_tag(self._id, key, value)

    def get_tags(self) -> dict[str, Any]:
        return {key: value for key, value in self.get_properties().items() if not key.startswith("mlflow.")}

    def set_tags(self, tags: dict[str, Any]) -> None:
        for key in set(self.get_tags()) - set(tags):
            self._client.delete_tag(self._id, key)
        self.set_properties(tags)

    def get_status(self) -> dict[str, str | None]:
        info = self._client.get_run(self._id).info
        return {
            "status": _STATUS.get(info.status, info.status),
            "startTimeUtc": _iso(info.start_time),
            "endTimeUtc": _iso(info.end_time),
        }

    def end(self, status: str) -> None:
        self._client.set_terminated(self._id, next(word for word, v1 in _STATUS.items() if v1 == status))

    def list_files(self) -> list[str]:
        found: list[str] = []
        folders: list[str | None] = [None]
        while folders:
            for info in self._client.list_artifacts(self._id, folders.pop()):
                (folders if info.is_dir else found).append(info.path)
        return sorted(found)

    def upload_file(self, name: str, path: Path) -> None:
        target = PurePosixPath(name)
        parent = None if str(target.parent) == "." else str(target.parent)
        with tempfile.TemporaryDirectory(prefix="mldeploy-run-") as staged:
            copy = Path(staged) / target.name  # MLflow stores a file under its own name
            shutil.copyfile(path, copy)
            self._client.log_artifact(self._id, str(copy), parent)

    def log_metric(self, name: str, value: Any, step: int | None = None) -> None:
        if isinstance(value, dict):  # MLflow logs single numbers: a row becomes a metric for each column
            for column, number in value.items():
                self.log_metric(f"{name}.{column}", number, step)
        elif isinstance(value, list):
            for index, number in enumerate(value):
                self._client.log_metric(self._id, name, number, step=index)
        else:
            self._client.log_metric(self._id, name, value, step=step)

    def get_metrics(self) -> dict[str, Any]:
        names = self._client.get_run(self._id).data.metrics
        return {
            name: combine_values([metric.value for metric in self._client.get_metric_history(self._id, name)])
            for name in names
        }

    @contextmanager
    def local_copy(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="mldeploy-run-") as staged:
            yield Path(self._client.download_artifacts(self._id, name, staged))


def _iso(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()


def open_mlflow(id: str) -> MlflowRun | None:
    """The run with this id in MLflow, or None when MLflow is not in use or has no such run.

    Raises `RunEnvironmentException` when the tracking store cannot be reached.
    """
    if not mlflow_in_use():
        return None
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError:
        return None
    try:
        client = MlflowClient()
    except (MlflowException, ImportError, OSError, ValueError) as error:  # no such scheme, no driver, no network
        raise _unreachable(id, error) from error
    try:
        return MlflowRun(client, client.get_run(id))
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise _unreachable(id, error) from error
    except (ImportError, OSError) as error:
        raise _unreachable(id, error) from error


def _unreachable(id: str, error: Exception) -> RunEnvironmentException:
    return RunEnvironmentException(
        f"run {id} could not be looked up in MLflow",
        why=(str(error).splitlines() or [type(error).__name__])[0],
        hint="check MLFLOW_TRACKING_URI",
    )


def mlflow_in_use() -> bool:
    """Whether a tracking store is configured or exists. Without this check MLflow would create one in this folder."""
    return (
        "mlflow" in sys.modules
        or bool(os.environ.get("MLFLOW_TRACKING_URI"))
        or any(Path(name).exists() for name in ("mlruns", "mlflow.db"))
    )


def get_tracking_uri() -> str:
    """The tracking URI that MLflow uses in this process. Raises `RunEnvironmentException` when it is not installed."""
    try:
        import mlflow
    except ImportError:
        raise RunEnvironmentException(
            "there is no MLflow tracking URI",
            why="the package mlflow is not installed",
            hint="pip install mlflow, or use Run.get_context(), which needs none",
        ) from None
    return str(mlflow.get_tracking_uri())


def active_mlflow_run_id() -> str | None:
    """The id of the run that `mlflow.start_run()` started in this process or its parent, or None."""
    mlflow = sys.modules.get("mlflow")
    active = mlflow.active_run() if mlflow is not None else None
    return active.info.run_id if active else os.environ.get("MLFLOW_RUN_ID") or None
