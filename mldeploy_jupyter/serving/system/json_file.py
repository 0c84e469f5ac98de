"""Reads and replaces small JSON files."""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
from pathlib import Path
from typing import Any

_UNFINISHED = re.compile(r"\..+\.json(\.next|(\.next)?\.\d+\.\d+)")  # `.live.json.next` and what `write_json` makes


def write_json(path: Path, data: dict[str, Any], durable: bool = True) -> None:
    """Replaces a file atomically: a reader sees the old or the new one. `durable`: also after a loss of power.

    Raises `OSError`, for example when the disk is full; the old file is then untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(data, file, indent=1)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def remove_unfinished(folder: Path) -> None:
    """Removes the files in `folder` that a process was about to put in place when it was killed.

    For the holder of the folder's lock.
    """
    for path in folder.iterdir():
        if _UNFINISHED.fullmatch(path.name):
            with contextlib.suppress(OSError):
                path.unlink()


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file; None when there is no file, or it is torn or holds something else."""
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None
