"""A run of MLflow, and the tracking store of this process.

MLflow and its libraries raise errors of any type, so each call goes through `ask`, which explains them.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any

from mldeploy_jupyter.core.errors import RunEnvironmentException
from mldeploy_jupyter.core.runs.backend import combine_values

# MLflow's status of a run -> v1's.
_STATUS = {"RUNNING": "Running", "FINISHED": "Completed", "FAILED": "Failed", "KILLED": "Canceled"}

_PARENT = "mlflow.parentRunId"  # the tag of a run that is below another

PAGE = 1000  # found with one question

# MLflow's codes for what is not there, and for what it does not take.
REFUSED = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


class MlflowRun:
    """A run in the MLflow tracking store that this process is configured for.

    Its methods raise `RunEnvironmentException` when the store cannot be reached or refuses what it is given.
    """

    def __init__(self, client: Any, run: Any) -> None:
        self._client = client
        self._id = run.info.run_id
        self._experiment_id = run.info.experiment_id
        experiment = self._call("get_experiment", self._experiment_id)
        self.experiment_name: str | None = experiment.name if experiment else None

    @property
    def url(self) -> str:
        store = get_tracking_uri()
        if not store.startswith("http"):
            return str(self._call("get_run", self._id).info.artifact_uri)
        return f"{store.rstrip('/')}/#/experiments/{self._experiment_id}/runs/{self._id}"

    @property
    def parent_id(self) -> str | None:
        return self.get_properties().get(_PARENT)

    def get_name(self) -> str | None:
        return self.get_properties().get("mlflow.runName")

    def begin_child(self, id: str, name: str | None) -> str:
        tags = {_PARENT: self._id}
        return str(self._call("create_run", self._experiment_id, tags=tags, run_name=name).info.run_id)

    def list_children(self, recursive: bool = False) -> list[str]:
        return list(self._find_below(self._id, recursive))

    def _find_below(self, id: str, recursive: bool) -> Iterator[str]:
        where = {"experiment_ids": [self._experiment_id], "filter_string": f"tags.`{_PARENT}` = '{id}'"}
        for run in _read_pages(lambda **page: self._call("search_runs", **where, **page)):
            yield run.info.run_id
            if recursive:
                yield from self._find_below(run.info.run_id, True)

    def get_properties(self) -> dict[str, Any]:
        return dict(self._call("get_run", self._id).data.tags)

    def set_properties(self, properties: dict[str, Any]) -> None:
        for key, value in properties.items():
            self._call("set_tag", self._id, key, value)

    def get_tags(self) -> dict[str, Any]:
        return {key: value for key, value in self.get_properties().items() if not key.startswith("mlflow.")}

    def set_tags(self, tags: dict[str, Any]) -> None:
        for key in set(self.get_tags()) - set(tags):
            self._call("delete_tag", self._id, key)
        self.set_properties(tags)

    def get_status(self) -> dict[str, str | None]:
        info = self._call("get_run", self._id).info
        return {
            "status": _STATUS.get(info.status, info.status),
            "startTimeUtc": _iso(info.start_time),
            "endTimeUtc": _iso(info.end_time),
        }

    def end(self, status: str) -> None:
        self._call("set_terminated", self._id, next(word for word, v1 in _STATUS.items() if v1 == status))

    def list_files(self) -> list[str]:
        found: set[str] = set()
        folders: list[str | None] = [None, *self._logged_models()]
        while folders:
            for info in self._call("list_artifacts", self._id, folders.pop()):
                if info.is_dir:
                    folders.append(info.path)
                else:
                    found.add(info.path)
        return sorted(found)

    def _logged_models(self) -> list[str]:
        """The names of the models that the run logged. MLflow 3 keeps them beside the run's artifacts."""
        outputs = getattr(self._call("get_run", self._id), "outputs", None)
        ids = [output.model_id for output in getattr(outputs, "model_outputs", None) or []]
        return list(dict.fromkeys(self._call("get_logged_model", id).name for id in ids))

    def upload_file(self, name: str, path: Path) -> None:
        target = PurePosixPath(name)
        parent = None if str(target.parent) == "." else str(target.parent)
        with tempfile.TemporaryDirectory(prefix="mldeploy-run-") as staged:
            copy = Path(staged) / target.name  # MLflow stores a file under its own name
            shutil.copyfile(path, copy)
            self._call("log_artifact", self._id, str(copy), parent)

    def log_metric(self, name: str, value: Any, step: int | None = None) -> None:
        if isinstance(value, dict):  # MLflow logs single numbers: a row becomes a metric for each column
            for column, number in value.items():
                self.log_metric(f"{name}.{column}", number, step)
        elif isinstance(value, list):
            for index, number in enumerate(value):
                self._call("log_metric", self._id, name, number, step=index)
        else:
            self._call("log_metric", self._id, name, value, step=step)

    def get_metrics(self) -> dict[str, Any]:
        names = self._call("get_run", self._id).data.metrics
        return {
            name: combine_values([metric.value for metric in self._call("get_metric_history", self._id, name)])
            for name in names
        }

    @contextmanager
    def local_copy(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="mldeploy-run-") as staged:
            yield Path(self._call("download_artifacts", self._id, name, staged))

    def _call(self, method: str, *arguments: Any, **options: Any) -> Any:
        what = f"MLflow could not carry out {method} for run {self._id}"
        return ask(what, lambda: getattr(self._client, method)(*arguments, **options))


def _iso(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()


def open_mlflow(id: str) -> MlflowRun | None:
    """The run with this id in MLflow, or None when MLflow is not in use or has no such run.

    Raises `RunEnvironmentException` when MLflow does not work here or its tracking store cannot be reached.
    """
    what = f"run {id} could not be looked up in MLflow"
    client = _open_client(what)
    if client is None:
        return None
    try:
        run = ask(what, lambda: client.get_run(id))
    except RunEnvironmentException as error:
        if getattr(error.__cause__, "error_code", "") in REFUSED:
            return None
        raise
    return MlflowRun(client, run)


def list_mlflow_experiments() -> list[str]:
    """The names of MLflow's experiments; [] when MLflow is not in use. Raises as `open_mlflow`."""
    what = "MLflow's experiments could not be listed"
    client = _open_client(what)
    if client is None:
        return []
    return [one.name for one in _read_pages(lambda **page: ask(what, lambda: client.search_experiments(**page)))]


def list_mlflow_runs(experiment: str) -> list[str]:
    """The ids of the runs of an experiment in MLflow, newest first; [] when there is none. Raises as `open_mlflow`."""
    what = f"MLflow's runs of {experiment} could not be listed"
    client = _open_client(what)
    found = None if client is None else ask(what, lambda: client.get_experiment_by_name(experiment))
    if client is None or found is None:
        return []
    search = partial(client.search_runs, [found.experiment_id])
    return [run.info.run_id for run in _read_pages(lambda **page: ask(what, lambda: search(**page)))]


def _read_pages(search: Callable[..., Any]) -> Iterator[Any]:
    """Everything that MLflow finds; without pages it returns the first thousand."""
    token = None
    while True:
        page = search(max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _open_client(what: str) -> Any:
    """A client of the tracking store, or None when MLflow is not in use."""
    mlflow = import_mlflow(what) if mlflow_in_use() else None
    return None if mlflow is None else ask(what, lambda: mlflow.MlflowClient())


def mlflow_in_use() -> bool:
    """Whether a tracking store is configured or exists. Without this check MLflow would create one in this folder."""
    return (
        "mlflow" in sys.modules
        or any(os.environ.get(name) for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"))
        or any(Path(name).exists() for name in ("mlruns", "mlflow.db"))
    )


def get_tracking_uri() -> str:
    """The tracking URI that MLflow uses in this process.

    Raises `RunEnvironmentException` when it is not installed or does not work here.
    """
    what = "there is no MLflow tracking URI"
    mlflow = import_mlflow(what)
    if mlflow is None:
        raise RunEnvironmentException(
            what,
            why="the package mlflow is not installed",
            hint="pip install mlflow, or use Run.get_context(), which needs none",
        )
    return str(ask(what, lambda: mlflow.get_tracking_uri()))


def active_mlflow_run_id() -> str | None:
    """The id of the run that `mlflow.start_run()` started in this process or its parent, or None.

    Raises `RunEnvironmentException` when MLflow was imported and does not work.
    """
    mlflow = sys.modules.get("mlflow")
    active = ask("MLflow did not say which run is active", lambda: mlflow.active_run()) if mlflow is not None else None
    return active.info.run_id if active else os.environ.get("MLFLOW_RUN_ID") or None


def import_mlflow(what: str) -> Any:
    """The package, or None when it is not installed. Raises `RunEnvironmentException` when its import fails."""
    try:
        return ask(what, lambda: import_module("mlflow"))
    except RunEnvironmentException as error:
        missing = error.__cause__
        if isinstance(missing, ModuleNotFoundError) and missing.name == "mlflow":
            return None
        raise


def ask(what: str, function: Callable[[], Any]) -> Any:
    """What `function`, a call of MLflow, returns. Raises `RunEnvironmentException` for whatever it raises.

    An error that is neither MLflow's own nor the system's comes from below: mostly of a library whose release does not
    fit MLflow's.
    """
    try:
        return function()
    except Exception as error:
        is_known = isinstance(error, OSError) or any(kind.__name__ == "MlflowException" for kind in type(error).__mro__)
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if not is_known:
            why = f"{type(error).__name__}: {why}"
        hint = "check MLFLOW_TRACKING_URI"
        if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
            hint = "see which runs there are with mlflow.search_runs()"
        elif isinstance(error, ModuleNotFoundError) and error.name:
            hint = f"install {error.name}; for a database, pip install mlflow: mlflow-skinny leaves out what that needs"
        elif not is_known:
            hint = "check MLFLOW_TRACKING_URI, and with `pip check` that MLflow and its packages fit together"
        raise RunEnvironmentException(what, why=why, hint=hint) from error
