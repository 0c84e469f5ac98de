"""What the kernel says about a process's memory: its cgroup's limit and out-of-memory kills, and its size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .procfs import _sizes

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


def why_killed(facts: dict[str, Any]) -> str:
    """What `after_death` adds to the message of a worker that was killed: "" unless the kernel says it was memory."""
    if not facts.get("oom_kill"):
        return ""
    peak, limit = facts.get("peak"), facts.get("limit")
    figures = f", {peak / 10**6:.0f} MB of {limit / 10**6:.0f} MB" if peak and limit else ""
    more = f"; it needs more than that: try {proposed(limit) / 10**9:g} GB" if limit else ""
    return f": the memory that its group of processes may use was used up{figures}{more}"


def own_above(pid: int, limit: int) -> int | None:
    """What a process uses by itself, in bytes, where that is more than `limit`; None where it is not, or unknown.

    `status` is read in microseconds and never counts less; only above the limit the kernel is asked for the exact
    figures, which makes it walk the process's pages. Of these each has one flaw: private pages that are dirty may be
    those of a mapped file that was written a moment ago, and the share of anonymous ones has a part of what a forked
    process has in common with its parent. So the smaller counts.
    """
    quick = _sizes(pid, "status")
    if quick is None or sum(quick.get(key, 0) for key in ("RssAnon", "RssShmem", "VmSwap")) <= limit:
        return None
    sizes = _sizes(pid, "smaps_rollup")
    if sizes is None:
        return None
    private = sizes.get("Private_Dirty", 0)
    used = min(private, sizes.get("Pss_Anon", private) + sizes.get("Pss_Shmem", 0)) + sizes.get("SwapPss", 0)
    return used if used > limit else None


def proposed(used: int) -> int:
    """A limit for what used so much when it was ended, and was still growing: half as much again, in 0.1 GB."""
    return -(-used * 3 // (2 * 10**8)) * 10**8


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
