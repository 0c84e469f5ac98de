"""A zygote (`zygote/__main__.py`) as its supervisor handles it: started, given modules to import, asked for forks."""

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
from ..log import entry
from ..log.service_log import ServiceLog
from ..log.worker_output import OutputReader
from ..settings import Settings
from ..system import procfs
from ..system.child_process import RunInMain, SpawnedProcess, kill_group, set_send_timeout
from ..system.process_mark import kill_marked, new_mark
from .spawn import spawn_process

IMPORT_TIMEOUT = 60.0  # seconds for one module; the zygote does without a slower one

ANSWER_TIMEOUT = 10.0  # seconds for every other order

PING_TIMEOUT = 3.0  # seconds for a zygote that has nothing to do to answer

STOPPED_TIMEOUT = 3.0  # seconds in which a zygote that a signal has stopped may be awaited

MIN_LIFE = 10.0  # seconds: a zygote that died earlier would probably die again

# Interpreter, digest of the server's source, environment: what two revisions must share to share a zygote.
ZygoteKey = tuple[str, str, str]


class ForkUnsafe(Exception):
    """A zygote cannot be used. `module` is the one whose import is the reason, if one is."""

    def __init__(self, reason: str, module: str = "") -> None:
        super().__init__(reason)
        self.module = module


class ZygoteProcess:
    """One zygote. Its methods raise `ForkUnsafe` when it died, is too slow, or must not be forked.

    `on_death` is called when it dies without having been killed by `kill`.
    """

    def __init__(
        self,
        key: ZygoteKey,
        settings: Settings,
        log: ServiceLog,
        in_main: RunInMain,
        on_death: Callable[[ZygoteProcess], None],
        process: SpawnedProcess | None = None,
    ) -> None:
        """Spawns a process, unless it is handed in. Raises `OSError` when that cannot start."""
        self.key = key
        self.settings = settings
        self.requested_modules: set[str] = set()
        self.module_count = 0
        self.alive = True
        self.process = process or spawn_process("zygote", settings, new_mark(), in_main)
        self._spawned_at = time.monotonic()
        self._killed = False
        self._on_death = on_death
        self._channel = Channel(self.process.channel)
        self._events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._order_ids = itertools.count(1)
        self._unread_imports: list[int] = []  # ids of import orders whose answers were not read yet
        self._unread_events: dict[int, dict[str, Any]] = {}  # answers that came before they were awaited
        self._greeted = False
        self._importing = ""  # the module that is being imported
        pid = self.process.pid
        reader = OutputReader(
            self.process.output,
            self.process.mark,
            lambda text: entry.format_line(text, logger="imports", pid=pid),
            log.append,
        )
        threading.Thread(target=reader.run, daemon=True).start()
        threading.Thread(target=self._read_events, daemon=True).start()

    def begin_imports(self, names: list[str]) -> None:
        """Orders the import of modules, without waiting."""
        if names:
            self._unread_imports.append(self.send("import", modules=names))
            self.requested_modules.update(names)

    def import_modules(self, names: list[str], give_up: Callable[[], bool]) -> bool:
        """Orders the import of `names` and waits for all ordered imports.

        Returns False when `give_up()` became true first; the imports then continue.
        """
        self.begin_imports(names)
        if not self._greeted:
            hello = self.await_event("hello", 0, IMPORT_TIMEOUT, give_up)
            if hello is None:
                return False
            if hello["unsafe"]:
                raise ForkUnsafe(hello["unsafe"])
            self._greeted = True
        while self._unread_imports:
            answer = self.await_event("answer", self._unread_imports[0], IMPORT_TIMEOUT, give_up)
            if answer is None:
                return False
            self._unread_imports.pop(0)
            if answer["unsafe"]:
                raise ForkUnsafe(answer["unsafe"], answer["culprit"])
            self.module_count = answer["modules"]
        return True

    def fork(self) -> SpawnedProcess:
        """A fork that waits for its first order."""
        mark = new_mark()
        ours, theirs = socket.socketpair()
        read, write = os.pipe()
        try:
            number = self.send("fork", (theirs.fileno(), write), mark=mark)
            answer = self.await_event("answer", number, ANSWER_TIMEOUT) or {}
            pid = answer.get("pid", 0)
            if not pid:
                raise ForkUnsafe("a fork did not succeed")
        except ForkUnsafe:
            ours.close()
            os.close(read)
            raise
        finally:
            theirs.close()
            os.close(write)
        set_send_timeout(ours)

        def reap() -> int:
            try:
                return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            except ChildProcessError:  # another thread has reaped it
                return -int(signal.SIGKILL)

        return SpawnedProcess(pid, ours, read, reap, mark, forked=True)

    @property
    def busy(self) -> bool:
        """Whether it imports modules, and therefore answers nothing else."""
        return not self._greeted or bool(self._unread_imports)

    def ping(self) -> None:
        """Raises `ForkUnsafe` when it does not answer within `PING_TIMEOUT`; it is killed then."""
        self.await_event("answer", self.send("ping"), PING_TIMEOUT)

    def lived_long_enough(self) -> bool:
        """Whether another zygote is worth starting after this one died."""
        return time.monotonic() - self._spawned_at > MIN_LIFE

    def kill(self) -> None:
        self._killed = True
        if self.alive:
            kill_group(self.process.pid)

    def send(self, op: str, fds: tuple[int, ...] = (), **args: Any) -> int:
        """Sends an order; returns the id that its answer will have."""
        number = next(self._order_ids)
        try:
            self._channel.send({**args, "op": op, "id": number}, fds)
        except OSError as error:
            raise ForkUnsafe("it has died", self._importing) from error
        return number

    def await_event(
        self, event: str, number: int, wait: float, give_up: Callable[[], bool] = lambda: False
    ) -> dict[str, Any] | None:
        """The event with this id; None when `give_up()` becomes true first.

        Kills the zygote after `wait` seconds, which begin again with each module that it imports.
        """
        if number in self._unread_events:
            return self._unread_events.pop(number)
        deadline = time.monotonic() + wait
        moved = time.monotonic()
        while True:
            try:
                found = self._events.get(timeout=0.05)
            except queue.Empty:
                if give_up():
                    return None
                now = time.monotonic()
                if not procfs.is_stopped(self.process.pid):
                    moved = now
                elif now - moved > STOPPED_TIMEOUT:
                    self.kill()
                    raise ForkUnsafe("a signal has stopped it") from None
                if now > deadline:
                    self.kill()
                    raise ForkUnsafe(f"it did not end within {wait:g} s", self._importing) from None
                continue
            if found["event"] == "importing":
                self._importing, deadline = found["module"], time.monotonic() + wait
            elif found["event"] == "dead":
                raise ForkUnsafe("its process died", self._importing if not self._killed else "")
            elif found["event"] == event and found.get("id", 0) == number:
                self._importing = ""
                return found
            elif "id" in found:
                self._unread_events[found["id"]] = found

    def _read_events(self) -> None:
        while (received := self._channel.receive()) is not None:
            self._events.put(received[0])
        kill_group(self.process.pid)
        kill_marked([self.process.mark])
        self.process.reap()
        self.alive = False
        self._events.put({"event": "dead"})
        self._channel.close()
        if not self._killed:
            self._on_death(self)
