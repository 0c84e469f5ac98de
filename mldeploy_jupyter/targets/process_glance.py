"""The states of local services, read from their folders and the process table, without asking the services."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.serving.system.lock_holder import Processes
from mldeploy_jupyter.targets.glance import Glance
from mldeploy_jupyter.targets.supervisor_client import SupervisorClient

FRESH_NS = 50_000_000  # a folder that was changed so short a time ago is read again: its clock may stand still

MAX_DESCRIPTORS = 0.25  # of those that this process may have open; further processes are looked up one by one


@dataclass(frozen=True)
class _Seen:
    version: int | None  # of the folder; None when it may have changed since
    glance: Glance


class Glances:
    """Looks at the services of one workspace, again and again. `services` is the folder that has theirs.

    A service's folder is read when it has changed, as it does when its supervisor starts, switches or ends, or when
    that process has ended; else a look takes one system call. For one thread at a time.
    """

    def __init__(
        self,
        services: Path,
        *,
        stat: Callable[[Any], os.stat_result] = os.stat,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self._services, self._stat, self._now = str(services), stat, now
        self._seen: dict[str, _Seen] = {}
        self._processes = ProcessEnds()

    def look(self, names: Iterable[str]) -> dict[str, Glance]:
        """The state of each of these services."""
        ended = self._processes.find_ended()
        before, self._seen = self._seen, {}
        processes = Processes()
        for name in names:
            self._seen[name] = self._look(name, before.get(name), ended, processes)
        self._processes.keep({seen.glance.pid for seen in self._seen.values()} - {0})
        return {name: seen.glance for name, seen in self._seen.items()}

    def has_ended(self) -> bool:
        """Whether a supervisor has ended since the last look. One system call for all of them."""
        return bool(self._processes.find_ended())

    def close(self) -> None:
        """Closes what it has open."""
        self._processes.keep(set())

    def _look(self, name: str, before: _Seen | None, ended: set[int], processes: Processes) -> _Seen:
        path = f"{self._services}/{name}"
        try:
            changed = self._stat(path).st_mtime_ns
        except OSError:
            return _Seen(None, Glance("Absent"))
        if before is not None and before.version == changed and before.glance.pid not in ended:
            return before
        version = changed if abs(self._now() - changed) > FRESH_NS else None
        return _Seen(version, self._read(Path(path), processes))

    def _read(self, folder: Path, processes: Processes) -> Glance:
        supervisor = SupervisorClient(folder, processes=processes)
        process = supervisor.find_process()
        if process is not None:
            pid = int(process["pid"])
            if self._processes.watch(pid, process_identity.start_time(pid)):
                return Glance("Live", pid)
        if supervisor.has_crashed():
            return Glance("Unhealthy")
        return Glance("Stopped" if supervisor.read_live() else "Absent")


class ProcessEnds:
    """Finds out which of many processes have ended: on Linux with one system call, elsewhere one by one."""

    def __init__(self) -> None:
        self._started: dict[int, str] = {}
        self._descriptors: dict[int, int] = {}  # pid -> its descriptor
        self._poll = select.poll()

    def watch(self, pid: int, started: str) -> bool:
        """Watches a process that started then (`process_identity.start_time`). False when it has ended already."""
        if self._started.get(pid) == started and started:
            return pid not in self.find_ended()
        self._drop(pid)
        if len(self._descriptors) < _max_descriptors():
            with suppress(OSError, AttributeError):  # no such process, no descriptor left, or another system
                self._descriptors[pid] = os.pidfd_open(pid)
                self._poll.register(self._descriptors[pid], select.POLLIN)
        self._started[pid] = started
        # Read after the descriptor was opened: it belongs to the process that started then, and not to its successor.
        return started != "" and process_identity.start_time(pid) == started

    def find_ended(self) -> set[int]:
        """Those that have ended."""
        ready = {descriptor for descriptor, _ in self._poll.poll(0)} if self._descriptors else set()
        ended = {pid for pid, descriptor in self._descriptors.items() if descriptor in ready} if ready else set()
        if len(self._descriptors) < len(self._started):
            others = {pid: start for pid, start in self._started.items() if pid not in self._descriptors}
            ended |= {pid for pid, start in others.items() if process_identity.start_time(pid) != start}
        return ended

    def keep(self, pids: set[int]) -> None:
        """From now on watches only these."""
        for pid in [pid for pid in self._started if pid not in pids]:
            self._drop(pid)

    def _drop(self, pid: int) -> None:
        self._started.pop(pid, None)
        descriptor = self._descriptors.pop(pid, None)
        if descriptor is not None:
            self._poll.unregister(descriptor)
            os.close(descriptor)


def _max_descriptors() -> int:
    import resource

    return int(resource.getrlimit(resource.RLIMIT_NOFILE)[0] * MAX_DESCRIPTORS)
