"""The protocol of a run's storage, which `FolderRun` and `MlflowRun` implement."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol


class RunBackend(Protocol):
    """The files, properties and metrics of one run. File names are relative and use `/`."""

    @property
    def experiment_name(self) -> str | None: ...
    @property
    def url(self) -> str:
        """Where a person finds the run: a folder's `file:` URL, or MLflow's page."""

    @property
    def parent_id(self) -> str | None: ...
    def get_name(self) -> str | None:
        """The name that people gave it; None where it has its id only."""

    def begin_child(self, id: str, name: str | None) -> str:
        """Begins a run below this one, in the same experiment. Returns its id, which may be another than `id`."""

    def list_children(self, recursive: bool = False) -> list[str]:
        """The ids of the runs directly below this one, newest first; with `recursive` each before those below it."""

    def get_properties(self) -> dict[str, Any]: ...
    def set_properties(self, properties: dict[str, Any]) -> None: ...
    def get_tags(self) -> dict[str, Any]: ...
    def set_tags(self, tags: dict[str, Any]) -> None: ...
    def get_status(self) -> dict[str, str | None]:
        """`status` (Running, Completed, Failed or Canceled), `startTimeUtc` and `endTimeUtc` (ISO 8601)."""

    def end(self, status: str) -> None: ...
    def list_files(self) -> list[str]: ...
    def upload_file(self, name: str, path: Path) -> None: ...
    def log_metric(self, name: str, value: Any, step: int | None = None) -> None:
        """Adds a number, a list of numbers, or a row (a dict of numbers by column)."""

    def get_metrics(self) -> dict[str, Any]:
        """The values by name, in the form of `combine_values`."""

    def local_copy(self, name: str) -> AbstractContextManager[Path]:
        """A context manager that gives the path of the file or folder `name` on this machine."""


def combine_values(values: list[Any]) -> Any:
    """v1's form of a metric: its only value, or the list of its values; of rows, a dict of these by column."""
    if all(isinstance(value, dict) for value in values):
        columns = list(dict.fromkeys(column for value in values for column in value))
        return {column: combine_values([value[column] for value in values if column in value]) for column in columns}
    return values[0] if len(values) == 1 else values
