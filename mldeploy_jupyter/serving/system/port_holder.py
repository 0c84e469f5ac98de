"""Which process listens on a port."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import procfs


def find_port_holder(port: int, proc: Path = procfs.PROC) -> dict[str, Any] | None:
    """`{"pid", "command"}` of the process that listens on TCP port `port`; None where that cannot be read."""
    sockets = _listening_sockets(port, proc)
    holders = [pid for pid in procfs.list_pids(proc) if sockets and sockets & procfs.list_open_files(pid, proc)]
    if not holders:
        return None
    pid = min(holders)
    try:
        command = (proc / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        command = ""
    return {"pid": pid, "command": command.strip()}


def holds_port(pid: int, port: int, proc: Path = procfs.PROC) -> bool:
    """Whether the process listens on TCP port `port`; False where that cannot be read."""
    return bool(_listening_sockets(port, proc) & procfs.list_open_files(pid, proc))


def _listening_sockets(port: int, proc: Path) -> set[str]:
    sockets = set()
    for table in ("tcp", "tcp6"):
        for line in procfs.read_file("net", table, proc).splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:  # 0A: listening
                sockets.add(f"socket:[{fields[9]}]")
    return sockets
