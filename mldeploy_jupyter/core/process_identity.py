"""Identifies processes, machines and users, so that records can tell whether a process still lives.

A pid alone is not enough, because pids are used again.
"""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any


def identify_process(pid: int | None = None) -> dict[str, Any]:
    """The identity of a process of this machine, by default this one: `{"pid", "started", "host"}`.

    `started` is the process's start time (`start_time`), `host` the machine and its boot (`host_and_boot`).
    """
    pid = os.getpid() if pid is None else pid
    return {"pid": pid, "started": start_time(pid), "host": host_and_boot()}


def is_alive(identity: dict[str, Any]) -> bool | None:
    """Whether the process with this identity lives; None for another machine's. A zombie counts as dead."""
    if identity.get("host") != host_and_boot():
        return None
    pid = identity.get("pid")
    if not isinstance(pid, int):
        return False
    started = start_time(pid)
    return started != "" and started == identity.get("started")


def is_stopped(identity: dict[str, Any]) -> bool:
    """Whether a signal such as SIGSTOP keeps the process with this identity from running; False for another machine's.

    One that a debugger holds does not count.
    """
    if is_alive(identity) is not True:
        return False
    pid = identity["pid"]
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        except OSError:
            return False
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
    return shown.strip().startswith("T")


def start_time(pid: int) -> str:
    """When the process started: in clock ticks since boot on Linux, as `ps` shows it elsewhere.

    "" when there is no such process, or only its zombie.
    """
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return ""
        fields = stat.rpartition(")")[2].split()  # the process name before it may hold spaces and brackets
        return "" if fields[0] in ("Z", "X") else fields[19]
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}  # what is shown must not depend on who asks
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    shown = subprocess.run(command, capture_output=True, text=True, env=environment).stdout.strip()
    return "" if not shown or shown.startswith("Z") else shown.partition(" ")[2].strip()


def host_and_boot() -> str:
    """The machine and its boot, as `name/boot`: no process recorded before a reboot lives after it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
    except OSError:
        boot = ""
    return f"{host_name()}/{boot}"


def host_name() -> str:
    """The machine's name, which stays the same through a reboot."""
    return socket.gethostname()


def user_name() -> str:
    """The user's login name, or the user id where the user has no name, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
