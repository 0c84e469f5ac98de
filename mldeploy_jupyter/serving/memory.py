"""What the kernel says about a process's memory: its cgroup's limit and out-of-memory kills, and its size."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

_ROOT = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60  # cgroup v1 writes a huge number where there is no limit


def cgroup_of(pid: int, proc: Path = Path("/proc"), root: Path = _ROOT) -> Path | None:
    """The folder of the memory cgroup that holds `pid`, or None where there is none to read."""
    try:
        lines = (proc / str(pid) / "cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for base in [root / "memory"] if "memory" in controllers.split(",") else [root] if controllers == "" else []:
            # Inside a container the path may be the host's: the container's own view is then the root.
            for folder in (base / path.lstrip("/"), base):
                if (folder / "memory.events").exists() or (folder / "memory.oom_control").exists():
                    return folder
    return None


def oom_kills(cgroup: Path | None) -> int | None:
    """How often the kernel killed for memory in this cgroup; None where it does not say."""
    for name in ("memory.events", "memory.oom_control"):
        for line in _read(cgroup, name).splitlines():
            key, _, value = line.partition(" ")
            if key == "oom_kill" and value.strip().isdigit():
                return int(value)
    return None


def limits(cgroup: Path | None) -> dict[str, Any]:
    """`limit` and `peak` in bytes; None where unknown or unlimited."""
    return {
        "limit": _number(cgroup, "memory.max", "memory.limit_in_bytes"),
        "peak": _number(cgroup, "memory.peak", "memory.max_usage_in_bytes"),
    }


def after_death(cgroup: Path | None, before: int | None, signal: int | None) -> dict[str, Any]:
    """The `memory` part of a failure: `oom_kill` is certain or None, never a guess."""
    now = oom_kills(cgroup)
    known = before is not None and now is not None
    killed = signal == 9 and now > before if known else None  # type: ignore[operator]
    return {"oom_kill": killed, **limits(cgroup)}


def rss(pid: int) -> int | None:
    """Resident memory of a process in bytes."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return None


def _number(cgroup: Path | None, *names: str) -> int | None:
    for name in names:
        text = _read(cgroup, name).strip()
        if text.isdigit() and int(text) < _UNLIMITED:
            return int(text)
    return None


def _read(cgroup: Path | None, name: str) -> str:
    if cgroup is None:
        return ""
    try:
        return (cgroup / name).read_text()
    except OSError:
        return ""
