"""Processes that a killed supervisor's workers had started, and that outlived them.

A worker dies with its supervisor, but not what its script started. So the workers' process groups are
written down, and whoever comes next (a new supervisor, a target that deletes the service) ends them.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from ..system.json_file import read_json, write_json
from ..system.process_state import MARK
from ..system.procfs import _machine, _session, _started, identity

FILE = "workers.json"

PATIENCE = 5.0  # seconds for the kernel to end what was killed


def record(folder: Path, pids: list[int], proc: Path = Path("/proc"), marks: Sequence[str] = ()) -> None:
    """Writes down the process groups of the workers, each with its leader's start time, and their marks."""
    groups = {str(pid): _started(pid, proc) for pid in pids}
    data = {"groups": groups, "marks": list(marks), "machine": _machine(proc), "folder": identity(folder)}
    write_json(folder / FILE, data, durable=False)  # the processes do not survive a loss of power


def end(folder: Path, proc: Path = Path("/proc")) -> list[int]:
    """Ends what is left of the groups in `folder`; returns the processes that were ended.

    Only when no supervisor runs there. A group's number is not given to others while a process is in it;
    a leader that lives but started at another time is a stranger, and is left alone.
    """
    written = read_json(folder / FILE) or {}
    # Numbers mean nothing after a reboot or on another machine, and in a copied folder they name the original's.
    ours = written.get("machine") == _machine(proc) and written.get("folder") == identity(folder)
    groups: dict[str, int] = written.get("groups", {}) if ours else {}
    ended: list[int] = []
    for text, started in groups.items():
        leader = int(text)
        now = _started(leader, proc)
        if now and now != started:
            continue
        for pid in _session(leader, proc):
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
            ended.append(pid)
    ended += end_marked(written.get("marks", []) if ours else [], proc)
    # They may hold the listening socket, so whoever listens next must find them gone.
    deadline = time.monotonic() + PATIENCE
    while any(_started(pid, proc) for pid in ended) and time.monotonic() < deadline:
        time.sleep(0.01)
    (folder / FILE).unlink(missing_ok=True)
    return ended


def end_marked(marks: Sequence[str], proc: Path = Path("/proc")) -> list[int]:
    """Ends what left its worker's session but still has its mark in the environment; returns what was ended."""
    wanted = [f"{MARK}={mark}".encode() for mark in marks]
    ended: list[int] = []
    for name in os.listdir(proc) if wanted and proc.is_dir() else []:
        try:
            if name.isdigit() and any(entry in wanted for entry in (proc / name / "environ").read_bytes().split(b"\0")):
                os.kill(int(name), signal.SIGKILL)
                ended.append(int(name))
        except OSError:
            continue
    return ended
