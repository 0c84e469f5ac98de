"""Where a run's files and properties are: a folder of the workspace, or an MLflow tracking store."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from mldeploy_jupyter.core.errors import RunEnvironmentException, StorageError, UserErrorException
from mldeploy_jupyter.core.files import make_private_dir, write_json

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class RunBackend(Protocol):
    """`properties`, `files` and so on of one run. Names of files are relative, with `/`."""

    experiment_name: str | None

    def properties(self) -> dict[str, Any]: ...
    def set_properties(self, properties: dict[str, Any]) -> None: ...
    def files(self) -> list[str]: ...
    def upload(self, name: str, path: Path) -> None: ...
    def log(self, name: str, value: float) -> None: ...
    def local_copy(self, name: str) -> Any:
        """A context whose value is a path of the file or folder `name` on this machine."""


class FolderRun:
    """A run kept as `<.mldeploy>/runs/<id>/`: its files under their names, and `properties.json`."""

    PROPERTIES = "properties.json"
    METRICS = "metrics.jsonl"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.experiment_name: str | None = None

    def properties(self) -> dict[str, Any]:
        try:
            data = json.loads((self.folder / self.PROPERTIES).read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise StorageError(
                f"the run's properties cannot be read: {self.folder / self.PROPERTIES}",
                why=str(error),
                hint="it is JSON; correct it",
            ) from None
        return dict(data)

    def set_properties(self, properties: dict[str, Any]) -> None:
        write_json(make_private_dir(self.folder) / self.PROPERTIES, properties)

    def files(self) -> list[str]:
        own = {self.PROPERTIES, self.METRICS}
        found = (path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())
        return sorted(name for name in found if name not in own)

    def upload(self, name: str, path: Path) -> None:
        target = self.folder / name
        make_private_dir(target.parent)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            shutil.copyfile(path, temporary)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)

    def log(self, name: str, value: float) -> None:
        make_private_dir(self.folder)
        line = json.dumps({"name": name, "value": value}) + "\n"
        with (self.folder / self.METRICS).open("a", encoding="utf-8") as file:
            file.write(line)

    @contextmanager
    def local_copy(self, name: str) -> Iterator[Path]:
        yield self.folder / name


class MlflowRun:
    """A run of the MLflow tracking store that this process is set up for."""

    def __init__(self, client: Any, run: Any) -> None:
        self._client = client
        self._id = run.info.run_id
        experiment = client.get_experiment(run.info.experiment_id)
        self.experiment_name: str | None = experiment.name if experiment else None

    def properties(self) -> dict[str, Any]:
        return dict(self._client.get_run(self._id).data.tags)

    def set_properties(self, properties: dict[str, Any]) -> None:
        for key, value in properties.items():
            self._client.set_tag(self._id, key, value)

    def files(self) -> list[str]:
        found: list[str] = []
        folders: list[str | None] = [None]
        while folders:
            for info in self._client.list_artifacts(self._id, folders.pop()):
                (folders if info.is_dir else found).append(info.path)
        return sorted(found)

    def upload(self, name: str, path: Path) -> None:
        target = PurePosixPath(name)
        parent = None if str(target.parent) == "." else str(target.parent)
        with tempfile.TemporaryDirectory(prefix="mldeploy-run-") as staged:
            copy = Path(staged) / target.name  # MLflow keeps a file under its own name
            shutil.copyfile(path, copy)
            self._client.log_artifact(self._id, str(copy), parent)

    def log(self, name: str, value: float) -> None:
        self._client.log_metric(self._id, name, value)

    @contextmanager
    def local_copy(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="mldeploy-run-") as staged:
            yield Path(self._client.download_artifacts(self._id, name, staged))


def check_run_id(id: Any) -> str:
    if not isinstance(id, str) or not RUN_ID.fullmatch(id):
        raise UserErrorException(
            f"{id!r} cannot be the id of a run",
            why="an id has up to 128 letters, digits, '-', '_' and '.'",
            hint='such as Run(ws, "my-run")',
        )
    return id


def open_mlflow(id: str) -> MlflowRun | None:
    """The run of that id in MLflow, or None when MLflow is not in use here or has no such run.

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
    """Whether a tracking store was chosen or is there. Asking MLflow otherwise would make one in this folder."""
    return (
        "mlflow" in sys.modules
        or bool(os.environ.get("MLFLOW_TRACKING_URI"))
        or any(Path(name).exists() for name in ("mlruns", "mlflow.db"))
    )


def active_mlflow_run() -> str | None:
    """The id of the run `mlflow.start_run()` began in this process or its parent."""
    mlflow = sys.modules.get("mlflow")
    active = mlflow.active_run() if mlflow is not None else None
    return active.info.run_id if active else os.environ.get("MLFLOW_RUN_ID") or None
