"""The listening socket, and who holds a port that is taken."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket; port 0 picks a free one. Raises `OSError` (EADDRINUSE when it is taken)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A port of ours in TIME_WAIT may be taken again; one that is listened on may not.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


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
