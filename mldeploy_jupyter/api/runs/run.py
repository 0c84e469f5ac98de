"""`Run`: a training run whose files can be registered, under the names of the Azure ML SDK v1."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from mldeploy_jupyter.api.arguments import WorkspaceLike, check_json_dict, check_path, check_workspace
from mldeploy_jupyter.api.models import Model, ResourceConfiguration
from mldeploy_jupyter.api.models.registration import make_record, register_path
from mldeploy_jupyter.api.runs.files import check_file_name, copy_file, log_json, log_picture, upload, walk_folder
from mldeploy_jupyter.api.runs.relations import RunRelations, begin_run
from mldeploy_jupyter.core.errors import ModelPathNotFoundException, RunEnvironmentException, UserErrorException
from mldeploy_jupyter.core.runs import open_run
from mldeploy_jupyter.core.runs.folder_run import check_run_id
from mldeploy_jupyter.core.runs.mlflow_run import active_mlflow_run_id

_offline_run: Run | None = None  # the run of this process, from its first `Run.get_context()` until it ends


class Run(RunRelations):
    """The run `id`: a folder `runs/<id>/` of the workspace, or else a run in MLflow's tracking store.

    v1 names the experiment instead of the workspace, and `run_id` instead of `id`. `Run.get_context()` is the run of
    this process. Raises `RunEnvironmentException` when there is no such run or MLflow cannot be reached,
    `UserErrorException` for an invalid id.
    """

    def __init__(
        self,
        workspace: WorkspaceLike | Any = None,
        id: str | None = None,
        *,
        run_id: str | None = None,
        experiment: Any = None,
        outputs: Any = None,
    ) -> None:
        given = workspace if experiment is None else experiment
        workspace = check_workspace(getattr(given, "workspace", given))
        self.workspace = workspace
        if id is not None and run_id is not None and id != run_id:
            raise UserErrorException("id and run_id are both given", why="they mean the same", hint="Run(ws, id)")
        self.id = id = check_run_id(run_id if id is None else id)
        folder = workspace.find_folder()
        path = folder.runs / id if folder else None
        backend = open_run(path, id)
        if backend is None:
            raise RunEnvironmentException(
                f"there is no run {id}",
                why=f"looked in {path or 'no workspace yet'} and MLflow's tracking store",
                hint="Run.get_context() begins a run; set MLFLOW_TRACKING_URI to find those of MLflow",
            )
        self._backend = backend

    @classmethod
    def get_context(cls, allow_offline: bool = True, workspace: WorkspaceLike | None = None) -> Run:
        """The active MLflow run, or else the run of this process, whose files are kept in the workspace.

        `workspace` defaults to that of the current directory. Raises `RunEnvironmentException` when no MLflow run is
        active and `allow_offline` is False.
        """
        global _offline_run
        workspace = _open_default_workspace() if workspace is None else check_workspace(workspace)
        active = active_mlflow_run_id()
        if active is not None:
            return cls(workspace, active)
        if not allow_offline:
            raise RunEnvironmentException(
                "there is no active run", why="mlflow.start_run() was not called", hint="allow_offline=True begins one"
            )
        if _offline_run is None or _offline_run.workspace != workspace:
            _offline_run = cls(workspace, begin_run(workspace))
        return _offline_run

    @staticmethod
    def get(workspace: WorkspaceLike, run_id: str) -> Run:
        """`Run(workspace, run_id)`. Raises `RunEnvironmentException` when there is no such run."""
        return Run(workspace, run_id)

    @property
    def experiment_name(self) -> str | None:
        """The name of the run's experiment; None for a run in the workspace that was begun without one."""
        return self._backend.experiment_name

    @property
    def properties(self) -> dict[str, Any]:
        """The run's properties; in MLflow all its tags."""
        return self._backend.get_properties()

    def add_properties(self, properties: dict[str, Any]) -> None:
        """Adds or replaces properties. Raises `WebserviceException` when they are not a dict of JSON values."""
        self._backend.set_properties({**self.properties, **check_json_dict("properties", properties)})

    def get_properties(self) -> dict[str, Any]:
        """`properties`."""
        return self.properties

    @property
    def tags(self) -> dict[str, Any]:
        """The run's tags."""
        return self._backend.get_tags()

    def get_tags(self) -> dict[str, Any]:
        """`tags`."""
        return self.tags

    def tag(self, key: str, value: Any = None) -> None:
        """Sets one tag, "" without a value."""
        self.set_tags({str(key): "" if value is None else value})

    def set_tags(self, tags: dict[str, Any]) -> None:
        """Adds or replaces tags. Raises `WebserviceException` when they are not a dict of JSON values."""
        self._backend.set_tags({**self.tags, **check_json_dict("tags", tags)})

    def remove_tags(self, tags: list[str]) -> None:
        """Removes tags by key; unknown keys are ignored."""
        self._backend.set_tags({key: value for key, value in self.tags.items() if key not in tags})

    # Status

    def get_status(self) -> str:
        """Running, Completed, Failed or Canceled."""
        return str(self._backend.get_status()["status"])

    @property
    def status(self) -> str:
        """`get_status()`."""
        return self.get_status()

    def get_details(self) -> dict[str, Any]:
        """Id, status, times (ISO 8601, UTC), tags, properties and files, with v1's keys."""
        return {
            "runId": self.id,
            "target": "local",
            **self._backend.get_status(),
            "properties": self.properties,
            "tags": self.tags,
            "outputFiles": self.get_file_names(),
        }

    def complete(self) -> None:
        """Ends the run as Completed. The next `Run.get_context()` of this process begins a new one."""
        self._end("Completed")

    def fail(self, error_details: Any = None, error_code: Any = None) -> None:
        """Ends the run as Failed; `error_details` becomes the tag `error`."""
        if error_details is not None:
            self.tag("error", str(error_details))
        self._end("Failed")

    def cancel(self) -> None:
        """Ends the run as Canceled. No process is stopped: a run is only a record."""
        self._end("Canceled")

    def _end(self, status: str) -> None:
        global _offline_run
        self._backend.end(status)
        if _offline_run is not None and _offline_run.id == self.id:
            _offline_run = None

    # Metrics

    def log(self, name: str, value: Any, description: str = "", step: int | None = None) -> None:
        """Adds a number to the metric `name`. `description` is v1's and has no effect.

        Raises `UserErrorException` when `value` is not a number.
        """
        self._backend.log_metric(str(name), _check_number(name, value), step)

    def log_list(self, name: str, value: Any, description: str = "") -> None:
        """Adds a list of numbers to the metric `name`. Raises `UserErrorException` for anything else."""
        self._backend.log_metric(str(name), [_check_number(name, item) for item in _check_items(name, value)])

    def log_row(self, name: str, description: str | None = None, **kwargs: Any) -> None:
        """Adds a row, a number for each column. Raises `UserErrorException` without columns or for anything else."""
        if not kwargs:
            raise UserErrorException(
                f"the row {name!r} has no columns",
                why="a row is a number for each column",
                hint=f"name its columns: run.log_row({str(name)!r}, x=1, y=2)",
            )
        self._backend.log_metric(str(name), {column: _check_number(name, value) for column, value in kwargs.items()})

    def log_table(self, name: str, value: dict[str, Any], description: str = "") -> None:
        """Adds the rows of a table, given as a list for each column. Raises `UserErrorException` for anything else."""
        if not isinstance(value, dict):
            raise UserErrorException(
                f"the table {name!r} is {value!r}", why="it must be a dict", hint='pass {"x": [1, 2], "y": [3, 4]}'
            )
        columns = {key: [*item] if isinstance(item, (list, tuple)) else [item] for key, item in value.items()}
        for row in zip(*columns.values(), strict=False):
            self.log_row(name, **dict(zip(columns, row, strict=True)))

    def log_image(self, name: str, path: Any = None, plot: Any = None, description: str = "") -> None:
        """Keeps a picture as a file of the run: the file `path`, or `plot`, matplotlib's pyplot or a figure.

        The file's name is `name` with its ending. `description` is v1's and has no effect. Raises `UserErrorException`
        when neither or both are given.
        """
        log_picture(self._backend, name, path, plot)

    def log_confusion_matrix(self, name: str, value: Any, description: str = "") -> None:
        """Keeps a dict, or JSON text, as the file `name.json` of the run. Raises `WebserviceException` for others."""
        log_json(self._backend, name, value)

    log_accuracy_table = log_predictions = log_residuals = log_confusion_matrix

    def get_metrics(
        self, name: str | None = None, recursive: bool = False, run_type: Any = None, populate: bool = False
    ) -> dict[str, Any]:
        """The metrics by name, or only the one named: its value, or the list of its values when there are several.

        `recursive`, `run_type` and `populate` are v1's and have no effect.
        """
        found = self._backend.get_metrics()
        return found if name is None else {key: value for key, value in found.items() if key == name}

    # Files

    def upload_file(self, name: str, path_or_stream: Any, datastore_name: str | None = None) -> None:
        """Copies a file or a binary stream into the run as `name`, such as `outputs/model.pkl`.

        Raises `UserErrorException` when there is no such file or the stream gives text, `WebserviceException` when
        `name` is not a relative path.
        """
        upload(self._backend, check_file_name(name), path_or_stream)

    def upload_files(self, names: list[str], paths: list[Any], **v1: Any) -> None:
        """Uploads `paths[i]` as `names[i]`; raises as `upload_file`, and `UserErrorException` for unequal lengths."""
        names, paths = _check_items("names", names), _check_items("paths", paths)
        if len(names) != len(paths):
            raise UserErrorException(
                f"{len(names)} names and {len(paths)} paths",
                why="each file needs one name",
                hint="pass two lists of one length",
            )
        for name, path in zip(names, paths, strict=True):
            self.upload_file(name, path)

    def upload_folder(self, name: str, path: str | Path, datastore_name: str | None = None) -> None:
        """Uploads every file of the folder `path` below `name`; raises as `upload_file`."""
        for file, relative in walk_folder(check_path("path", path, 'path="outputs"')):
            self.upload_file(f"{check_file_name(name)}/{relative}", file)

    def get_file_names(self) -> list[str]:
        """The names of the run's files, sorted, with `/`."""
        return self._backend.list_files()

    def download_file(self, name: str, output_file_path: str | Path | None = None) -> None:
        """Copies a file of the run to `output_file_path`, a file or a folder (default: the current directory).

        Raises `ModelPathNotFoundException`, which lists the run's files, `UserErrorException` when `name` is a folder.
        """
        with self.local_copy(name) as path:
            copy_file(path, Path(output_file_path or "."), check_file_name(name))

    def download_files(
        self,
        prefix: str | None = None,
        output_directory: str | Path | None = None,
        output_paths: list[str] | None = None,
        batch_size: int = 100,
        append_prefix: bool = True,
        timeout_seconds: float | None = None,
    ) -> None:
        """Copies every file whose name starts with `prefix` into `output_directory` (default: the current directory).

        `output_paths` gives a target for each of them; `append_prefix=False` removes the prefix from their names.
        `batch_size` and `timeout_seconds` are v1's and have no effect. Raises `UserErrorException` when the number of
        `output_paths` differs from the number of files.
        """
        names = [name for name in self.get_file_names() if name.startswith(prefix or "")]
        if output_paths is not None and not isinstance(output_paths, (list, tuple)):
            raise UserErrorException(
                f"output_paths is {output_paths!r}", why="it must be a list of paths", hint="pass output_directory"
            )
        if output_paths is not None and len(output_paths) != len(names):
            raise UserErrorException(
                f"{len(output_paths)} output_paths for {len(names)} files",
                why=f"the files are {', '.join(names[:20])}" if names else "the run has no such files",
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

        Raises `ModelPathNotFoundException`, which lists the run's files, and as `Model.register`.
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
        """The path of the run's file or folder `name` on this machine, within the `with` block.

        Raises `ModelPathNotFoundException`, which lists the run's files.
        """
        name = check_file_name(name)
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


def _open_default_workspace() -> WorkspaceLike:
    # By name: `Workspace` is above this room, and only this default needs the class.
    opened: WorkspaceLike = import_module("mldeploy_jupyter.api.workspace").Workspace()
    return opened


def _check_items(name: Any, value: Any) -> list[Any]:
    """Returns the items of a list, tuple or array. Raises `UserErrorException` for anything else."""
    if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__iter__"):
        raise UserErrorException(f"{name} is {value!r}", why="it must be a list", hint=f"pass [{value!r}]")
    return [*value]


def _check_number(name: Any, value: Any) -> float:
    if type(value) in (int, float):
        return value  # type: ignore[no-any-return]
    try:
        return float(value)  # such as a NumPy scalar
    except (TypeError, ValueError):
        raise UserErrorException(
            f"the metric {name!r} is {value!r}", why="it must be a number", hint="pass float(...)"
        ) from None


def get_run(experiment: Any, run_id: str, rehydrate: bool = True, clean_up: bool = True) -> Run:
    """v1's function: the run of that id. Raises `RunEnvironmentException` when there is no such run.

    `rehydrate` and `clean_up` have no effect: a run has one class, and what it began is not deleted here.
    """
    return Run(id=run_id, experiment=experiment)
