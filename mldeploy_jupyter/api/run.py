"""`Run`: a training run whose files can be registered, under the names of the Azure ML SDK v1."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.api import model_checks, registration
from mldeploy_jupyter.api.run_backends import (
    FolderRun,
    RunBackend,
    active_mlflow_run,
    check_run_id,
    open_mlflow,
)
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import (
    ModelPathNotFoundException,
    RunEnvironmentException,
    UserErrorException,
    WebserviceException,
)
from mldeploy_jupyter.core.records import ModelRecord

if TYPE_CHECKING:
    from mldeploy_jupyter.api.model import Model
    from mldeploy_jupyter.api.resource_configuration import ResourceConfiguration

_offline: Run | None = None  # what `Run.get_context()` gave in this process


class Run:
    """The run `id`: a folder `runs/<id>/` of the workspace, else an MLflow run of the tracking store in use.

    Raises `RunEnvironmentException` when there is no such run. `Run.get_context()` is the run of this process.
    """

    def __init__(self, workspace: Workspace, id: str) -> None:
        self.workspace = model_checks.check_workspace(workspace)
        self.id = check_run_id(id)
        folder = workspace._for_read()
        place = folder.runs / id if folder else None
        backend = FolderRun(place) if place is not None and place.is_dir() else open_mlflow(id)
        if backend is None:
            looked = [str(place) if place else "no workspace yet", "MLflow's tracking store"]
            raise RunEnvironmentException(
                f"there is no run {id}",
                why=f"looked in {' and '.join(looked)}",
                hint="Run.get_context() begins a run; set MLFLOW_TRACKING_URI to find those of MLflow",
            )
        self._backend: RunBackend = backend

    @classmethod
    def get_context(cls, allow_offline: bool = True, workspace: Workspace | None = None) -> Run:
        """The active MLflow run, or else this process's own run, whose files are kept in the workspace.

        Raises `RunEnvironmentException` when there is no MLflow run and `allow_offline` is False.
        """
        global _offline
        workspace = workspace or Workspace()
        active = active_mlflow_run()
        if active is not None:
            return cls(workspace, active)
        if not allow_offline:
            raise RunEnvironmentException(
                "there is no active run", why="mlflow.start_run() was not called", hint="allow_offline=True begins one"
            )
        if _offline is None or _offline.workspace != workspace:
            run = cls.__new__(cls)
            run.workspace = workspace
            run.id = f"run-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
            run._backend = FolderRun(workspace._folder.runs / run.id)
            run._backend.set_properties({})
            _offline = run
        return _offline

    @property
    def experiment_name(self) -> str | None:
        """MLflow's experiment; None for a run of the workspace."""
        return self._backend.experiment_name

    @property
    def properties(self) -> dict[str, Any]:
        """The run's properties (MLflow: its tags)."""
        return self._backend.properties()

    def add_properties(self, properties: dict[str, Any]) -> None:
        """Adds properties. Raises `WebserviceException` for what is no dict of JSON values."""
        self._backend.set_properties({**self.properties, **model_checks.json_dict("properties", properties)})

    def upload_file(self, name: str, path_or_stream: str | Path) -> None:
        """Keeps the file `path_or_stream` as `name`, such as `outputs/model.pkl`. Raises `UserErrorException`."""
        path = Path(path_or_stream).expanduser()
        if not path.is_file():
            raise UserErrorException(f"there is no file {path}", hint="save it first, then upload it")
        self._backend.upload(_inside(name), path)

    def get_file_names(self) -> list[str]:
        return self._backend.files()

    def log(self, name: str, value: float) -> None:
        """Keeps a metric."""
        if type(value) not in (int, float):
            try:
                value = float(value)  # numpy's numbers
            except (TypeError, ValueError):
                raise UserErrorException(
                    f"the metric {name!r} is {value!r}", why="it must be a number", hint="pass float(...)"
                ) from None
        self._backend.log(str(name), value)

    def register_model(
        self,
        model_name: str,
        model_path: str | None = None,
        tags: dict[str, Any] | None = None,
        properties: dict[str, Any] | None = None,
        model_framework: str | None = None,
        model_framework_version: str | None = None,
        description: str | None = None,
        datasets: list[Any] | None = None,
        sample_input_dataset: Any = None,
        sample_output_dataset: Any = None,
        resource_configuration: ResourceConfiguration | None = None,
    ) -> Model:
        """Registers a file or folder of the run; `model_path` is its name in the run (default: `model_name`).

        Raises `ModelPathNotFoundException`, which lists the run's files, and what `Model.register` raises.
        """
        from mldeploy_jupyter.api.model import Model

        model_checks.check_model_name(model_name)
        model_checks.check_framework(model_framework, model_framework_version)
        record = ModelRecord(
            name=model_name,
            tags=model_checks.json_dict("tags", tags),
            properties=model_checks.json_dict("properties", properties),
            description=description,
            model_framework=model_framework,
            model_framework_version=model_framework_version,
            resource_configuration=model_checks.resources(resource_configuration),
            details=model_checks.dataset_details(datasets, sample_input_dataset, sample_output_dataset),
            created_by=model_checks.user_name(),
        )
        record = replace(record, run_id=self.id, experiment_name=self.experiment_name)
        with self._local_copy(model_path or model_name) as path:
            return Model._of(self.workspace, registration.register_path(self.workspace, path, record))

    @contextmanager
    def _local_copy(self, name: str) -> Iterator[Path]:
        """The run's file or folder `name` on this machine, for the time of the block."""
        name = _inside(name)
        files = self.get_file_names()
        if not any(file == name or file.startswith(f"{name}/") for file in files):
            raise ModelPathNotFoundException(
                f"run {self.id} has no file or folder {name}",
                why=f"it has {', '.join(files[:20]) or 'no files'}" + (" and more" if len(files) > 20 else ""),
                hint=f"run.upload_file({name!r}, PATH), or pass one of these names as model_path",
            )
        with self._backend.local_copy(name) as path:
            yield path

    def __repr__(self) -> str:
        return f"Run(workspace={self.workspace!r}, id={self.id})"


def _inside(name: Any) -> str:
    """The name with `/`, without `./`. Raises `WebserviceException` when it leaves the run."""
    path = PurePosixPath(str(name).replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or str(path) in (".", ""):
        raise WebserviceException(
            f"{str(name)!r} is not a name inside a run",
            why="it must be relative and may not hold '..'",
            hint="such as outputs/model.pkl",
        )
    return str(path)
