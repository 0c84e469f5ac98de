"""One server's turn: started on a processor of its own, checked, warmed up, loaded, ended."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.ports import free_port

from . import processes, work, wrk
from .servers import Place, Server

SERVER_CPU, LOAD_CPU = 0, 1
START_SECONDS = 120.0


class TurnFailed(Exception):
    """The server did not start, or answered wrongly."""


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    url: str
    headers: dict[str, str]
    pids: list[int]
    seconds: float  # from its start to its first right answer
    configuration: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Measured:
    """One load of one server. Latencies in milliseconds, `cpu` in microseconds of processor time a request."""

    server: str
    work: str
    connections: int
    rate: float
    p50: float
    p99: float
    cpu: float


def ask(url: str, body: bytes, headers: dict[str, str], seconds: float = 20.0) -> bytes:
    """The answer's body. Raises `OSError` when there is none, or not a 200."""
    request = urllib.request.Request(url, body, headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=seconds) as answer:
        return bytes(answer.read())


def check(running: Running, server: Server, kind: work.Work) -> bytes:
    """Asks once and gives the answer back. Raises `TurnFailed` when it is wrong."""
    headers = {**running.headers, "Content-Type": content_type(kind)}
    answer = ask(running.url, work.body(kind, server.form), headers)
    if not work.is_right(work.result(answer, server.form), work.expected(kind)):
        raise TurnFailed(f"{server.name} answers {kind.name} wrongly: {answer[:200]!r}")
    return answer


def content_type(kind: work.Work) -> str:
    return "application/octet-stream" if kind.size else "application/json"


@contextmanager
def running(server: Server, folder: Path, cache: Path) -> Iterator[Running]:
    """Starts the server, gives it when it answers rightly, ends it. Raises `TurnFailed`."""
    place = Place(cache / server.environment if server.environment else Path(), folder, server.port or free_port())
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    variables = {**os.environ, "BENCH_MODEL": str(place.model), "PYTHONDONTWRITEBYTECODE": "1"}
    variables |= {"HOME": str(folder), **server.variables(place)}
    log = folder / "output.log"
    begin = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "-c", str(SERVER_CPU), *server.command(place)],
            stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, cwd=server.working(place), env=variables,
        )  # fmt: skip
    pids = [process.pid]
    try:
        found = _where(server, place, process.pid)
        deadline = begin + START_SECONDS
        while True:
            try:
                found = found or _said_where(folder)
                if found is not None:
                    check(found, server, work.WORKS[server.works[0]])
                    break
            except (OSError, ValueError):  # not there yet; not JSON yet
                pass
            if process.poll() is not None or time.monotonic() > deadline:
                tail = log.read_text(errors="replace")[-2000:]
                raise TurnFailed(f"{server.name} did not start in {time.monotonic() - begin:.0f} s:\n{tail}")
            time.sleep(0.05)
        pids = [process.pid, *found.pids]
        yield Running(found.url, found.headers, found.pids, time.monotonic() - begin, found.configuration)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        if server.says_where:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                pass
        processes.end(pids)
        process.wait(5)


def _where(server: Server, place: Place, pid: int) -> Running | None:
    if server.says_where:
        return None
    return Running(f"http://127.0.0.1:{place.port}{server.path}", dict(server.headers), [pid], 0.0)


def _said_where(folder: Path) -> Running | None:
    path = folder / "where.json"
    if not path.exists():
        return None
    said = json.loads(path.read_text())
    return Running(said["url"], said["headers"], said["pids"], 0.0, said["configuration"])


def settle(running: Running, patience: float = 20.0) -> None:
    """Waits until the server does nothing by itself: some continue importing or starting for a while."""
    deadline, before = time.monotonic() + patience, processes.cpu_seconds(running.pids)
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = processes.cpu_seconds(running.pids)
        if now - before <= 0.02:
            return
        before = now


def measure(
    running: Running, server: Server, kind: work.Work, connections: int, seconds: float, folder: Path
) -> Measured:
    """One load: checked before, in its middle and after. Raises `TurnFailed`, `wrk.LoadFailed`, `OSError`."""
    least = len(check(running, server, kind))
    headers = {**running.headers, "Content-Type": content_type(kind)}
    body = work.body(kind, server.form)
    lua = wrk.script(folder, body, headers)
    try:
        warm = wrk.start(running.url, lua, connections, 1, LOAD_CPU)
        wrk.read(warm.communicate(timeout=60)[0])
        check(running, server, kind)  # answered after what the warming up has left in the queue
        settle(running)
        before = processes.cpu_seconds(running.pids)
        loading = wrk.start(running.url, lua, connections, seconds, LOAD_CPU)
        time.sleep(seconds / 2)
        check(running, server, kind)
        load = wrk.read(loading.communicate(timeout=seconds + 60)[0], least)
        spent = processes.cpu_seconds(running.pids) - before
    except wrk.LoadFailed as error:
        check(running, server, kind)
        why = wrk.first_failure(running.url, folder, body, headers, connections, LOAD_CPU)
        raise wrk.LoadFailed(f"{error}; first: {why}") from None
    check(running, server, kind)
    cpu = spent / load.requests * 1e6
    return Measured(server.name, kind.name, connections, load.rate, load.p50, load.p99, cpu)


@dataclass
class Turn:
    """What a turn brought: loads, what failed in words, memory after the loads in bytes, the configuration."""

    measured: list[Measured] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    memory: int = 0
    configuration: list[str] = field(default_factory=list)


def take(server: Server, wanted: list[str], seconds: float, folder: Path, cache: Path) -> Turn:
    """The whole turn: every wanted work of the server at every load. What fails is noted, and does not count."""
    taken = Turn()
    try:
        with running(server, folder, cache) as found:
            taken.configuration = found.configuration
            for kind in (work.WORKS[name] for name in server.works if name in wanted):
                for connections in kind.connections:
                    try:
                        taken.measured.append(measure(found, server, kind, connections, seconds, folder))
                    except (TurnFailed, wrk.LoadFailed, OSError, ValueError) as error:
                        taken.failures.append(f"{server.name}, {kind.name}, {connections} connections: {error}")
            taken.memory = sum(one.pss for one in processes.weigh(found.pids))
    except (TurnFailed, OSError, ValueError) as error:
        taken.failures.append(f"{server.name} ({', '.join(server.works)}): {error}")
    return taken
