"""A worker process as its supervisor sees it: spawned, listened to, told what to do, buried."""

from __future__ import annotations

import itertools
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from ..ipc.channel import Channel
from ..ipc.failure import failure
from ..ipc.scoreboard import ANSWERED, Scoreboard
from ..log import entry, worker_output
from ..log.service_log import ServiceLog
from ..settings import Settings
from ..system import memory, procfs
from ..system.process_mark import kill_marked
from . import spawn as births
from .spawn import Run, SpawnedProcess

_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)


class Worker:
    """One worker. `state`: starting, ready (may get traffic), live, draining, dead.

    `events` gets what concerns its start: the worker's own messages, then one `{"event": "exit"}`.
    `on_message(worker, message, fds)` gets what it says later, `on_exit(worker)` is called once it is dead
    and its whole process group is gone, `on_line(worker, text)`, if it is set, for each line
    of output that is no request.
    """

    def __init__(self, settings: Settings, log: ServiceLog, board: Scoreboard | None = None) -> None:
        self.settings = settings
        self.log = log
        self.board = board
        self.slot = 0
        self._lines_mark = os.urandom(8).hex()  # by which its own entries are known
        self.pid = 0
        self.mark = os.urandom(8).hex()
        self.forked = False
        self.given_up = False  # another one took its place before it was ready
        self.outdated: Callable[[], str] = lambda: ""  # see `SpawnedProcess.changed`
        self.instead_of = ""  # what came of the forked worker whose place it took
        self.state = "starting"
        self.stage = "import"
        self.started = entry.utc_now()
        self.born = time.monotonic()
        self.stage_since = self.born
        self.restarts = 0
        self.lost: list[str] = []  # the requests that it had in hand when it died
        self.tail = worker_output.Tail()
        self.events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.exited = threading.Event()
        self._unwanted = False
        self._died = threading.Event()  # as `exited`, before what it said last was read
        self._deaf = threading.Event()  # it closed its end of the channel
        self.ready: dict[str, Any] = {}
        self.on_message: Callable[[Worker, dict[str, Any], list[int]], None] = lambda *_: None
        self.on_exit: Callable[[Worker], None] = lambda _: None
        self.on_line: Callable[[Worker, str], None] | None = None
        self._ids = itertools.count(1)
        self._answers: dict[int, queue.SimpleQueue[dict[str, Any]]] = {}
        self._end: dict[str, Any] = {}
        self.verdict: dict[str, Any] | None = None  # the failure it was ended for, where the supervisor decided that

    def spawn(
        self,
        listener: socket.socket,
        *,
        keys: dict[str, str],
        early: bool,
        in_main: Run = lambda task: task(),
        born: SpawnedProcess | None = None,
    ) -> None:
        """Starts the process, or makes a forked one (`born`) this worker.

        `early` lets it answer (503, "starting") while `init()` runs. For `in_main` see `births.start`.
        Raises `OSError` when it cannot start.
        """
        assert self.board is not None
        self.slot = self.board.assign_slot()
        fds = (listener.fileno(), self.board.fd)
        self._begin(born, in_main, "start", fds, keys=keys, early=early, slot=self.slot, lines=self._lines_mark)

    def check(self, born: SpawnedProcess) -> None:
        """Has a forked process run the script once (`check.py`); `checked` comes in `events`."""
        self._begin(born, lambda task: task(), "check")

    def _begin(
        self, born: SpawnedProcess | None, in_main: Run, op: str, fds: tuple[int, ...] = (), **args: Any
    ) -> None:
        if born is None:
            born = births.start("worker", self.settings, self.mark, in_main)
        self.mark, self.forked, self._reap = born.mark, born.forked, born.reap
        if born.forked:  # the others were started with it
            args["environment"] = births.environment(self.settings, self.mark)
        self.born = self.stage_since = time.monotonic()
        self.outdated = born.changed
        self._channel = Channel(born.channel)
        self.pid = born.pid
        self.tell(op, fds, settings=self.settings.to_dict(), **args)
        self._cgroup = memory.find_cgroup(born.pid)
        self._oom_kills = memory.count_oom_kills(self._cgroup)
        worker_output.enlarge_pipe(born.output)
        reading = (born.output, self._lines_mark, self._wrap, self._lines)
        self._output = threading.Thread(target=worker_output.read_output, args=reading, daemon=True)
        self._output.start()
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()
        threading.Thread(target=self._wait, daemon=True).start()
        if self._unwanted:
            self.kill()

    def tell(self, op: str, fds: tuple[int, ...] = (), **args: Any) -> bool:
        """Sends an order; False when the worker is gone."""
        try:
            self._channel.send({**args, "op": op}, fds)
        except OSError:
            return False
        return True

    def ask(self, op: str, wait: float, **args: Any) -> dict[str, Any] | None:
        """Sends an order and waits for its answer; None when there is none within `wait` seconds."""
        number = next(self._ids)
        answer = self._answers[number] = queue.SimpleQueue()
        try:
            if not self.tell(op, id=number, **args):
                return None
            deadline = time.monotonic() + wait
            while not (self.exited.is_set() or self._deaf.is_set()) and (left := deadline - time.monotonic()) > 0:
                try:
                    return answer.get(timeout=min(left, 0.2))
                except queue.Empty:
                    continue
            return None
        finally:
            del self._answers[number]

    def answered(self) -> int:
        """How many requests of /score it has answered."""
        if self.board is None or not self.slot or self.exited.is_set():
            return 0
        return int(self.board.slot(self.slot).fields[ANSWERED])

    def signal(self, number: int) -> None:
        if self.pid and not self._died.is_set():
            try:
                os.kill(self.pid, number)
            except OSError:
                pass

    def kill(self) -> None:
        """Ends the whole process group at once, or as soon as there is one. `on_exit` follows."""
        self._unwanted = True
        if self.pid and not self._died.is_set():  # the group 0 would be our own
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except OSError:
                pass

    def failure_of_exit(self, code: str = "") -> dict[str, Any]:
        """The failure of a worker that is dead: `exited` with an exit code, or `killed` by a signal."""
        if self.verdict is not None:
            return self.complete(self.verdict)
        number, status = self._end.get("signal"), self._end.get("exit_code")
        text = f"the worker was ended by signal {number}" if number else f"the worker exited with code {status}"
        text += memory.explain_oom_kill(self._end.get("memory") or {})
        return self.complete(failure(code or ("killed" if number else "exited"), self.stage, text))

    @property
    def end(self) -> dict[str, Any]:
        """`exit_code` and `signal` of a process that is dead."""
        return {"exit_code": self._end.get("exit_code"), "signal": self._end.get("signal")}

    @property
    def crashed(self) -> bool:
        return self._end.get("signal") in _CRASHES

    def complete(self, data: dict[str, Any]) -> dict[str, Any]:
        """Adds what only the supervisor knows: end, memory, the last lines, how long it had run."""
        self._output.join(0.5 if self.exited.is_set() else 0.1)
        end = self._end or {"exit_code": None, "signal": None, "memory": self.memory(None)}
        return {**end, "log_tail": self.tail.texts(), "seconds": round(time.monotonic() - self.born, 3), **data}

    def memory(self, number: int | None) -> dict[str, Any]:
        return memory.facts_after_death(self._cgroup, self._oom_kills, number)

    def describe(self) -> dict[str, Any]:
        return {
            "pid": self.pid,
            "revision": self.settings.revision,
            "state": self.state,
            "stage": self.stage,
            "forked": self.forked,
            "restarts": self.restarts,
            "started": self.started,
            "rss": procfs.read_rss(self.pid),
        }

    def _wrap(self, text: str) -> bytes:
        return entry.format_line(text, logger="raw", revision=str(self.settings.revision), pid=self.pid)

    def _lines(self, lines: bytes) -> None:
        self.log.append(lines)
        self.tail.add(lines)
        if (on_line := self.on_line) is not None:
            for text in worker_output.texts_without_requests(lines):
                on_line(self, text)

    def _listen(self) -> None:
        while (received := self._channel.receive()) is not None:
            message, fds = received
            event = message.get("event")
            if event == "answer":
                waiting = self._answers.get(message["id"])
                if waiting is not None:
                    waiting.put(message)
                continue
            if event == "stage":
                self.stage, self.stage_since = message["stage"], time.monotonic()
            if event == "ready":
                self.ready, self.stage = message, "probe"
            if event in ("stage", "ready", "failed", "checked"):
                self.events.put({**message, "worker": self})
            else:
                self.on_message(self, message, fds)
        self._deaf.set()
        if not self._died.wait(1):  # a worker that does not listen cannot be switched, or stopped
            self.log.write(f"worker {self.pid} closed its channel; ending it")
            self.kill()

    def _wait(self) -> None:
        # The pid stays ours until it is reaped, so the group that is killed cannot be a stranger's.
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        self._died.set()
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except OSError:
            pass
        kill_marked([self.mark])  # what made itself a daemon
        status = self._reap()
        number = -status if status < 0 else None
        self._end = {
            "exit_code": None if number else status,
            "signal": number,
            "memory": self.memory(number),
        }
        # What it said last, and connections that it handed over, come before its end.
        self._listening.join(2)
        self._output.join(0.5)
        self._channel.close()
        self.lost = self.board.retire_slot(self.slot) if self.board is not None else []
        self.state = "dead"
        self.exited.set()
        self.events.put({"event": "exit", "worker": self})
        self.on_exit(self)
