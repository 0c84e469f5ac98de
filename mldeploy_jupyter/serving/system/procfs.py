"""The server's only reader of `/proc`.

Every function takes the folder as `proc`, so that tests can hand in one of their own. Where a process is gone, or the
system has no `/proc`, the answer is empty (0, None, "" or an empty list), never an error.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class ProcessStat:
    """What `/proc/<pid>/stat` says, see proc(5). Times are in clock ticks, the ranges are addresses in the process."""

    state: str  # Z: dead and not waited for, X: dead
    parent: int
    session: int
    cpu_time: int
    start_time: int  # since boot
    argument_range: tuple[int, int]
    environment_range: tuple[int, int]


def list_pids(proc: Path = PROC) -> list[int]:
    try:
        return [int(name) for name in os.listdir(proc) if name.isdigit()]
    except OSError:
        return []


def read_file(pid: int | str, name: str, proc: Path = PROC) -> str:
    """The text of `/proc/<pid>/<name>`; empty when it cannot be read."""
    try:
        return (proc / str(pid) / name).read_text(errors="surrogateescape")
    except OSError:
        return ""


def read_stat(pid: int | str, proc: Path = PROC) -> ProcessStat | None:
    # The second field is the name of the program, in parentheses, and may contain anything.
    fields = read_file(pid, "stat", proc).rpartition(")")[2].split()
    try:
        return ProcessStat(
            state=fields[0],
            parent=int(fields[1]),
            session=int(fields[3]),
            cpu_time=int(fields[11]) + int(fields[12]),
            start_time=int(fields[19]),
            argument_range=(int(fields[45]), int(fields[46])),
            environment_range=(int(fields[47]), int(fields[48])),
        )
    except (IndexError, ValueError):
        return None


def start_time(pid: int | str = "self", proc: Path = PROC) -> int:
    """When a process started, in clock ticks since boot; 0 when it is gone or dead.

    A pid is used again, the pair of pid and start time is not.
    """
    stat = read_stat(pid, proc)
    return stat.start_time if stat is not None and stat.state not in "ZX" else 0


def is_stopped(pid: int | str, proc: Path = PROC) -> bool:
    """Whether a signal such as SIGSTOP keeps a process from running; False for one that a debugger holds."""
    stat = read_stat(pid, proc)
    return stat is not None and stat.state == "T"


def read_run_time(pid: int | str, proc: Path = PROC) -> tuple[int, int]:
    """For how long a process has run: all its threads in clock ticks, and its main thread in nanoseconds.

    The latter shows even that a signal stopped or continued it; it is 0 where the kernel does not count it.
    """
    stat, fields = read_stat(pid, proc), read_file(pid, "schedstat", proc).split()
    return stat.cpu_time if stat is not None else 0, int(fields[0]) if fields and fields[0].isdigit() else 0


def list_session(leader: int, proc: Path = PROC) -> list[int]:
    """The pids of the processes in the session of `leader`."""
    return [pid for pid in list_pids(proc) if (stat := read_stat(pid, proc)) is not None and stat.session == leader]


def list_zombies(parent: int, proc: Path = PROC) -> list[int]:
    """The pids of the children of `parent` that are dead and not waited for."""
    stats = ((pid, read_stat(pid, proc)) for pid in list_pids(proc))
    return [pid for pid, stat in stats if stat is not None and stat.parent == parent and stat.state == "Z"]


def waits_for_lock(pid: int, proc: Path = PROC) -> bool:
    """Whether the main thread of a process waits for a lock now; False where the kernel does not say."""
    return read_file(pid, "wchan", proc).startswith("futex")


def read_environment(pid: int, proc: Path = PROC) -> list[bytes]:
    """The `NAME=value` entries with which a process started."""
    try:
        return (proc / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


def read_rss(pid: int, proc: Path = PROC) -> int | None:
    """Resident memory of a process in bytes."""
    try:
        return int(read_file(pid, "statm", proc).split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (IndexError, ValueError):
        return None


def read_sizes(pid: int, name: str, proc: Path = PROC) -> dict[str, int] | None:
    """The lines `<key>: <number> kB` of `/proc/<pid>/<name>`, in bytes; None when the process is gone."""
    text = read_file(pid, name, proc)
    found = (line.split() for line in text.splitlines() if line.endswith(" kB"))
    return {words[0].rstrip(":"): int(words[-2]) * 1024 for words in found} if text else None


def read_boot_id(proc: Path = PROC) -> str:
    """A random text that the kernel makes at each boot."""
    return read_file("sys", "kernel/random/boot_id", proc).strip()


def list_thread_names(pid: int | str = "self", proc: Path = PROC) -> list[str]:
    """The names of the threads of a process, which are its program's name where a thread was given none."""
    try:
        threads = os.listdir(proc / str(pid) / "task")
    except OSError:
        return []
    return [read_file(pid, f"task/{thread}/comm", proc).rstrip("\n") for thread in threads]


def list_mapped_files(pid: int | str = "self", proc: Path = PROC) -> set[str]:
    """Paths of the files, such as shared libraries, that a process has mapped into its memory."""
    lines = read_file(pid, "maps", proc).splitlines()
    return {line[line.find("/") :] for line in lines if "/" in line}


def list_open_files(pid: int | str = "self", proc: Path = PROC) -> set[str]:
    """What the file descriptors of a process stand for: paths, and `socket:[inode]`."""
    found: set[str] = set()
    folder = proc / str(pid) / "fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return found
    for name in names:
        try:
            found.add(os.readlink(folder / name))
        except OSError:
            continue  # closed since it was listed
    return found
