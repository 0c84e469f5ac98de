"""Reads what was appended to a journal since the last look, without waiting."""

from __future__ import annotations

import json
from pathlib import Path

from mldeploy_jupyter.core.events import Event


class JournalTail:
    """`read` gives the events since the last one. A torn last line waits for its end; a foreign line is skipped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._rest = b""

    def read(self) -> list[Event]:
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                chunk = file.read()
        except FileNotFoundError:
            return []
        self._offset += len(chunk)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [event for line in lines if (event := _event(line)) is not None]


def _event(line: bytes) -> Event | None:
    try:
        return Event(**json.loads(line))
    except (ValueError, TypeError):
        return None
