"""What a tree of processes takes: processor time, memory, descriptors, threads. Linux only."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Weight:
    """One process at one moment.

    Bytes: `pss` is all its memory, shared pages divided by those who share them; `own` that part of it which belongs
    to no file, so neighbours that use the same libraries do not change it; `rss` counts shared pages fully.
    `descriptors` without those of clients' open connections.
    """

    pid: int
    name: str
    pss: int
    own: int
    rss: int
    descriptors: int
    threads: int


def tree(pids: Iterable[int]) -> list[psutil.Process]:
    """These processes and all their descendants that live."""
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        try:
            root = psutil.Process(pid)
            found[pid] = root
            found.update({child.pid: child for child in root.children(recursive=True)})
        except psutil.NoSuchProcess:
            continue
    return list(found.values())


def cpu_seconds(pids: Iterable[int]) -> float:
    """Processor seconds, user's and system's, that the tree's living processes have used so far."""
    total = 0
    for process in tree(pids):
        try:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def pss(pid: int, field: str = "Pss") -> int:
    """Bytes of memory, every shared page divided by the number of processes that share it; or `Pss_Anon` of them."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"no {field} in smaps_rollup of {pid}")


def weigh(pids: Iterable[int]) -> list[Weight]:
    """Every process of the tree; one that ends meanwhile is left out."""
    weights = []
    for process in tree(pids):
        try:
            words = process.cmdline()
            name = next((word for word in words[1:] if not word.startswith("-")), process.name())
            clients = sum(one.status == psutil.CONN_ESTABLISHED for one in process.net_connections("tcp"))
            weights.append(
                Weight(
                    process.pid,
                    name.rpartition("/")[2],
                    pss(process.pid),
                    pss(process.pid, "Pss_Anon"),
                    process.memory_info().rss,
                    process.num_fds() - clients,
                    process.num_threads(),
                )
            )
        except (psutil.NoSuchProcess, OSError):
            continue
    return weights


def end(pids: Iterable[int], seconds: float = 10.0) -> None:
    """Ends the tree: asks, waits, then kills what is left."""
    processes = tree(pids)
    for process in processes:
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            pass
    _, alive = psutil.wait_procs(processes, seconds)
    for process in alive:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            pass
    psutil.wait_procs(alive, 5)
