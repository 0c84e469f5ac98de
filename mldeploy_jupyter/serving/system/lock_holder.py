"""Finds the process that serves a folder, and its control socket, when no file names them."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

from . import procfs

SUPERVISOR = "mldeploy_jupyter.serving.supervisor"  # the module that is run, as in its command line

LISTENING = 0x10000  # the flag __SO_ACCEPTCON in /proc/net/unix


class Processes:
    """Who holds locks, and which supervisors were started, when that was first asked: read once for many folders."""

    def __init__(self, proc: Path = procfs.PROC) -> None:
        self._proc = proc

    def find_lock_holder(self, lock: Path) -> int:
        """The pid of the process that holds the file with `flock`; 0 where there is none, or it cannot be read."""
        try:
            found = lock.stat()
        except OSError:
            return 0
        # The device is not compared: some file systems (Btrfs) show one here and another in `stat`.
        for pid in self._lock_holders.get(str(found.st_ino), ()):
            if str(lock.resolve()) in procfs.list_open_files(pid, self._proc):
                return pid
        return 0

    def find_supervisor(self, folder: Path) -> int:
        """The pid of the supervisor that was started for the folder, by its command line; 0 where there is none.

        The first call reads about every process, so it is for a folder whose lock is gone.
        """
        return next(iter(self._supervisors.get(str(folder), ())), 0)

    def list_supervisors_in(self, folder: Path) -> list[int]:
        """The pids of all supervisors that were started for the folder and are in it, also of those that only start.

        One in a container may have been started for a folder of the same path.
        """
        return [pid for pid in self._supervisors.get(str(folder), ()) if self._is_in(pid, folder)]

    def _is_in(self, pid: int, folder: Path) -> bool:
        try:
            return os.path.samefile(self._proc / str(pid) / "cwd", folder)
        except OSError:
            return False

    @cached_property
    def _lock_holders(self) -> dict[str, list[int]]:
        """The pids of those that hold a lock, by the inode of its file."""
        found: dict[str, list[int]] = {}
        for line in procfs.read_file(".", "locks", self._proc).splitlines():
            fields = line.split()  # 1: FLOCK  ADVISORY  WRITE 6105 fe:00:11026746 0 EOF
            if len(fields) >= 6 and fields[1] == "FLOCK":
                found.setdefault(fields[5].rpartition(":")[2], []).append(int(fields[4]))
        return found

    @cached_property
    def _supervisors(self) -> dict[str, list[int]]:
        """The pids of all supervisors, by the folder that their command line names."""
        found: dict[str, list[int]] = {}
        for pid in procfs.list_pids(self._proc):
            words = procfs.read_file(pid, "cmdline", self._proc).split("\0")
            if SUPERVISOR in words and "--folder" in words[:-1]:
                found.setdefault(words[words.index("--folder") + 1], []).append(pid)
        return found


def find_control_socket(pid: int, proc: Path = procfs.PROC) -> str:
    """The path of the Unix socket on which the process listens; "" where there is none, or it cannot be read."""
    open_files = procfs.list_open_files(pid, proc)
    for line in procfs.read_file("net", "unix", proc).splitlines()[1:]:
        fields = line.split(maxsplit=7)  # Num RefCount Protocol Flags Type St Inode Path
        if len(fields) == 8 and int(fields[3], 16) & LISTENING and f"socket:[{fields[6]}]" in open_files:
            return fields[7]
    return ""
