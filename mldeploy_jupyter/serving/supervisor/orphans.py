"""Processes that lost their parent: ended when they outlive a supervisor that was killed, reaped while one runs.

A worker dies with its supervisor, but processes that its script started do not. So the supervisor records the process
groups of its workers in a file, and the next supervisor, or the target that deletes the service, kills what is left.

A supervisor that runs becomes the parent of its workers' orphans (`process_state.become_subreaper`). Unless it reaped
those that a script leaves behind, they would stay in the process table as zombies.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ..system import procfs
from ..system.identity import folder_identity, machine_identity
from ..system.json_file import read_json, write_json
from ..system.process_mark import kill_marked

FILE = "workers.json"

KILL_WAIT = 5.0  # seconds for the kernel to end the killed processes

REAP_DELAY = 2.0  # seconds for another thread of the supervisor to wait for a process that it started


def record_processes(folder: Path, pids: Sequence[int], marks: Sequence[str] = (), proc: Path = procfs.PROC) -> None:
    """Records process groups, each with the start time of its leader, and marks. Raises `OSError`."""
    data = {
        "groups": {str(pid): procfs.start_time(pid, proc) for pid in pids},
        "marks": list(marks),
        "machine": machine_identity(proc),
        "folder": folder_identity(folder),
    }
    write_json(folder / FILE, data, durable=False)  # the processes do not survive a loss of power either


def kill_orphans(folder: Path, proc: Path = procfs.PROC) -> list[int]:
    """Kills what is left of the processes recorded in `folder`; returns their pids.

    To be called only when no supervisor runs there.
    """
    recorded = read_json(folder / FILE) or {}
    # After a reboot or on another machine the pids mean nothing; in a copied folder they are the original's.
    if recorded.get("machine") != machine_identity(proc) or recorded.get("folder") != folder_identity(folder):
        recorded = {}
    killed: list[int] = []
    groups, marks = recorded.get("groups"), recorded.get("marks")
    for text, started in groups.items() if isinstance(groups, dict) else ():
        if not re.fullmatch(r"[1-9][0-9]{0,9}", text):  # session 0 would be that of processes outside a container
            continue
        leader = int(text)
        # A pid is not used again while its session has members. So if there is a leader, but with another start time,
        # neither it nor its session is ours.
        if procfs.start_time(leader, proc) not in (0, started):
            continue
        for pid in procfs.list_session(leader, proc):
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
            killed.append(pid)
    killed += kill_marked([str(mark) for mark in marks] if isinstance(marks, list) else [], proc)
    # They may hold the listening socket, so the next supervisor must find them gone.
    deadline = time.monotonic() + KILL_WAIT
    while any(procfs.start_time(pid, proc) for pid in killed) and time.monotonic() < deadline:
        time.sleep(0.01)
    with suppress(OSError):  # a read-only disk keeps it; its pids mean nothing once they are used again
        (folder / FILE).unlink(missing_ok=True)
    return killed


class OrphanReaper:
    """Reaps in a thread. `list_waited_for` returns the pids for which other threads wait.

    `notify` is to be called when a child has ended.
    """

    def __init__(self, list_waited_for: Callable[[], set[int]]) -> None:
        self._list_waited_for = list_waited_for
        self._child_ended = threading.Event()
        self.notify = self._child_ended.set
        threading.Thread(target=self._run, daemon=True, name="reaper").start()

    def _run(self) -> None:
        while True:
            self._child_ended.wait()
            self._child_ended.clear()
            zombies = set(procfs.list_zombies(os.getpid()))
            time.sleep(REAP_DELAY)
            for pid in zombies - self._list_waited_for():
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    continue
