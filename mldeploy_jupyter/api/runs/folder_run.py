"""Where a run's files and properties are: a folder of the workspace, or an MLflow tracking store."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from mldeploy_jupyter.core.errors import StorageError, UserErrorException
from mldeploy_jupyter.core.files import make_private_dir, write_json
from mldeploy_jupyter.core.records import utc_now

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class RunBackend(Protocol):
    """`properties`, `files` and so on of one run. Names of files are relative, with `/`."""

    experiment_name: str | None

    def properties(self) -> dict[str, Any]: ...
    def set_properties(self, properties: dict[str, Any]) -> None: ...
    def files(self) -> list[str]: ...
    def tags(self) -> dict[str, Any]: ...
    def set_tags(self, tags: dict[str, Any]) -> None: ...
    def status(self) -> dict[str, str | None]:
        """`status` (Running, Completed, Failed, Canceled), `startTimeUtc` and `endTimeUtc` (ISO 8601)."""

    def end(self, status: str) -> None: ...
    def upload(self, name: str, path: Path) -> None: ...
    def log(self, name: str, value: Any, step: int | None = None) -> None:
        """Keeps a number, a list of numbers, or a row (a dict of numbers by column)."""

    def metrics(self) -> dict[str, Any]:
        """By name: the value of a metric that was kept once, else the list of its values; a row as its columns."""

    def local_copy(self, name: str) -> Any:
        """A context whose value is a path of the file or folder `name` on this machine."""


class FolderRun:
    """A run kept as `<.mldeploy>/runs/<id>/`: its files under their names, and what is known of it in `OWN`."""

    PROPERTIES = "properties.json"
    METRICS = "metrics.jsonl"
    STATE = "run.json"  # status, times and tags
    OWN = (PROPERTIES, METRICS, STATE)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.experiment_name: str | None = None

    def begin(self) -> None:
        self.set_properties({})
        write_json(self.folder / self.STATE, {"status": "Running", "startTimeUtc": utc_now(), "endTimeUtc": None})

    def properties(self) -> dict[str, Any]:
        return self._read(self.PROPERTIES)

    def set_properties(self, properties: dict[str, Any]) -> None:
        write_json(make_private_dir(self.folder) / self.PROPERTIES, properties)

    def tags(self) -> dict[str, Any]:
        return dict(self._read(self.STATE).get("tags") or {})

    def set_tags(self, tags: dict[str, Any]) -> None:
        write_json(make_private_dir(self.folder) / self.STATE, {**self._read(self.STATE), "tags": tags})

    def status(self) -> dict[str, str | None]:
        state = self._read(self.STATE)
        return {
            "status": state.get("status", "Running"),
            "startTimeUtc": state.get("startTimeUtc"),
            "endTimeUtc": state.get("endTimeUtc"),
        }

    def end(self, status: str) -> None:
        state = {**self._read(self.STATE), "status": status, "endTimeUtc": utc_now()}
        write_json(make_private_dir(self.folder) / self.STATE, state)

    def files(self) -> list[str]:
        found = (path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())
        return sorted(name for name in found if name not in self.OWN)

    def upload(self, name: str, path: Path) -> None:
        if name in self.OWN:
            raise UserErrorException(
                f"a run's file cannot have the name {name}",
                why="the run itself is described in it",
                hint=f"run.upload_file('outputs/{name}', PATH)",
            )
        target = self.folder / name
        make_private_dir(target.parent)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            shutil.copyfile(path, temporary)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)

    def log(self, name: str, value: Any, step: int | None = None) -> None:
        make_private_dir(self.folder)
        entry = {"name": name, "value": value} | ({} if step is None else {"step": step})
        line = json.dumps(entry) + "\n"
        with (self.folder / self.METRICS).open("a", encoding="utf-8") as file:
            file.write(line)

    def metrics(self) -> dict[str, Any]:
        kept: dict[str, list[Any]] = {}
        try:
            lines = (self.folder / self.METRICS).read_text("utf-8").splitlines()
        except FileNotFoundError:
            lines = []
        for line in lines:
            entry = json.loads(line)
            kept.setdefault(entry["name"], []).append(entry["value"])
        return {name: _together(values) for name, values in kept.items()}

    @contextmanager
    def local_copy(self, name: str) -> Iterator[Path]:
        yield self.folder / name

    def _read(self, name: str) -> dict[str, Any]:
        try:
            return dict(json.loads((self.folder / name).read_text("utf-8")))
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError) as error:
            what = "properties" if name == self.PROPERTIES else "state"
            raise StorageError(
                f"the run's {what} cannot be read: {self.folder / name}",
                why=str(error),
                hint="it is JSON; correct it",
            ) from None


def _together(values: list[Any]) -> Any:
    """v1's form of what was kept under one name."""
    if all(isinstance(value, dict) for value in values):
        columns = list(dict.fromkeys(column for value in values for column in value))
        return {column: _together([value[column] for value in values if column in value]) for column in columns}
    return values[0] if len(values) == 1 else values


def check_run_id(id: Any) -> str:
    if not isinstance(id, str) or not RUN_ID.fullmatch(id):
        raise UserErrorException(
            f"{id!r} cannot be the id of a run",
            why="an id has up to 128 letters, digits, '-', '_' and '.'",
            hint='such as Run(ws, "my-run")',
        )
    return id
