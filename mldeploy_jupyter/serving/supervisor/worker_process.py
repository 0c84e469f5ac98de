"""A worker process as its supervisor handles it: started, sent orders, watched, killed, reaped."""

from __future__ import annotations

import itertools
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..ipc.channel import Channel
from ..ipc.failure import failure
from ..ipc.scoreboard import ANSWERED, PAUSED, Scoreboard
from ..log import entry, worker_output
from ..log.service_log import ServiceLog
from ..settings import Settings
from ..system import memory, procfs
from ..system.background import run_in_background
from ..system.child_process import RunInMain, SpawnedProcess, kill_group
from ..system.process_mark import kill_marked, new_mark
from .spawn import process_environment, spawn_process

ORDER_WAIT = 10.0  # seconds for a worker to carry out an order and answer it

CHANNEL_CLOSED_WAIT = 1.0  # seconds for a worker to end after it closed its channel, before it is killed

# Orders after which a worker accepts connections, or none. A machine that keeps it waiting must not let it answer with
# the old revision once the new one has answered, so it sees them on the scoreboard, too.
_PAUSES = {"accept": 0, "pause": 1, "drain": 1, "stop": 1}

_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)


class WorkerProcess:
    """One worker. `state` is starting, ready (it may get traffic), live, draining or dead.

    `events` gets the messages about the worker's start, then one `{"event": "exit"}`. `on_message(worker, message,
    fds)` gets its later messages. `on_exit(worker)` is called when the worker is dead and its whole process group is
    gone. `on_line(text, level)`, if set, gets each line of output that is not an entry about a request.
    """

    def __init__(self, settings: Settings, log: ServiceLog, scoreboard: Scoreboard | None = None) -> None:
        self.settings = settings
        self.log = log
        self.scoreboard = scoreboard  # None for a process that only checks a script
        self.slot = 0

        # The process.
        self.pid = 0
        self.mark = new_mark()
        self.forked = False
        self.find_changed_file: Callable[[], str] = lambda: ""
        self._log_mark = new_mark()  # by which the log entries that the worker itself wrote are known
        self._kill_requested = False
        self._dead = threading.Event()  # earlier than `exited`: its last messages may not be read yet
        self.exited = threading.Event()
        self._exit: dict[str, Any] = {}

        # Its start.
        self.state = "starting"
        self.stage = "import"
        self.started = entry.utc_now()
        self.spawned_at = self.stage_since = time.monotonic()
        self.ready: dict[str, Any] = {}  # the worker's message that it is ready
        self.restarts = 0
        self.superseded = False  # another worker was started in its place before it was ready
        self.failure_of_fork = ""  # why the forked worker failed in whose place this one was started

        # Its end.
        self.kill_failure: dict[str, Any] | None = None  # why the supervisor killed it
        self.lost_requests: list[str] = []  # ids of the requests that were in flight when it died

        self.events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.on_message: Callable[[WorkerProcess, dict[str, Any], list[int]], None] = lambda *_: None
        self.on_exit: Callable[[WorkerProcess], None] = lambda _: None
        self.on_line: Callable[[str, str], None] | None = None
        self._tail = worker_output.Tail()
        self._output: worker_output.OutputReader | None = None
        self._request_ids = itertools.count(1)
        self._answers: dict[int, queue.SimpleQueue[dict[str, Any]]] = {}
        self._channel_closed = threading.Event()

    def start(
        self,
        listener: socket.socket,
        *,
        keys: dict[str, str],
        answer_early: bool,
        in_main: RunInMain = lambda task: task(),
        process: SpawnedProcess | None = None,
    ) -> None:
        """Starts a new interpreter as this worker, or makes the forked `process` this worker.

        `answer_early` makes it answer requests with 503 while `init()` runs. Raises `OSError` when it cannot start.
        """
        assert self.scoreboard is not None
        self.slot = self.scoreboard.assign_slot()
        fds = (listener.fileno(), self.scoreboard.fd)
        if process is None:
            process = spawn_process("worker", self.settings, self.mark, in_main)
        self._begin(process, "start", fds, keys=keys, early=answer_early, slot=self.slot, lines=self._log_mark)

    def start_check(self, process: SpawnedProcess) -> None:
        """Makes a forked process run the script once (`worker/script_check.py`); `events` gets `checked`."""
        self._begin(process, "check")

    def _begin(self, process: SpawnedProcess, op: str, fds: tuple[int, ...] = (), **args: Any) -> None:
        self._channel = Channel(process.channel)
        self.pid, self.mark, self.forked, self._reap = process.pid, process.mark, process.forked, process.reap
        self.find_changed_file = process.find_changed_file
        if process.forked:  # a new interpreter was started with its environment
            args["environment"] = process_environment(self.settings, self.mark)
        self.spawned_at = self.stage_since = time.monotonic()
        self.send(op, fds, settings=self.settings.to_dict(), **args)
        self._cgroup = memory.find_cgroup(self.pid)
        self._oom_kills = memory.count_oom_kills(self._cgroup)
        worker_output.enlarge_pipe(process.output)
        self._output = worker_output.OutputReader(process.output, self._log_mark, self._to_entry, self._add_lines)
        self._output_reader = threading.Thread(target=self._output.run, daemon=True)
        self._output_reader.start()
        self._message_reader = threading.Thread(target=self._read_messages, daemon=True)
        self._message_reader.start()
        threading.Thread(target=self._await_exit, daemon=True).start()
        if self._kill_requested:
            self.kill()

    def send(self, op: str, fds: tuple[int, ...] = (), **args: Any) -> bool:
        """Sends an order; returns False when the worker is gone."""
        if op in _PAUSES and self.scoreboard is not None and self.slot and not self._dead.is_set():
            self.scoreboard.slot(self.slot).state[PAUSED] = _PAUSES[op]
        try:
            self._channel.send({**args, "op": op}, fds)
        except OSError:
            return False
        return True

    def request(
        self, op: str, wait: float = ORDER_WAIT, fds: tuple[int, ...] = (), **args: Any
    ) -> dict[str, Any] | None:
        """Sends an order and waits up to `wait` seconds for its answer; returns None when there is none."""
        number = next(self._request_ids)
        answer = self._answers[number] = queue.SimpleQueue()
        try:
            if not self.send(op, fds, id=number, **args):
                return None
            deadline = time.monotonic() + wait
            while True:
                left = deadline - time.monotonic()
                is_over = left <= 0 or self.exited.is_set() or self._channel_closed.is_set()
                try:  # also at the end: the answer may have come while this process stood still
                    return answer.get(not is_over, min(max(left, 0.0), 0.2))
                except queue.Empty:
                    if is_over:
                        return None
        finally:
            del self._answers[number]

    @property
    def has_begun(self) -> bool:
        """Whether it has reported a stage of its start."""
        return self.stage_since != self.spawned_at

    @property
    def has_heartbeat(self) -> bool:
        """Whether it beats without requests, too. Workers of older versions do not."""
        return "heartbeat" in self.ready

    def count_answered(self) -> int:
        """How many requests of /score it has answered."""
        if self.scoreboard is None or not self.slot or self.exited.is_set():
            return 0
        return int(self.scoreboard.slot(self.slot).fields[ANSWERED])

    def signal(self, number: int) -> None:
        if self.pid and not self._dead.is_set():
            try:
                os.kill(self.pid, number)
            except OSError:
                pass

    def kill(self) -> None:
        """Kills the whole process group, now or as soon as there is one. `on_exit` follows."""
        self._kill_requested = True
        if self.pid and not self._dead.is_set():  # group 0 would be the supervisor's own
            kill_group(self.pid)

    def exit_failure(self) -> dict[str, Any]:
        """The failure of a worker that is dead: `exited` with an exit code, or `killed` by a signal."""
        if self.kill_failure is not None:
            return self.complete_failure(self.kill_failure)
        number, status = self._exit.get("signal"), self._exit.get("exit_code")
        text = f"the worker was ended by signal {number}" if number else f"the worker exited with code {status}"
        text += memory.explain_oom_kill(self._exit.get("memory") or {})
        return self.complete_failure(failure("killed" if number else "exited", self.stage, text))

    def complete_failure(self, data: dict[str, Any]) -> dict[str, Any]:
        """Adds what only the supervisor knows: exit code or signal, memory, the last lines of output, run time."""
        self._output_reader.join(0.5 if self.exited.is_set() else 0.1)
        facts = self._exit or {"exit_code": None, "signal": None, "memory": self._memory_facts(None)}
        seconds = round(time.monotonic() - self.spawned_at, 3)
        return {**facts, "log_tail": self._tail.texts(), "seconds": seconds, **data}

    @property
    def exit_status(self) -> dict[str, Any]:
        """`exit_code` and `signal`; both None while the process runs."""
        return {"exit_code": self._exit.get("exit_code"), "signal": self._exit.get("signal")}

    @property
    def crashed(self) -> bool:
        return self._exit.get("signal") in _CRASHES

    def flush_output(self) -> None:
        """What it has written until now is in the log when this returns."""
        if self._output is not None:
            self._output.flush()

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

    def _to_entry(self, text: str) -> bytes:
        return entry.format_line(text, logger="raw", revision=str(self.settings.revision), pid=self.pid)

    def _add_lines(self, lines: bytes) -> None:
        self.log.append(lines)
        self._tail.add(lines)
        if (on_line := self.on_line) is not None:
            for text, level in worker_output.texts_without_requests(lines):
                on_line(text, level)

    def _read_messages(self) -> None:
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
        self._channel_closed.set()
        # Without its channel a worker can neither be switched nor stopped.
        if not self._dead.wait(CHANNEL_CLOSED_WAIT):
            self.log.write(f"worker {self.pid} closed its channel; ending it")
            self.kill()

    def _await_exit(self) -> None:
        # The pid is not used again before it is reaped, so the group that is killed here is still the worker's.
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        self._dead.set()
        kill_group(self.pid)
        kill_marked([self.mark])  # processes that left the group
        status = self._reap()
        number = -status if status < 0 else None
        self._exit = {
            "exit_code": None if number else status,
            "signal": number,
            "memory": self._memory_facts(number),
        }
        # Its last messages, and the connections that it handed over, come before its exit.
        self._message_reader.join(2)
        self._output_reader.join(0.5)
        self._channel.close()
        self.lost_requests = self.scoreboard.retire_slot(self.slot) if self.scoreboard is not None else []
        self.state = "dead"
        self.exited.set()
        self.events.put({"event": "exit", "worker": self})
        self.on_exit(self)

    def _memory_facts(self, signal_number: int | None) -> dict[str, Any]:
        return memory.facts_after_death(self._cgroup, self._oom_kills, signal_number)


def request_all(
    workers: Sequence[WorkerProcess], op: str, wait: float = ORDER_WAIT, **args: Any
) -> list[dict[str, Any] | None]:
    """Sends an order to all workers at the same time; returns their answers as `WorkerProcess.request` does."""
    results = [run_in_background(partial(worker.request, op, wait, **args)) for worker in workers]
    return [result() for result in results]
