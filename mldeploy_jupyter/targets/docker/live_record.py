"""A cache of which container serves: `container.json` in the service's folder.

Reading a file of a container takes a tenth of a second, and a status is requested twice a second. The record is used
only while it names the service's only container; the containers' own files are authoritative. `changing` is set before
anything changes in that container and cleared afterwards, so a process that dies in between leaves no wrong record.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from mldeploy_jupyter.core.files import make_private_dir, read_json_if_valid, write_json

FILE = "container.json"


@dataclass(frozen=True)
class LiveRecord:
    """`container` is the id of the service container that serves, `engine` the address of its engine."""

    container: str = ""
    revision: int = 0
    deployment_id: str = ""
    port: int = 0
    engine: str = ""
    changing: str = ""  # the deployment that is changing it


def read_record(folder: Path) -> LiveRecord:
    """The record of a service; empty where there is none, or a damaged one."""
    data = read_json_if_valid(folder / FILE) or {}
    known = {field.name: data[field.name] for field in fields(LiveRecord) if field.name in data}
    record = LiveRecord(**known)
    right = all(isinstance(value, type(getattr(LiveRecord(), name))) for name, value in known.items())
    return record if right else LiveRecord()


def write_record(folder: Path, record: LiveRecord) -> None:
    """Raises `StorageError` or `OSError`."""
    make_private_dir(folder)
    write_json(folder / FILE, asdict(record))


def mark_changing(folder: Path, deployment_id: str, engine: str) -> None:
    """Notes that a deployment is about to change what serves."""
    write_record(folder, replace(read_record(folder), changing=deployment_id, engine=engine))


def remove_record(folder: Path) -> None:
    with suppress(FileNotFoundError):
        (folder / FILE).unlink()
