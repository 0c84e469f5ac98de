"""A zygote (`zygote.py`) as its supervisor sees it: started, given names to import, asked for forks."""

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
from ..log.worker_output import read_output
from ..settings import Settings
from ..system.process_mark import kill_marked
from . import spawn
from .spawn import Run, SpawnedProcess

ONE_IMPORT = 60.0  # seconds for one module; the zygote does without a slower one

ANSWER = 10.0  # seconds for anything that is no import

Key = tuple[str, str, str]


class ForkUnsafe(Exception):
    """A zygote that must not be used; `module` is what spoilt it, if one did."""

    def __init__(self, reason: str, module: str = "") -> None:
        super().__init__(reason)
        self.module = module


class ZygoteProcess:
    """One process that forks. Raises `ForkUnsafe` from whatever it cannot do."""

    def __init__(
        self, key: Key, settings: Settings, log: ServiceLog, in_main: Run, on_death: Callable[[ZygoteProcess], None]
    ) -> None:
        self.key = key
        self.settings = settings
        self.asked: set[str] = set()
        self.modules = 0
        self.alive = True
        mark = os.urandom(8).hex()
        self.born = spawn.start("zygote", settings, mark, in_main)
        self._since = time.monotonic()
        self._channel = Channel(self.born.channel)
        self._events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._ids = itertools.count(1)
        self._imports: list[int] = []  # orders whose answers nobody has read yet
        self._kept: dict[int, dict[str, Any]] = {}
        self._greeted = False
        self._importing = ""
        self._killed = False
        self._on_death = on_death
        pid = self.born.pid
        reading = (self.born.output, mark, lambda text: entry.format_line(text, logger="imports", pid=pid), log.append)
        threading.Thread(target=read_output, args=reading, daemon=True).start()
        threading.Thread(target=self._listen, daemon=True).start()

    def begin(self, names: list[str]) -> None:
        """Has it import `names`, without waiting; `prepare` does."""
        if names:
            self._imports.append(self.send("import", modules=names))
            self.asked.update(names)

    def prepare(self, names: list[str], give_up: Callable[[], bool]) -> bool:
        """Has it import `names`, and waits for all it was asked. False when `give_up()` came first: it goes on."""
        self.begin(names)
        if not self._greeted:
            hello = self.await_("hello", 0, give_up, ONE_IMPORT)
            if hello is None:
                return False
            if hello["unsafe"]:
                raise ForkUnsafe(hello["unsafe"])
            self._greeted = True
        while self._imports:
            answer = self.await_("answer", self._imports[0], give_up, ONE_IMPORT)
            if answer is None:
                return False
            self._imports.pop(0)
            if answer["unsafe"]:
                raise ForkUnsafe(answer["unsafe"], answer["culprit"])
            self.modules = answer["modules"]
        return True

    def fork(self) -> SpawnedProcess:
        mark = os.urandom(8).hex()
        ours, theirs = socket.socketpair()
        read, write = os.pipe()
        try:
            number = self.send("fork", (theirs.fileno(), write), mark=mark)
            answer = self.await_("answer", number, lambda: False, ANSWER) or {}
        except ForkUnsafe:
            ours.close()
            os.close(read)
            raise
        finally:
            theirs.close()
            os.close(write)
        pid = answer.get("pid", 0)
        if not pid:
            ours.close()
            os.close(read)
            raise ForkUnsafe("a fork did not succeed")
        spawn.patient(ours)

        def reap() -> int:
            try:
                return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            except ChildProcessError:  # somebody was quicker
                return -int(signal.SIGKILL)

        return SpawnedProcess(pid, ours, read, reap, mark, forked=True)

    def may_return(self) -> bool:
        """One that dies young would only die again."""
        return time.monotonic() - self._since > 10

    def kill(self) -> None:
        self._killed = True
        if self.alive:
            spawn.end_group(self.born.pid)

    def send(self, op: str, fds: tuple[int, ...] = (), **args: Any) -> int:
        number = next(self._ids)
        try:
            self._channel.send({**args, "op": op, "id": number}, fds)
        except OSError as error:
            raise ForkUnsafe("it has died", self._importing) from error
        return number

    def await_(self, event: str, number: int, give_up: Callable[[], bool], wait: float) -> dict[str, Any] | None:
        """The event with this number; None when `give_up()` came first. What nobody waits for yet is kept."""
        if number in self._kept:
            return self._kept.pop(number)
        deadline = time.monotonic() + wait
        while True:
            try:
                found = self._events.get(timeout=0.05)
            except queue.Empty:
                if give_up():
                    return None
                if time.monotonic() > deadline:
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
                self._kept[found["id"]] = found

    def _listen(self) -> None:
        while (received := self._channel.receive()) is not None:
            self._events.put(received[0])
        self.kill() if self._killed else spawn.end_group(self.born.pid)
        kill_marked([self.born.mark])
        self.born.reap()
        self.alive = False
        self._events.put({"event": "dead"})
        self._channel.close()
        if not self._killed:
            self._on_death(self)
