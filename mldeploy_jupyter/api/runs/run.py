"""`Run`: a training run whose files can be registered, under the names of the Azure ML SDK v1."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import mldeploy_jupyter
from mldeploy_jupyter.api import arguments
from mldeploy_jupyter.api.arguments import WorkspaceLike
from mldeploy_jupyter.api.models import Model, ResourceConfiguration
from mldeploy_jupyter.api.models.registration import make_record, register_path
from mldeploy_jupyter.api.runs.folder_run import FolderRun, RunBackend, check_run_id
from mldeploy_jupyter.api.runs.mlflow_run import active_mlflow_run, open_mlflow
from mldeploy_jupyter.core.errors import (
    ModelPathNotFoundException,
    RunEnvironmentException,
    UserErrorException,
    WebserviceException,
)

_offline: Run | None = None  # what `Run.get_context()` gave in this process


class Run:
    """The run `id`: a folder `runs/<id>/` of the workspace, else an MLflow run of the tracking store in use.

    `run_id` is v1's name for `id`. Raises `RunEnvironmentException` when there is no such run. `Run.get_context()` is
    the run of this process.
    """

    def __init__(self, workspace: WorkspaceLike, id: str | None = None, *, run_id: str | None = None) -> None:
        self.workspace = arguments.check_workspace(workspace)
        if id is not None and run_id is not None and id != run_id:
            raise UserErrorException("id and run_id are both given", why="they mean the same", hint="Run(ws, id)")
        self.id = id = check_run_id(run_id if id is None else id)
        folder = workspace.find_folder()
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
    def get_context(cls, allow_offline: bool = True, workspace: WorkspaceLike | None = None) -> Run:
        """The active MLflow run, or else this process's own run, whose files are kept in the workspace.

        Raises `RunEnvironmentException` when there is no MLflow run and `allow_offline` is False.
        """
        global _offline
        workspace = workspace or mldeploy_jupyter.Workspace()
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
            run._backend = backend = FolderRun(workspace.folder.runs / run.id)
            backend.begin()
            _offline = run
        return _offline

    @staticmethod
    def get(workspace: WorkspaceLike, run_id: str) -> Run:
        """The run of that id. Raises `RunEnvironmentException`."""
        return Run(workspace, run_id)

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
        self._backend.set_properties({**self.properties, **arguments.check_json_dict("properties", properties)})

    def get_properties(self) -> dict[str, Any]:
        return self.properties

    @property
    def tags(self) -> dict[str, Any]:
        return self._backend.tags()

    def get_tags(self) -> dict[str, Any]:
        return self.tags

    def tag(self, key: str, value: Any = None) -> None:
        """Sets one tag; without a value it is a mark."""
        self.set_tags({str(key): "" if value is None else value})

    def set_tags(self, tags: dict[str, Any]) -> None:
        """Adds tags; a key that is there gets the new value. Raises `WebserviceException` for no dict of JSON."""
        self._backend.set_tags({**self.tags, **arguments.check_json_dict("tags", tags)})

    def remove_tags(self, tags: list[str]) -> None:
        self._backend.set_tags({key: value for key, value in self.tags.items() if key not in tags})

    # How it goes.

    def get_status(self) -> str:
        """Running, Completed, Failed or Canceled."""
        return str(self._backend.status()["status"])

    @property
    def status(self) -> str:
        return self.get_status()

    def get_details(self) -> dict[str, Any]:
        """Id, status, times, tags, properties and files, with v1's keys."""
        return {
            "runId": self.id,
            "target": "local",
            **self._backend.status(),
            "properties": self.properties,
            "tags": self.tags,
            "outputFiles": self.get_file_names(),
        }

    def complete(self) -> None:
        """Ends the run as Completed. The next `Run.get_context()` of this process begins another one."""
        self._end("Completed")

    def fail(self, error_details: Any = None, error_code: Any = None) -> None:
        """Ends the run as Failed; `error_details` becomes the tag `error`."""
        if error_details is not None:
            self.tag("error", str(error_details))
        self._end("Failed")

    def cancel(self) -> None:
        """Ends the run as Canceled. Nothing is stopped: a run here is only a record."""
        self._end("Canceled")

    def _end(self, status: str) -> None:
        global _offline
        self._backend.end(status)
        if _offline is not None and _offline.id == self.id:
            _offline = None

    # Metrics.

    def log(self, name: str, value: Any, description: str = "", step: int | None = None) -> None:
        """Keeps a number under a name; every call adds one. `description` is v1's and has no effect."""
        self._backend.log(str(name), _number(name, value), step)

    def log_list(self, name: str, value: Any, description: str = "") -> None:
        """Keeps a list of numbers."""
        self._backend.log(str(name), [_number(name, item) for item in _items(name, value)])

    def log_row(self, name: str, description: str | None = None, **kwargs: Any) -> None:
        """Keeps a row: a number for each column."""
        if not kwargs:
            raise UserErrorException(
                f"the row {name!r} has no columns",
                why="a row is a number for each column",
                hint=f"name its columns: run.log_row({str(name)!r}, x=1, y=2)",
            )
        self._backend.log(str(name), {column: _number(name, value) for column, value in kwargs.items()})

    def log_table(self, name: str, value: dict[str, Any], description: str = "") -> None:
        """Keeps the rows of a table, given as a list for each column."""
        if not isinstance(value, dict):
            raise UserErrorException(
                f"the table {name!r} is {value!r}", why="it must be a dict", hint='pass {"x": [1, 2], "y": [3, 4]}'
            )
        columns = {key: [*item] if isinstance(item, (list, tuple)) else [item] for key, item in value.items()}
        for row in zip(*columns.values(), strict=False):
            self.log_row(name, **dict(zip(columns, row, strict=True)))

    def get_metrics(
        self, name: str | None = None, recursive: bool = False, run_type: Any = None, populate: bool = False
    ) -> dict[str, Any]:
        """Every metric by name, or the one named: its value, or the list of its values when it was kept often.

        v1's other parameters concern child runs and its own service; they have no effect.
        """
        found = self._backend.metrics()
        return found if name is None else {key: value for key, value in found.items() if key == name}

    # Files.

    def upload_file(self, name: str, path_or_stream: Any, datastore_name: str | None = None) -> None:
        """Keeps the file or the binary stream as `name`, such as `outputs/model.pkl`. Raises `UserErrorException`."""
        upload(self._backend, inside(name), path_or_stream)

    def upload_files(self, names: list[str], paths: list[Any], **v1: Any) -> None:
        """Keeps each path under the name beside it. Raises `UserErrorException`."""
        names, paths = _items("names", names), _items("paths", paths)
        if len(names) != len(paths):
            raise UserErrorException(
                f"{len(names)} names and {len(paths)} paths",
                why="each file needs one name",
                hint="pass two lists of one length",
            )
        for name, path in zip(names, paths, strict=True):
            self.upload_file(name, path)

    def upload_folder(self, name: str, path: str | Path, datastore_name: str | None = None) -> None:
        """Keeps every file of the folder `path` below `name`. Raises `UserErrorException`."""
        for file, relative in walk(path):
            self.upload_file(f"{inside(name)}/{relative}", file)

    def get_file_names(self) -> list[str]:
        return self._backend.files()

    def download_file(self, name: str, output_file_path: str | Path | None = None) -> None:
        """Copies a file of the run to `output_file_path`, a file or a folder (default: its name, here).

        Raises `ModelPathNotFoundException`, which lists the run's files.
        """
        with self.local_copy(name) as path:
            copy(path, Path(output_file_path or "."), inside(name))

    def download_files(
        self,
        prefix: str | None = None,
        output_directory: str | Path | None = None,
        output_paths: list[str] | None = None,
        batch_size: int = 100,
        append_prefix: bool = True,
        timeout_seconds: float | None = None,
    ) -> None:
        """Copies every file whose name starts with `prefix` into `output_directory` (default: here).

        `output_paths` names them one by one. `append_prefix` False leaves the prefix out of their names.
        `batch_size` and `timeout_seconds` are v1's and have no effect: the files are on this machine.
        """
        names = [name for name in self.get_file_names() if name.startswith(prefix or "")]
        if output_paths is not None and len(output_paths) != len(names):
            raise UserErrorException(
                f"{len(output_paths)} output_paths for {len(names)} files",
                why=f"the files are {', '.join(names[:20]) or 'none'}",
                hint="pass one path for each, or output_directory",
            )
        for index, name in enumerate(names):
            short = name if append_prefix else name.removeprefix(prefix or "").lstrip("/") or name.split("/")[-1]
            target = Path(output_directory or ".") / (output_paths[index] if output_paths else short)
            self.download_file(name, target)

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
        record = make_record(
            model_name,
            tags=tags,
            properties=properties,
            description=description,
            datasets=datasets,
            model_framework=model_framework,
            model_framework_version=model_framework_version,
            sample_input_dataset=sample_input_dataset,
            sample_output_dataset=sample_output_dataset,
            resource_configuration=resource_configuration,
        )
        record = replace(record, run_id=self.id, experiment_name=self.experiment_name)
        with self.local_copy(model_path or model_name) as path:
            return Model.from_record(self.workspace, register_path(self.workspace, path, record))

    @contextmanager
    def local_copy(self, name: str) -> Iterator[Path]:
        """The run's file or folder `name` on this machine, for the time of the block."""
        name = inside(name)
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


def _items(name: Any, value: Any) -> list[Any]:
    """The items of a list, a tuple or an array. Raises `UserErrorException` for anything else."""
    if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__iter__"):
        raise UserErrorException(f"{name} is {value!r}", why="it must be a list", hint=f"pass [{value!r}]")
    return [*value]


def _number(name: Any, value: Any) -> float:
    if type(value) in (int, float):
        return value  # type: ignore[no-any-return]
    try:
        return float(value)  # numpy's numbers
    except (TypeError, ValueError):
        raise UserErrorException(
            f"the metric {name!r} is {value!r}", why="it must be a number", hint="pass float(...)"
        ) from None


def inside(name: Any) -> str:
    """The name with `/`, without `./`. Raises `WebserviceException` when it leaves the run."""
    path = PurePosixPath(str(name).replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or str(path) in (".", ""):
        raise WebserviceException(
            f"{str(name)!r} is not a name inside a run",
            why="it must be relative and may not hold '..'",
            hint="such as outputs/model.pkl",
        )
    return str(path)


def upload(backend: RunBackend, name: str, path_or_stream: Any) -> None:
    """Keeps a file or what a binary stream gives. Raises `UserErrorException`."""
    if hasattr(path_or_stream, "read"):
        with tempfile.TemporaryDirectory(prefix="mldeploy-run-") as staged:
            copied = Path(staged) / "stream"
            with copied.open("wb") as file:
                try:
                    shutil.copyfileobj(path_or_stream, file)
                except TypeError:
                    raise UserErrorException(
                        f"{name} cannot be kept",
                        why="the stream gives text, not bytes",
                        hint='open it with mode "rb"',
                    ) from None
            backend.upload(name, copied)
        return
    if not isinstance(path_or_stream, (str, os.PathLike)):
        raise UserErrorException(
            f"{path_or_stream!r} cannot be kept as {name}",
            why="it is neither a path nor a binary stream",
            hint=f"save it to a file, then run.upload_file({name!r}, PATH)",
        )
    path = Path(path_or_stream).expanduser()
    if not path.is_file():
        raise UserErrorException(
            f"there is no file {path}",
            why=f"it was looked for in {path.absolute().parent}",
            hint="save it first, then upload it",
        )
    backend.upload(name, path)


def walk(folder: str | Path) -> Iterator[tuple[Path, str]]:
    """The files below `folder`, each with its name relative to it. Raises `UserErrorException`."""
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise UserErrorException(
            f"there is no folder {root}",
            why="it is a file" if root.exists() else f"it was looked for in {root.absolute().parent}",
            hint="for one file: run.upload_file(name, path)",
        )
    for path in sorted(root.rglob("*")):
        if path.is_file():
            yield path, path.relative_to(root).as_posix()


def copy(path: Path, target: Path, name: str) -> None:
    """Copies `path` to `target`, or into it where it is a folder."""
    if path.is_dir():
        raise UserErrorException(
            f"{name} is a folder", why="one file is copied at a time", hint=f"run.download_files(prefix={name!r})"
        )
    if target.is_dir():
        target = target / PurePosixPath(name).name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
