"""Which process serves a folder, and on which control socket it listens, when no file says so."""

from __future__ import annotations

from pathlib import Path

from . import procfs

SUPERVISOR = "mldeploy_jupyter.serving.supervisor"  # the module that is run, as in its command line

LISTENING = 0x10000  # the flag __SO_ACCEPTCON in /proc/net/unix


def find_lock_holder(lock: Path, proc: Path = procfs.PROC) -> int:
    """The pid of the process that holds the lock file with `flock`; 0 where there is none, or it cannot be read."""
    try:
        found = lock.stat()
    except OSError:
        return 0
    for line in procfs.read_file(".", "locks", proc).splitlines():
        fields = line.split()  # 1: FLOCK  ADVISORY  WRITE 6105 fe:00:11026746 0 EOF
        if len(fields) < 6 or fields[1] != "FLOCK" or fields[5].rpartition(":")[2] != str(found.st_ino):
            continue
        # The device is not compared: some file systems (Btrfs) show one here and another in `stat`.
        pid = int(fields[4])
        if str(lock.resolve()) in procfs.list_open_files(pid, proc):
            return pid
    return 0


def find_supervisor(folder: Path, proc: Path = procfs.PROC) -> int:
    """The pid of the supervisor that was started for the folder, by its command line; 0 where there is none.

    It reads about every process, so it is for a folder whose lock is gone.
    """
    for pid in procfs.list_pids(proc):
        words = procfs.read_file(pid, "cmdline", proc).split("\0")
        if SUPERVISOR in words and "--folder" in words and words[words.index("--folder") + 1 :][:1] == [str(folder)]:
            return pid
    return 0


def find_control_socket(pid: int, proc: Path = procfs.PROC) -> str:
    """The path of the Unix socket on which the process listens; "" where there is none, or it cannot be read."""
    open_files = procfs.list_open_files(pid, proc)
    for line in procfs.read_file("net", "unix", proc).splitlines()[1:]:
        fields = line.split(maxsplit=7)  # Num RefCount Protocol Flags Type St Inode Path
        if len(fields) == 8 and int(fields[3], 16) & LISTENING and f"socket:[{fields[6]}]" in open_files:
            return fields[7]
    return ""
