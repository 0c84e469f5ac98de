"""All workers of a service: what serves, what replaces the dead, and the switch from one revision to the next."""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..ipc.failure import failure
from ..ipc.scoreboard import STUCK, Scoreboard
from ..log.service_log import ServiceLog
from ..settings import Settings
from ..system.json_file import read_json, write_json
from . import orphans, script_check, watchdog
from .generation import ORDER_WAIT, Deploy, Emit, Generation, Stopped, each, state_of
from .limits import Limits
from .respawn import Respawner
from .rollout import Deployments
from .spawn import Run
from .unavailable import UnavailableResponder
from .worker_process import Worker
from .zygote_pool import ZygotePool

LEARN_AFTER = (0.3, 2.0, 30.0)  # seconds: the first requests come first, and `run()` imports things, too

PAUSE_WAIT = 0.5  # seconds; nobody is accepted meanwhile, so one that hangs is not waited for longer

END_WAIT = 3.0  # seconds for one that does not listen any more to be gone; see `Worker._listen`


class Arbiter:
    """All workers of a service. Every public method may be called from any thread."""

    def __init__(self, folder: Path, listener: socket.socket, host: str, log: ServiceLog, in_main: Run) -> None:
        self.folder = folder
        self.listener = listener
        self.host = host
        self.log = log
        self.on_port: Callable[[], None] = lambda: None
        self._in_main = in_main
        self.board = Scoreboard()
        self.lock = threading.RLock()
        self.live: Generation | None = None
        self._all: set[Worker] = set()
        self._checked: set[Worker] = set()
        self._orphans: list[int] = []  # connections that no worker can take yet
        self.stopping = False
        self.deployments = Deployments(self)
        self.replacing = Respawner(self)
        self.nursery = ZygotePool(folder, log, in_main)
        self.nursery.on_change = self._record
        self._doorman = UnavailableResponder(lambda: self.listener)
        self._limits = Limits(log, self.replacing.recycle, Worker.answered)
        watchdog.start(self._serving, log)
        self._keys_turn = threading.Lock()

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def handle(self, op: str, request: dict[str, Any], emit: Emit) -> dict[str, Any]:
        if op == "status":
            return self.status()
        if op == "deploy":
            return self.deployments.deploy(request, emit)
        if op == "cancel":
            return self.deployments.cancel(request.get("deployment_id", ""))
        if op == "keys":
            return self.reread_keys()
        if op == "restart":
            return self.restart(emit)
        if op == "check":
            return script_check.check(self, request, emit)
        if op == "import":
            return self._import(request)
        return {"ok": False, "failure": failure("bad-request", "", f"no such op: {op}")}

    def _import(self, request: dict[str, Any]) -> dict[str, Any]:
        """Begins on the imports of a deployment to come. Nobody waits for them."""
        try:
            self.nursery.begin(Settings.from_dict(request.get("settings")))  # type: ignore[arg-type]
        except TypeError as error:
            return {"ok": False, "failure": failure("bad-request", "rollout", str(error))}
        return {"ok": True}

    def status(self) -> dict[str, Any]:
        with self.lock:
            live, workers = self.live, list(self._all)
            last = dict(self.deployments.last) if self.deployments.last else None
        return {
            "ok": True,
            "pid": os.getpid(),
            "port": self.port,
            "state": state_of(live),
            "revision": live.settings.revision if live else None,
            "deployment_id": live.deployment_id if live else None,
            "workers": [worker.describe() for worker in workers],
            "last_deploy": last,
            "failure": live.failure if live else None,
            "last_exit": self.replacing.last_exit,
            "settings": live.settings.to_dict() if live else None,
            "forking": self.nursery.describe(),
        }

    # -- the switch -------------------------------------------------------------------------------------

    def switch(self, new: Generation, new_port: bool, save: Callable[[], None]) -> None:
        """From here on the new workers answer. Nobody listening is disturbed; see `transport.py`.

        The old ones stop accepting first: for a moment new connections wait in the listener's queue, so that no
        client gets an answer of the new revision and then, on its next connection, one of the old. `save` writes
        down what serves (`prepare_live`).
        """
        before = self.live.workers if self.live and not new_port else []
        each(lambda worker: worker.ask("pause", PAUSE_WAIT), before)
        for number, worker in enumerate(new.workers):
            if worker.ask("accept", ORDER_WAIT) is None:
                each(lambda old: old.ask("accept", ORDER_WAIT), before)
                self.drain(new.workers[:number], new.settings.drain_timeout)  # they may have requests by now
                text = "a new worker was lost before it got traffic"
                raise Stopped(worker.complete(failure("worker-lost", "switch", text)))
        with self.lock:
            old, self.live = self.live, new
            old_listener = self.listener
            self.listener = new.listener
            new.was_live = True
            for worker in new.workers:
                worker.state = "live"
                worker.on_exit = self.replacing.on_exit
                worker.on_line = None
        save()
        if new_port:
            self._announce()
        self.deliver_orphans()
        self.drain(old.workers if old else [], old.settings.drain_timeout if old else 0)
        if new_port:
            old_listener.close()
        for worker in new.workers:  # one that died between its probe and here
            if worker.exited.is_set():
                self.replacing.on_exit(worker)

    def _announce(self) -> None:
        try:
            self.on_port()
        except OSError as error:
            self.log.write(f"the new port could not be written down: {error}")

    def drain(self, workers: list[Worker], timeout: float) -> None:
        """The workers stop accepting and hand over their idle connections before this returns.

        They end by themselves when the requests they have are answered, at the latest after `timeout` seconds.
        """
        for worker in workers:
            worker.state = "draining"
            worker.on_exit = self.forget

        def drain(worker: Worker) -> None:
            # One that is held up in C code cannot obey yet, but it has a request that may still be answered.
            if worker.ask("drain", max(ORDER_WAIT, timeout), timeout=timeout) is None:
                worker.kill()

        each(drain, workers)
        for worker in workers:
            timer = threading.Timer(timeout + 2, worker.kill)
            timer.daemon = True
            timer.start()

    def prepare_live(self, generation: Generation) -> Callable[[], None]:
        """Writes what will serve beside `live.json`, so that a full disk stops the switch before anything moved.

        The function that is returned puts it in place; that needs no space. Raises `Stopped`.
        """
        data = {
            "settings": generation.settings.to_dict(),
            "deployment_id": generation.deployment_id,
            "revision": generation.settings.revision,
            "port": int(generation.listener.getsockname()[1]),
        }
        prepared, final = self.folder / ".live.json.next", self.folder / "live.json"
        try:
            write_json(prepared, data)
        except OSError as error:
            text = f"the new revision cannot be written down: {error}"
            raise Stopped(failure("spawn-failed", "switch", text)) from error

        def save() -> None:
            try:
                prepared.replace(final)
            except OSError as error:  # it serves already: that is not undone for a file
                self.log.write(f"{final} could not be replaced: {error}")

        return save

    # -- workers ----------------------------------------------------------------------------------------

    def spawn(
        self,
        generation: Generation,
        events: queue.SimpleQueue[dict[str, Any]],
        emit: Emit,
        *,
        early: bool,
        fresh: bool = False,
        deploy: Deploy | None = None,
    ) -> Worker:
        """Starts a worker: forked where that can be done, in a new interpreter else or when it must be `fresh`.

        Raises `Stopped`.
        """
        born = None
        if not fresh:
            # Nobody waits for imports in the place of a worker that has died.
            born = self.nursery.take(
                generation.settings, lambda: self.stopping or bool(deploy and deploy.cancelled), not generation.was_live
            )
        worker = Worker(generation.settings, self.log, self.board)
        worker.events = events
        worker.on_exit = self.forget
        worker.on_message = self._on_message
        worker.on_line = lambda _, text: emit({"event": "log", "text": text})
        with self.lock:
            stopping = self.stopping or bool(deploy and deploy.cancelled)
            if not stopping:
                self._all.add(worker)
                self._doorman.absent.clear()
        if stopping:
            if born is not None:
                born.discard()
            text = "the service is stopping" if self.stopping else "cancelled"
            raise Stopped(failure("cancelled", "rollout", text))
        try:
            worker.spawn(generation.listener, keys=self._keys(), early=early, in_main=self._in_main, born=born)
        except OSError as error:
            self.forget(worker)
            text = f"{generation.settings.python or 'python'} could not be started: {error}"
            raise Stopped(failure("spawn-failed", "rollout", text)) from error
        with self._keys_turn:
            worker.tell("keys", keys=self._keys())  # they may have changed between reading and starting
        self._limits.watch(worker)
        self._record()
        return worker

    def _on_message(self, worker: Worker, message: dict[str, Any], fds: list[int]) -> None:
        if message["event"] == "handover":
            with self.lock:
                self._orphans += fds
            self.deliver_orphans()
        elif message["event"] == "stuck":
            self.board.service_fields[STUCK] += 1
            self.log.write(f"worker {worker.pid}: run() passed its deadline and did not end; replacing the worker")
            threading.Thread(target=self.replacing.stuck, args=(worker,), daemon=True).start()

    def deliver_orphans(self) -> None:
        """Gives connections that lost their worker to live ones, in turn."""
        with self.lock:
            takers = [w for w in self.live.workers if w.state == "live"] if self.live else []
            while takers and self._orphans:
                fd = self._orphans.pop()
                worker = takers[len(self._orphans) % len(takers)]
                if not worker.tell("adopt", (fd,)):
                    takers.remove(worker)
                    self._orphans.append(fd)
                    continue
                os.close(fd)

    def forget(self, worker: Worker) -> None:
        with self.lock:
            self._all.discard(worker)
            if not self._all and not self.stopping:
                self._doorman.absent.set()
        self._record()

    def _record(self) -> None:
        with self.lock:
            try:
                found = [(w.pid, w.mark) for w in (*self._all, *self._checked) if w.pid] + self.nursery.processes()
                orphans.record_processes(self.folder, [pid for pid, _ in found], [mark for _, mark in found])
            except OSError as error:  # a full disk is no reason to stop serving
                self.log.write(f"the workers cannot be written down: {error}")

    def _serving(self) -> list[Worker]:
        with self.lock:
            return list(self._all)

    def look_ahead(self, generation: Generation) -> None:
        """Learns what a worker that serves has loaded, and has the next fork ready. Nobody waits for it."""

        def learn() -> None:
            for pause in LEARN_AFTER:
                time.sleep(pause)
                worker = next((w for w in list(generation.workers) if w.state == "live"), None)
                answer = worker.ask("modules", ORDER_WAIT) if worker is not None else None
                if self.live is not generation or self.stopping:
                    return
                if answer is not None:
                    self.nursery.learn(generation.settings, answer["modules"])
                    self.nursery.prepare(generation.settings)

        threading.Thread(target=learn, daemon=True).start()

    def pids(self) -> set[int]:
        """The processes that somebody here waits for."""
        with self.lock:
            return {w.pid for w in (*self._all, *self._checked)} | {pid for pid, _ in self.nursery.processes()}

    @contextlib.contextmanager
    def checked(self, worker: Worker) -> Iterator[None]:
        """A process that runs a check: it is written down like the others, but it is no worker."""
        with self.lock:
            self._checked.add(worker)
        try:
            yield
        finally:
            with self.lock:
                self._checked.discard(worker)
            self._record()

    # -- the service as a whole -------------------------------------------------------------------------

    def resume(self, settings: Settings, deployment_id: str) -> None:
        """Brings a revision back that served before. Does not wait for it."""
        self.live = Generation(settings, deployment_id, self.listener)
        for _ in range(max(1, settings.workers)):
            threading.Thread(target=self.replacing.refill, args=(self.live, 0), daemon=True).start()

    def restart(self, emit: Emit) -> dict[str, Any]:
        """Replaces the live workers one by one. On a failure the rest keep serving."""
        with self.lock:
            workers = list(self.live.workers) if self.live else []
        for worker in workers:
            try:
                self.replacing.replace(worker)
            except Stopped as stopped:
                return {"ok": False, "failure": stopped.failure}
            emit({"event": "progress", "text": f"worker {worker.pid} replaced"})
        return {"ok": True, "restarted": len(workers)}

    def reread_keys(self) -> dict[str, Any]:
        """Every worker has the keys of `keys.json` when this returns."""
        missed: list[int] = []
        with self._keys_turn:  # else who read them earlier could send them later, over newer ones
            keys = self._keys()
            with self.lock:
                # One that is not started yet reads them itself; see `spawn`.
                workers = [w for w in self._all if w.pid and not w.exited.is_set()]
            each(lambda w: missed.append(w.pid) if w.ask("keys", ORDER_WAIT, keys=keys) is None else None, workers)
        # One that closed its channel is ending: it was not asked in vain, and is gone in a moment.
        missed = [w.pid for w in workers if w.pid in missed and not w.exited.wait(END_WAIT)]
        if missed:
            text = f"workers {missed} did not take the new keys"
            return {"ok": False, "failure": failure("worker-lost", "keys", text)}
        return {"ok": True, "workers": len(workers)}

    def _keys(self) -> dict[str, str]:
        return read_json(self.folder / "keys.json") or {}

    def stop(self, timeout: float) -> None:
        """Answers what is in hand, then ends every worker. Takes at most `timeout` seconds and a little."""
        with self.lock:
            self.stopping = True
            self.deployments.abandon()
        self.nursery.close()
        with self.lock:
            workers, self._orphans = list(self._all), []
        for worker in workers:
            worker.on_exit = self.forget
            if worker.state not in ("live", "draining"):
                worker.kill()
            else:
                worker.tell("stop", timeout=timeout)
        deadline = time.monotonic() + timeout + 1
        for worker in workers:
            if not worker.exited.wait(max(0.0, deadline - time.monotonic())):
                worker.kill()
                worker.exited.wait(5)
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # also for a process that was forked with it and got away
        except OSError:
            pass
        self.listener.close()
