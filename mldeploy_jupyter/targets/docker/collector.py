"""Copies the log of a service's containers from the engine into the service's log file on this machine.

The engine keeps 30 MB of a container's log while the container exists; the file outlives it, and every reader of
logs reads it. One process at a time copies, under a lock. Its position is stored beside the log and is written after
the lines, with the length of the file: lines of a process that died in between are removed and copied again.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.files import (
    atomic_write,
    file_identity,
    open_lock_file,
    open_private,
    read_json_if_valid,
)
from mldeploy_jupyter.core.records import utc_now
from mldeploy_jupyter.docker_engine import EngineError, engine_errors
from mldeploy_jupyter.serving.log import entry
from mldeploy_jupyter.targets.docker.containers import list_containers
from mldeploy_jupyter.targets.docker.names import SERVICE_ROLE, ServiceContainer
from mldeploy_jupyter.targets.process_log import log_names

if TYPE_CHECKING:
    from mldeploy_jupyter.docker_engine import Engine

STATE_FILE, LOCK_FILE = "collected.json", ".collected.lock"

MAX_BYTES = 10 * 1024 * 1024  # of the log file before it is rotated

LOOK_SECONDS = 1.0  # between two lists of the containers, which also show whether the engine answers

AWAY_SECONDS = 3.0  # for the engine to answer before it counts as unavailable

Open = Callable[[], "Engine"]


@dataclass
class _Position:
    """How far a container's log was copied: the timestamp of its last line, and the number of lines with it."""

    time: str = ""
    count: int = 0
    _seen: int = 0  # lines with that stamp in the output that is being read

    def begin(self) -> None:
        """Call when the engine starts to send lines again, from this timestamp on."""
        self._seen = 0

    def is_new(self, stamp: str) -> bool:
        """Whether a line was not copied yet; counts it as copied."""
        if stamp < self.time:
            return False
        if stamp == self.time:
            self._seen += 1
            if self._seen <= self.count:
                return False
            self.count = self._seen
            return True
        self.time, self.count, self._seen = stamp, 1, 1
        return True

    @property
    def since(self) -> int | None:
        """The stamp in whole seconds since 1970, rounded down, as Podman wants it; None before the first line."""
        try:
            return int(datetime.fromisoformat(self.time[:19] + "+00:00").timestamp())
        except ValueError:
            return None


class LogCollector:
    """Copies the log of one service. `path` is its log file; `open_engine` opens the engine that has the containers."""

    def __init__(self, open_engine: Open, workspace_id: str, service: str, path: Path) -> None:
        self._open = open_engine
        self._workspace, self._service = workspace_id, service
        self._path = path

    def collect(self) -> bool:
        """Copies new lines. False when another process is copying them.

        Raises:
            EngineError: the engine is unavailable; earlier lines are in the file.
        """
        if not self._has_folder():
            return True  # there is no log to copy into
        with self._lock() as file:
            if file is None:
                return False
            engine = self._open()
            for container in self._containers(engine):
                file.append(container, list(_read_frames(engine, container.id, file.position(container))))
            file.save()
        return True

    def follow(self, going_on: Callable[[], bool]) -> None:
        """Copies lines as they come until `going_on` is false; waits while another process copies.

        Waits for an unavailable engine; the log says when it became unavailable and came back.
        """
        while going_on():
            with self._lock() as file:
                if file is not None:
                    _Follower(self._open, self._containers, file, going_on).run()
                    return
            time.sleep(LOOK_SECONDS / 4)

    def _containers(self, engine: Engine) -> list[ServiceContainer]:
        found = list_containers(engine, self._workspace, self._service)
        return [container for container in found if container.role == SERVICE_ROLE and container.state != "created"]

    def _has_folder(self) -> bool:
        """Whether the service's folder exists: it is made with its first container, and removed with the service."""
        return self._path.parent.parent.is_dir()

    @contextmanager
    def _lock(self) -> Iterator[_LogFile | None]:
        """The log file, locked for this process; None when another one has the lock, or the service was deleted."""
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            lock = open_lock_file(self._path.with_name(LOCK_FILE))
        except FileNotFoundError:  # the service's folder, which nobody may make again once the service was deleted
            yield None
            return
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield None
                return
            yield _LogFile(self._path)
        finally:
            os.close(lock)


class _LogFile:
    """The log file and its position. Only the process that has the lock writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state = path.with_name(STATE_FILE)
        data = read_json_if_valid(self._state) or {}
        self._positions: dict[str, _Position] = {}
        containers = data.get("containers")
        for name, position in containers.items() if isinstance(containers, dict) else ():
            if isinstance(position, list) and [type(part) for part in position] == [str, int]:
                self._positions[name] = _Position(*position)
        self._partial: dict[str, bytes] = {}
        self._cut_unrecorded(data)

    def position(self, container: ServiceContainer) -> _Position:
        found = self._positions.setdefault(container.id, _Position())
        found.begin()
        return found

    def append(self, container: ServiceContainer, frames: list[tuple[str, bytes]]) -> bool:
        """Writes the lines of a container that are new. Whether there were any."""
        position, partial = self._positions[container.id], self._partial.pop(container.id, b"")
        lines = bytearray()
        for stamp, data in frames:
            if position.is_new(stamp):
                partial += data
                if partial.endswith(b"\n"):
                    lines += _as_entry(partial, stamp, container.revision)
                    partial = b""
        if partial:  # the engine cuts long lines into several frames
            self._partial[container.id] = partial
        self._write(bytes(lines))
        return bool(lines)

    def note(self, message: str) -> None:
        """Writes an entry of our own."""
        self._write(entry.format_line(message, level="warning", logger="container"))

    def save(self) -> None:
        """Records how far the log was copied."""
        with suppress(FileNotFoundError):
            status = os.stat(self._path)
            positions = {name: [one.time, one.count] for name, one in self._positions.items() if one.time}
            data = {"file": file_identity(status), "size": status.st_size, "containers": positions}
            atomic_write(self._state, json.dumps(data), durable=False)

    def _write(self, data: bytes) -> None:
        if not data:
            return
        with suppress(FileNotFoundError):
            if os.stat(self._path).st_size + len(data) > MAX_BYTES:
                self._rotate()
        with open_private(self._path, "ab") as file:
            file.write(data)

    def _rotate(self) -> None:
        names = log_names(self._path)
        for newer, older in zip(reversed(names[:-1]), reversed(names[1:]), strict=True):
            with suppress(FileNotFoundError):
                os.replace(newer, older)

    def _cut_unrecorded(self, data: dict[str, Any]) -> None:
        """Removes lines that were copied by a process that died before it recorded them: they are copied again."""
        with suppress(FileNotFoundError):
            status = os.stat(self._path)
            size = data.get("size")
            if data.get("file") == list(file_identity(status)) and isinstance(size, int) and size < status.st_size:
                os.truncate(self._path, size)


@dataclass
class _Follower:
    """Copies lines as they come from all containers at once; a thread reads each container."""

    open_engine: Open
    find: Callable[[Engine], list[ServiceContainer]]
    file: _LogFile
    going_on: Callable[[], bool]
    _queue: SimpleQueue[tuple[ServiceContainer, list[tuple[str, bytes]] | None]] = field(default_factory=SimpleQueue)
    _streams: dict[str, Any] = field(default_factory=dict)  # by container, while it is read
    _away_since: str = ""

    def run(self) -> None:
        try:
            due = 0.0
            while self.going_on():
                if time.monotonic() >= due:
                    self._look()
                    due = time.monotonic() + LOOK_SECONDS
                self._copy(LOOK_SECONDS / 4)
        finally:
            self._close()
            self._copy(0)

    def _look(self) -> None:
        """Starts to read containers that are new, or whose output has ended. Notices when the engine is unavailable."""
        try:
            engine = self.open_engine()
            for container in self.find(engine):
                if container.id not in self._streams:
                    self._begin(engine, container)
        except EngineError:
            if not self._away_since:
                self._away_since = utc_now()
                self._close()
            return
        if self._away_since:
            since, self._away_since = self._away_since, ""
            self.file.note(f"the container engine was unavailable from {since} to {utc_now()}, and is back")
            self.file.save()

    def _begin(self, engine: Engine, container: ServiceContainer) -> None:
        position = self.file.position(container)
        if not container.is_running:
            frames = list(_read_frames(engine, container.id, position))
            if self.file.append(container, frames):
                self.file.save()
            return
        with engine_errors(engine.endpoint):
            stream = _open_stream(engine, container.id, position, follow=True)
        self._streams[container.id] = stream
        threading.Thread(
            target=self._read, args=(container, stream), name=f"mldeploy-log-{container.name}", daemon=True
        ).start()

    def _read(self, container: ServiceContainer, stream: Any) -> None:
        """Reads a container's output to its end: the container ended, the engine disconnected, or it was closed."""
        with suppress(Exception):
            for frame in stream:
                self._queue.put((container, [split_stamp(frame)]))
        with suppress(Exception):  # where the engine disconnected, its socket is still open
            stream.close()
        self._queue.put((container, None))

    def _copy(self, seconds: float) -> None:
        """Copies what the threads have read; waits for it up to this long."""
        found: list[tuple[ServiceContainer, list[tuple[str, bytes]] | None]] = []
        with suppress(Empty):
            if seconds:
                found.append(self._queue.get(timeout=seconds))
            while True:
                found.append(self._queue.get_nowait())
        wrote = False
        for container, frames in found:
            if frames is None:
                self._streams.pop(container.id, None)
            else:
                wrote |= self.file.append(container, frames)
        if wrote:
            self.file.save()

    def _close(self) -> None:
        for stream in list(self._streams.values()):
            with suppress(Exception):
                stream.close()
        self._streams.clear()


def _open_stream(engine: Engine, container: str, position: _Position, follow: bool) -> Any:
    return engine.client.api.logs(
        container, stdout=True, stderr=True, stream=True, timestamps=True, follow=follow, since=position.since
    )


def _read_frames(engine: Engine, container: str, position: _Position) -> Iterator[tuple[str, bytes]]:
    from docker.errors import APIError

    with engine_errors(engine.endpoint):
        try:
            yield from map(split_stamp, _open_stream(engine, container, position, follow=False))
        except APIError as error:
            if error.status_code not in (404, 409):  # it was removed meanwhile
                raise


def split_stamp(frame: bytes) -> tuple[str, bytes]:
    """A frame of the engine's log as its time stamp, in UTC with nanoseconds, and the text."""
    stamp, _, text = frame.partition(b" ")
    return stamp.decode("ascii", "replace"), text


def _as_entry(line: bytes, stamp: str, revision: int) -> bytes:
    """The line as it is, when it is an entry of the service's log; else as an entry."""
    if line.startswith(b"{") and entry.parse_line(line) is not None:
        return line
    text = line.rstrip(b"\r\n").decode("utf-8", "backslashreplace")
    data = {
        "time": f"{stamp[:23]}Z",
        "level": "info",
        "revision": str(revision),
        "pid": 1,
        "logger": "raw",
        "message": text,
    }
    return json.dumps(data).encode("ascii") + b"\n"
