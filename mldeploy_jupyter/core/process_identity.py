"""Which process is it, and does it still live? A pid alone is not enough: pids are used again."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any


def identify_process(pid: int | None = None) -> dict[str, Any]:
    """Who a process is: pid, the time it started (ticks since boot, or `ps` text on macOS) and the host."""
    pid = os.getpid() if pid is None else pid
    return {"pid": pid, "started": start_time(pid), "host": host_and_boot()}


def is_alive(who: dict[str, Any]) -> bool | None:
    """True or False for a process of this machine, None for one of another. A zombie counts as dead."""
    if who.get("host") != host_and_boot():
        return None
    pid = who.get("pid")
    if not isinstance(pid, int):
        return False
    now = start_time(pid)
    return now != "" and now == who.get("started")


def start_time(pid: int) -> str:
    """When the process started, "" when there is none (or only its zombie)."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return ""
        fields = stat.rpartition(")")[2].split()  # the name before may hold spaces and brackets
        return "" if fields[0] in ("Z", "X") else fields[19]
    shown = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return "" if not shown or shown.startswith("Z") else shown.partition(" ")[2].strip()


def host_and_boot() -> str:
    """The machine, with its boot: after a reboot every process recorded before is another one."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
    except OSError:
        boot = ""
    return f"{host_name()}/{boot}"


def host_name() -> str:
    """The machine's name, which stays through a reboot."""
    return socket.gethostname()
