"""A run kept in a folder of the workspace."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.errors import StorageError, UserErrorException
from mldeploy_jupyter.core.files import make_private_dir, read_json, write_json
from mldeploy_jupyter.core.records import utc_now
from mldeploy_jupyter.core.runs.backend import combine_values

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def check_run_id(id: Any) -> str:
    """Returns the id. Raises `UserErrorException` when it cannot be the name of a run's folder."""
    if not isinstance(id, str) or not RUN_ID.fullmatch(id):
        raise UserErrorException(
            f"{id!r} cannot be the id of a run",
            why="an id has up to 128 letters, digits, '-', '_' and '.'",
            hint='such as Run(ws, "my-run")',
        )
    return id


class FolderRun:
    """A run kept in `.mldeploy/runs/<id>/`: its files under their own names, beside the three of `RESERVED`."""

    PROPERTIES = "properties.json"
    METRICS = "metrics.jsonl"
    STATE = "run.json"  # status, start, end, tags, name, experiment, and the id of the run that it is below
    RESERVED = (PROPERTIES, METRICS, STATE)

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, *, experiment: str | None = None, parent: str | None = None, name: str | None = None) -> None:
        """Creates the folder, with the status Running."""
        given = {"experiment": experiment, "parent": parent, "name": name}
        state = {"status": "Running", "startTimeUtc": utc_now(), "endTimeUtc": None}
        self.set_properties({})
        write_json(self.folder / self.STATE, state | {key: value for key, value in given.items() if value is not None})

    @property
    def experiment_name(self) -> str | None:
        return self._read(self.STATE).get("experiment")

    @property
    def url(self) -> str:
        return self.folder.absolute().as_uri()

    @property
    def parent_id(self) -> str | None:
        return self._read(self.STATE).get("parent")

    def get_name(self) -> str | None:
        return self._read(self.STATE).get("name")

    def begin_child(self, id: str, name: str | None) -> str:
        """Raises `UserErrorException` when the workspace has a run of this id."""
        if (self.folder.parent / id).exists():
            raise UserErrorException(
                f"there is a run {id} already", why="its id is taken", hint="leave run_id out, which makes a new one"
            )
        FolderRun(self.folder.parent / id).begin(experiment=self.experiment_name, parent=self.folder.name, name=name)
        return id

    def list_children(self, recursive: bool = False) -> list[str]:
        below: dict[str, list[str]] = {}
        for id, state in read_states(self.folder.parent):  # once for the whole tree
            below.setdefault(str(state.get("parent")), []).append(id)
        found: dict[str, None] = {}
        waiting = below.pop(self.folder.name, [])[::-1]
        while waiting:
            found[id := waiting.pop()] = None
            waiting += below.pop(id, [])[::-1] if recursive else []  # taken out, so that a damaged tree ends
        return list(found)

    def get_properties(self) -> dict[str, Any]:
        return self._read(self.PROPERTIES)

    def set_properties(self, properties: dict[str, Any]) -> None:
        write_json(make_private_dir(self.folder) / self.PROPERTIES, properties)

    def get_tags(self) -> dict[str, Any]:
        return dict(self._read(self.STATE).get("tags") or {})

    def set_tags(self, tags: dict[str, Any]) -> None:
        write_json(make_private_dir(self.folder) / self.STATE, {**self._read(self.STATE), "tags": tags})

    def get_status(self) -> dict[str, str | None]:
        state = self._read(self.STATE)
        return {
            "status": state.get("status", "Running"),
            "startTimeUtc": state.get("startTimeUtc"),
            "endTimeUtc": state.get("endTimeUtc"),
        }

    def end(self, status: str) -> None:
        state = {**self._read(self.STATE), "status": status, "endTimeUtc": utc_now()}
        write_json(make_private_dir(self.folder) / self.STATE, state)

    def list_files(self) -> list[str]:
        found = (path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())
        return sorted(name for name in found if name not in self.RESERVED)

    def upload_file(self, name: str, path: Path) -> None:
        """Copies the file into the folder. Raises `UserErrorException` for a reserved name."""
        if name in self.RESERVED:
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

    def log_metric(self, name: str, value: Any, step: int | None = None) -> None:
        make_private_dir(self.folder)
        entry = {"name": name, "value": value} | ({} if step is None else {"step": step})
        with (self.folder / self.METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def get_metrics(self) -> dict[str, Any]:
        logged: dict[str, list[Any]] = {}
        try:
            lines = (self.folder / self.METRICS).read_text("utf-8", "replace").splitlines()
        except FileNotFoundError:
            lines = []
        for line in lines:
            try:
                entry = json.loads(line)
                logged.setdefault(str(entry["name"]), []).append(entry["value"])
            except (ValueError, KeyError, TypeError):
                continue  # damaged, or the torn last line of a process that was killed
        return {name: combine_values(values) for name, values in logged.items()}

    @contextmanager
    def local_copy(self, name: str) -> Iterator[Path]:
        yield self.folder / name

    def _read(self, name: str) -> dict[str, Any]:
        try:
            return read_json(self.folder / name)
        except FileNotFoundError:
            return {}
        except ValueError as error:
            what = "properties" if name == self.PROPERTIES else "state"
            raise StorageError(
                f"the run's {what} cannot be read: {self.folder / name}",
                why=str(error),
                hint="it is JSON; correct it",
            ) from None


def read_states(runs: Path | None) -> list[tuple[str, dict[str, Any]]]:
    """The id of every run in the folder `runs` and what its `run.json` says, newest first, without damaged ones."""
    found = []
    for folder in runs.iterdir() if runs is not None and runs.is_dir() else ():
        try:
            found.append((folder.name, read_json(folder / FolderRun.STATE)))
        except (OSError, ValueError):
            continue
    return sorted(found, key=lambda run: (str(run[1].get("startTimeUtc")), run[0]), reverse=True)
