"""Processes that a killed supervisor's workers had started, and that outlived them.

A worker dies with its supervisor, but not what its script started. So the workers' process groups are
written down, and whoever comes next (a new supervisor, a target that deletes the service) ends them.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from .files import read_json, write_json

FILE = "workers.json"
MARK = "MLDEPLOY_WORKER"  # the variable by which a worker's descendants are known, wherever they went
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


def identity(folder: Path) -> str:
    """What names a folder itself: it stays when the folder is moved, and a copy has another."""
    try:
        found = folder.stat()
    except OSError:
        return ""
    return f"{found.st_dev}:{found.st_ino}"


def _machine(proc: Path) -> str:
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    return f"{socket.gethostname()}/{boot}"


def _session(leader: int, proc: Path) -> list[int]:
    found = []
    for name in os.listdir(proc) if proc.is_dir() else []:
        if name.isdigit():
            fields = _stat(int(name), proc)
            if len(fields) > 3 and int(fields[3]) == leader:
                found.append(int(name))
    return found


def children(parent: int, proc: Path = Path("/proc")) -> list[tuple[int, str]]:
    """The children of a process, each with its state (`Z`: dead and not collected)."""
    found = []
    for name in os.listdir(proc) if proc.is_dir() else []:
        if name.isdigit():
            fields = _stat(int(name), proc)
            if len(fields) > 1 and int(fields[1]) == parent:
                found.append((int(name), fields[0]))
    return found


def _started(pid: int, proc: Path) -> int:
    """When a process started, in clock ticks since boot; 0 when it is gone or dead."""
    fields = _stat(pid, proc)
    return int(fields[19]) if len(fields) > 19 and fields[0] not in "ZX" else 0


def _stat(pid: int, proc: Path) -> list[str]:
    try:
        return (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
