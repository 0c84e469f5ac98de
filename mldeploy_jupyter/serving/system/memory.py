"""What the kernel knows about a process's memory: its size, its cgroup's limit, and out-of-memory kills."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import procfs

_CGROUPS = Path("/sys/fs/cgroup")

_UNLIMITED = 1 << 60  # bytes: cgroup v1 writes a huge number where there is no limit


def find_cgroup(pid: int, proc: Path = procfs.PROC, root: Path = _CGROUPS) -> Path | None:
    """The folder of the memory cgroup that holds `pid`, or None where there is none to read."""
    for line in procfs.read_file(pid, "cgroup", proc).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2
            base = root
        elif "memory" in controllers.split(","):
            base = root / "memory"
        else:
            continue
        # Inside a container the path may be the host's: the container's own view is then the root.
        for folder in (base / path.lstrip("/"), base):
            if (folder / "memory.events").exists() or (folder / "memory.oom_control").exists():
                return folder
    return None


def count_oom_kills(cgroup: Path | None) -> int | None:
    """How often the kernel killed for memory in this cgroup; None where it does not say."""
    for name in ("memory.events", "memory.oom_control"):
        for line in _read(cgroup, name).splitlines():
            key, _, value = line.partition(" ")
            if key == "oom_kill" and value.strip().isdigit():
                return int(value)
    return None


def read_limits(cgroup: Path | None) -> dict[str, Any]:
    """`limit` and `peak` in bytes; None where unknown or unlimited."""
    return {
        "limit": _read_number(cgroup, "memory.max", "memory.limit_in_bytes"),
        "peak": _read_number(cgroup, "memory.peak", "memory.max_usage_in_bytes"),
    }


def facts_after_death(cgroup: Path | None, kills_before: int | None, signal: int | None) -> dict[str, Any]:
    """The `memory` part of a failure. `oom_kill` is certain or None, never a guess."""
    kills = count_oom_kills(cgroup)
    oom_kill = None if kills_before is None or kills is None else signal == 9 and kills > kills_before
    return {"oom_kill": oom_kill, **read_limits(cgroup)}


def explain_oom_kill(facts: dict[str, Any]) -> str:
    """The end of a killed worker's message; empty unless `facts` (`facts_after_death`) say that it was for memory."""
    if not facts.get("oom_kill"):
        return ""
    peak, limit = facts.get("peak"), facts.get("limit")
    figures = f", {peak / 10**6:.0f} MB of {limit / 10**6:.0f} MB" if peak and limit else ""
    hint = f"; it needs more than that: try {propose_limit(limit) / 10**9:g} GB" if limit else ""
    return f": the memory that its group of processes may use was used up{figures}{hint}"


def private_memory_above(pid: int, limit: int) -> int | None:
    """The memory that only this process uses, in bytes, if it exceeds `limit` bytes; None if not, or if unknown.

    Reading `status` takes microseconds, and its sum is never too small. Only above the limit are the exact figures
    read, for which the kernel walks the process's pages. Each of these two has a flaw: dirty private pages may belong
    to a mapped file that was just written, and anonymous pages in proportion include a part of those that a forked
    process shares with its parent. So the smaller one counts.
    """
    status = procfs.read_sizes(pid, "status")
    if status is None or sum(status.get(key, 0) for key in ("RssAnon", "RssShmem", "VmSwap")) <= limit:
        return None
    sizes = procfs.read_sizes(pid, "smaps_rollup")
    if sizes is None:
        return None
    private = sizes.get("Private_Dirty", 0)
    used = min(private, sizes.get("Pss_Anon", private) + sizes.get("Pss_Shmem", 0)) + sizes.get("SwapPss", 0)
    return used if used > limit else None


def propose_limit(used: int) -> int:
    """A limit in bytes for a worker that was still growing when it used `used` bytes: 1.5 times that, in 0.1 GB."""
    return -(-used * 3 // (2 * 10**8)) * 10**8


def _read_number(cgroup: Path | None, *names: str) -> int | None:
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
