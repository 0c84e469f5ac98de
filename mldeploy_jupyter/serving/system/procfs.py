from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any


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


def holder_of(port: int, proc: Path = Path("/proc")) -> dict[str, Any] | None:
    """`{"pid", "command"}` of the process that listens on `port`; None where that cannot be read."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    found = sorted(pid for pid in _pids(proc) if inodes and _holds(proc / str(pid) / "fd", inodes))
    if not found:
        return None
    try:
        command = (proc / str(found[0]) / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        command = ""
    return {"pid": found[0], "command": command.strip()}


def _pids(proc: Path) -> list[int]:
    try:
        return [int(name) for name in os.listdir(proc) if name.isdigit()]
    except OSError:
        return []


def _holds(folder: Path, inodes: set[str]) -> bool:
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    for name in names:
        try:
            if os.readlink(folder / name) in inodes:
                return True
        except OSError:
            continue
    return False


def rss(pid: int) -> int | None:
    """Resident memory of a process in bytes."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return None


def _sizes(pid: int, name: str) -> dict[str, int] | None:
    """The lines `<key>: <number> kB` of a file of /proc, in bytes; None when the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/{name}").read_text().splitlines()
    except OSError:
        return None
    found = (line.split() for line in lines if line.endswith(" kB"))
    return {words[0].rstrip(":"): int(words[-2]) * 1024 for words in found}


def process_started() -> int:
    """When this process started, in clock ticks since boot; 0 where the system does not say.

    With the pid it names a process for ever: a pid is reused, the pair is not.
    """
    try:
        return int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0
