"""What serves, what is being made ready beside it, and the switch from one to the other."""

from __future__ import annotations

import errno
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import leftovers
from . import listener as listening
from .doorman import Doorman
from .failure import failure
from .files import read_json, write_json
from .logs import ServiceLog
from .probe import ProbeError, probe
from .settings import Settings
from .workers import Run, Worker

Emit = Callable[[dict[str, Any]], None]

PROGRESS_EVERY = 5.0  # seconds between two lines about a slow init()
STACK_WAIT = 1.0  # seconds for a worker to say where its init() hangs
FIRST_BACKOFF, LAST_BACKOFF = 0.1, 5.0  # seconds between two starts of a worker that keeps dying
ORDER_WAIT = 10.0  # seconds for a worker to obey


@dataclass
class Generation:
    """The workers of one revision, on one listening socket."""

    settings: Settings
    deployment_id: str
    listener: socket.socket
    workers: list[Worker] = field(default_factory=list)
    was_live: bool = False  # a worker was ready at least once
    failure: dict[str, Any] | None = None  # why the last worker died before it was ready


@dataclass
class Deploy:
    """A deployment that runs. `cancelled` may be set until `switching` is."""

    id: str
    revision: int
    events: queue.SimpleQueue[dict[str, Any]] = field(default_factory=queue.SimpleQueue)
    cancelled: bool = False
    switching: bool = False


class Stopped(Exception):
    """A deployment or a start that ends here; carries the failure."""

    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__(data["message"])
        self.failure = data


class Fleet:
    """All workers of a service. Every public method may be called from any thread."""

    def __init__(self, folder: Path, listener: socket.socket, host: str, log: ServiceLog, in_main: Run) -> None:
        self.folder = folder
        self.listener = listener
        self.host = host
        self.log = log
        self.on_port: Callable[[], None] = lambda: None
        self._in_main = in_main
        self._lock = threading.RLock()
        self._live: Generation | None = None
        self._deploy: Deploy | None = None
        self._last: dict[str, Any] | None = None
        self._all: set[Worker] = set()
        self._orphans: list[int] = []  # connections that no worker can take yet
        self._stopping = False
        self._doorman = Doorman(lambda: self.listener)

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def handle(self, op: str, request: dict[str, Any], emit: Emit) -> dict[str, Any]:
        if op == "status":
            return self.status()
        if op == "deploy":
            return self.deploy(request, emit)
        if op == "cancel":
            return self.cancel(request.get("deployment_id", ""))
        if op == "keys":
            return self.reread_keys()
        if op == "restart":
            return self.restart(emit)
        return {"ok": False, "failure": failure("bad-request", "", f"no such op: {op}")}

    def status(self) -> dict[str, Any]:
        with self._lock:
            live, workers = self._live, list(self._all)
            last = dict(self._last) if self._last else None
        return {
            "ok": True,
            "pid": os.getpid(),
            "port": self.port,
            "state": _state_of(live),
            "revision": live.settings.revision if live else None,
            "deployment_id": live.deployment_id if live else None,
            "workers": [worker.describe() for worker in workers],
            "last_deploy": last,
            "failure": live.failure if live else None,
            "settings": live.settings.to_dict() if live else None,
        }

    # -- deployments ------------------------------------------------------------------------------------

    def deploy(self, request: dict[str, Any], emit: Emit) -> dict[str, Any]:
        """Loads `request["settings"]` beside what serves, probes it, switches. The client may go away."""
        try:
            settings = Settings.from_dict(request["settings"])
        except (KeyError, TypeError) as error:
            return {"ok": False, "failure": failure("bad-request", "rollout", f"settings: {error}")}
        with self._lock:
            if self._deploy is not None or self._stopping:
                running = self._deploy.id if self._deploy else ""
                text = f"deployment {running} is running" if running else "the service is stopping"
                return {"ok": False, "failure": failure("busy", "rollout", text, deployment_id=running)}
            deploy = self._deploy = Deploy(request.get("deployment_id", ""), settings.revision)
            self._last = {
                "deployment_id": deploy.id,
                "revision": deploy.revision,
                "outcome": "running",
                "failure": None,
            }
        self.log.write(f"deployment {deploy.id}: revision {settings.label}")
        outcome, data, result = "failed", None, {}
        try:
            result = self._roll(settings, deploy, request.get("port"), emit)
            outcome = "live"
        except Stopped as stopped:
            data = stopped.failure
            outcome = "cancelled" if data["code"] == "cancelled" else "failed"
        finally:
            with self._lock:
                self._last = {**self._last, "outcome": outcome, "failure": data}
                self._deploy = None
            self.log.write(f"deployment {deploy.id}: {outcome}" + (f": {data['message']}" if data else ""))
        return {"ok": False, "failure": data} if data else {"ok": True, **result}

    def cancel(self, deployment_id: str) -> dict[str, Any]:
        with self._lock:
            deploy = self._deploy
            if deploy is None or (deployment_id and deploy.id != deployment_id):
                return {"ok": False, "failure": failure("not-running", "", "no such deployment is running")}
            if deploy.switching:
                return {"ok": False, "failure": failure("too-late", "switch", "traffic is being switched already")}
            deploy.cancelled = True
            deploy.events.put({"event": "cancel"})
        return {"ok": True}

    def _roll(self, settings: Settings, deploy: Deploy, port: int | None, emit: Emit) -> dict[str, Any]:
        stage = _Stages(emit)
        listener, new_port = self.listener, bool(port) and port != self.port
        generation = Generation(settings, deploy.id, listener)
        old = self._live
        try:
            stage.start("rollout")
            if new_port:
                generation.listener = listener = self._bind(port or 0)
            for _ in range(max(1, settings.workers)):
                generation.workers.append(self._spawn(generation, deploy.events, emit, early=_nobody(old)))
            for worker in generation.workers:
                self._await_ready(worker, settings, deploy, emit)
            stage.start("probe")
            for worker in generation.workers:
                self._probe(worker, settings, deploy, emit)
            with self._lock:
                if deploy.cancelled:
                    raise Stopped(failure("cancelled", "probe", "cancelled"))
                deploy.switching = True
            stage.start("switch")
            self._switch(generation, new_port)
            stage.finish()
        except Stopped as stopped:
            stage.fail()
            for worker in generation.workers:
                worker.on_exit = self._forget
                worker.kill()
            for worker in generation.workers:
                worker.exited.wait(5)
            if new_port and listener is not self.listener:
                listener.close()
            raise stopped
        first = generation.workers[0].ready
        return {
            "port": self.port,
            "revision": settings.revision,
            "modules": first.get("modules", {}),
            "sample_scored": first.get("sample", False),
            "openapi_ok": first.get("openapi_ok", True),
            "warnings": first.get("warnings", []),
        }

    def _bind(self, port: int) -> socket.socket:
        try:
            return listening.listen(self.host, port)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            holder = listening.holder_of(port) if taken else None
            text = f"port {port}: {error.strerror}"
            code = "port-in-use" if taken else "spawn-failed"
            raise Stopped(failure(code, "rollout", text, port=port, holder=holder)) from error

    def _probe(self, worker: Worker, settings: Settings, deploy: Deploy, emit: Emit) -> None:
        body = worker.ready.get("sample_body")
        limit = settings.scoring_timeout_ms / 1000 + 5 if settings.scoring_timeout_ms else settings.init_timeout
        for _ in range(max(1, settings.probes)):
            if deploy.cancelled:
                raise Stopped(failure("cancelled", "probe", "cancelled"))
            try:
                probe(worker, body, timeout=limit)
            except ProbeError as error:
                if worker.exited.wait(0.2):
                    raise Stopped(worker.failure_of_exit()) from error
                data = failure("probe-failed", "probe", str(error), response=error.response)
                raise Stopped(worker.complete(data)) from error
        emit({"event": "sample", "scored": body is not None})

    def _switch(self, new: Generation, new_port: bool) -> None:
        """From here on the new workers answer. Nobody listening is disturbed; see `transport.py`."""
        for worker in new.workers:
            if worker.ask("accept", ORDER_WAIT) is None:
                text = "a new worker was lost before it got traffic"
                raise Stopped(worker.complete(failure("worker-lost", "switch", text)))
        with self._lock:
            old, self._live = self._live, new
            old_listener = self.listener
            self.listener = new.listener
            new.was_live = True
            for worker in new.workers:
                worker.state = "live"
                worker.on_exit = self._on_exit
                worker.on_line = lambda *_: None
        self._save_live(new)
        if new_port:
            self.on_port()
        self._deliver_orphans()
        self._drain(old.workers if old else [], old.settings.drain_timeout if old else 0)
        if new_port:
            old_listener.close()
        for worker in new.workers:  # one that died between its probe and here
            if worker.exited.is_set():
                self._on_exit(worker)

    def _drain(self, workers: list[Worker], timeout: float) -> None:
        """The workers stop accepting and hand over their idle connections before this returns.

        They end by themselves when the requests they have are answered, at the latest after `timeout` seconds.
        """
        for worker in workers:
            worker.state = "draining"
            worker.on_exit = self._forget

        def drain(worker: Worker) -> None:
            if worker.ask("drain", ORDER_WAIT, timeout=timeout) is None:
                worker.kill()

        _each(drain, workers)
        for worker in workers:
            timer = threading.Timer(timeout + 2, worker.kill)
            timer.daemon = True
            timer.start()

    def _save_live(self, generation: Generation) -> None:
        data = {
            "settings": generation.settings.to_dict(),
            "deployment_id": generation.deployment_id,
            "revision": generation.settings.revision,
            "port": self.port,
        }
        write_json(self.folder / "live.json", data)

    # -- workers ----------------------------------------------------------------------------------------

    def _spawn(
        self, generation: Generation, events: queue.SimpleQueue[dict[str, Any]], emit: Emit, *, early: bool
    ) -> Worker:
        worker = Worker(generation.settings, self.log)
        worker.events = events
        worker.on_exit = self._forget
        worker.on_message = self._on_message
        worker.on_line = lambda _, text: emit({"event": "log", "text": text})
        with self._lock:
            if self._stopping:
                raise Stopped(failure("cancelled", "rollout", "the service is stopping"))
            self._all.add(worker)
            self._doorman.absent.clear()
        try:
            worker.spawn(generation.listener, keys=self._keys(), early=early, in_main=self._in_main)
        except OSError as error:
            self._forget(worker)
            text = f"{generation.settings.python or 'python'} could not be started: {error}"
            raise Stopped(failure("spawn-failed", "rollout", text)) from error
        self._record()
        return worker

    def _await_ready(self, worker: Worker, settings: Settings, deploy: Deploy | None, emit: Emit) -> None:
        """Returns when the worker is ready; raises `Stopped` with the failure of whatever came instead."""
        next_progress = PROGRESS_EVERY
        while not worker.ready:
            now = time.monotonic()
            if deploy is not None and deploy.cancelled:
                raise Stopped(failure("cancelled", worker.stage, "cancelled"))
            running = now - worker.stage_since
            if now - worker.born > settings.init_timeout:
                raise Stopped(self._hung(worker, settings))
            if worker.stage == "init" and running > next_progress:
                emit({"event": "progress", "text": f"init() has run for {running:.0f} s"})
                next_progress += PROGRESS_EVERY
            left = settings.init_timeout - (now - worker.born)
            try:
                event = worker.events.get(timeout=max(0.01, min(left, 0.5)))
            except queue.Empty:
                continue
            if event["event"] == "failed":
                raise Stopped(event["worker"].complete(event["failure"]))
            if event["event"] == "exit":
                raise Stopped(event["worker"].failure_of_exit())
        if worker.exited.is_set():
            raise Stopped(worker.failure_of_exit())
        worker.state = "ready"

    def _hung(self, worker: Worker, settings: Settings) -> dict[str, Any]:
        answer = worker.ask("stack", STACK_WAIT)
        frames = answer["frames"] if answer else []
        if not answer:  # held up in C code: its fault handler writes the stack to the log
            worker.signal(signal.SIGUSR2)
            time.sleep(0.2)
        stage = worker.stage
        text = f"{stage if stage != 'init' else 'init()'} did not end within {settings.init_timeout:g} s"
        return worker.complete(failure("init-timeout", stage, text, frames=frames))

    def _on_message(self, worker: Worker, message: dict[str, Any], fds: list[int]) -> None:
        if message["event"] == "handover":
            with self._lock:
                self._orphans += fds
            self._deliver_orphans()
        elif message["event"] == "stuck":
            self.log.write(f"worker {worker.pid}: run() passed its deadline and did not end; replacing the worker")
            threading.Thread(target=self._replace_stuck, args=(worker,), daemon=True).start()

    def _deliver_orphans(self) -> None:
        """Gives connections that lost their worker to live ones, in turn."""
        with self._lock:
            takers = [w for w in self._live.workers if w.state == "live"] if self._live else []
            while takers and self._orphans:
                fd = self._orphans.pop()
                worker = takers[len(self._orphans) % len(takers)]
                if not worker.tell("adopt", (fd,)):
                    takers.remove(worker)
                    self._orphans.append(fd)
                    continue
                os.close(fd)

    def _on_exit(self, worker: Worker) -> None:
        """A worker that served has died: start another at once."""
        with self._lock:
            self._forget(worker)
            live = self._live
            if live is None or worker not in live.workers or self._stopping:
                return
            live.workers.remove(worker)
        self.log.write(f"worker {worker.pid}: {worker.failure_of_exit()['message']}; starting another")
        self._refill(live, worker.restarts + 1)

    def _forget(self, worker: Worker) -> None:
        with self._lock:
            self._all.discard(worker)
            if not self._all and not self._stopping:
                self._doorman.absent.set()
        self._record()

    def _record(self) -> None:
        with self._lock:
            try:
                leftovers.record(self.folder, [worker.pid for worker in self._all if worker.pid])
            except OSError as error:  # a full disk is no reason to stop serving
                self.log.write(f"the workers cannot be written down: {error}")

    def _refill(self, generation: Generation, restarts: int) -> None:
        """Starts workers until one is ready, with growing pauses while they keep dying."""
        pause = FIRST_BACKOFF
        while not self._stopping and self._live is generation:
            try:
                worker = self._start_one(generation, restarts)
            except Stopped as stopped:
                generation.failure = stopped.failure
                self.log.write(f"a worker could not start: {stopped.failure['message']}")
                time.sleep(pause)
                pause = min(pause * 2, LAST_BACKOFF)
                restarts += 1
                continue
            with self._lock:
                if self._live is generation and not self._stopping:
                    generation.workers.append(worker)
                    generation.was_live, generation.failure = True, None
                    worker.state, worker.on_exit = "live", self._on_exit
                else:
                    worker.kill()
                    return
            self._deliver_orphans()
            if worker.exited.is_set():
                self._on_exit(worker)
            return

    def _start_one(self, generation: Generation, restarts: int = 0) -> Worker:
        worker = self._spawn(generation, queue.SimpleQueue(), lambda _: None, early=_nobody(generation))
        worker.restarts = restarts
        try:
            self._await_ready(worker, generation.settings, None, lambda _: None)
            if worker.ask("accept", ORDER_WAIT) is None:
                raise Stopped(worker.complete(failure("worker-lost", "switch", "a new worker was lost")))
        except Stopped:
            worker.kill()
            raise
        return worker

    def _replace(self, worker: Worker) -> None:
        """A new worker takes the place of one that lives; raises `Stopped` when it cannot start."""
        with self._lock:
            generation = self._live
            if generation is None or worker not in generation.workers:
                return
        fresh = self._start_one(generation, worker.restarts + 1)
        with self._lock:
            if self._live is not generation or worker not in generation.workers:
                fresh.kill()
                return
            generation.workers[generation.workers.index(worker)] = fresh
            fresh.state, fresh.on_exit = "live", self._on_exit
        self._deliver_orphans()
        self._drain([worker], generation.settings.drain_timeout)

    def _replace_stuck(self, worker: Worker) -> None:
        try:
            self._replace(worker)
        except Stopped as stopped:
            self.log.write(f"worker {worker.pid} cannot be replaced: {stopped.failure['message']}; ending it")
            worker.kill()  # the refill then tries until it works

    # -- the service as a whole -------------------------------------------------------------------------

    def resume(self, settings: Settings, deployment_id: str) -> None:
        """Brings a revision back that served before. Does not wait for it."""
        self._live = Generation(settings, deployment_id, self.listener)
        for _ in range(max(1, settings.workers)):
            threading.Thread(target=self._refill, args=(self._live, 0), daemon=True).start()

    def restart(self, emit: Emit) -> dict[str, Any]:
        """Replaces the live workers one by one. On a failure the rest keep serving."""
        with self._lock:
            workers = list(self._live.workers) if self._live else []
        for worker in workers:
            try:
                self._replace(worker)
            except Stopped as stopped:
                return {"ok": False, "failure": stopped.failure}
            emit({"event": "progress", "text": f"worker {worker.pid} replaced"})
        return {"ok": True, "restarted": len(workers)}

    def reread_keys(self) -> dict[str, Any]:
        """Every worker has the keys of `keys.json` when this returns."""
        keys = self._keys()
        with self._lock:
            workers = [w for w in self._all if not w.exited.is_set()]
        missed: list[int] = []
        _each(lambda w: missed.append(w.pid) if w.ask("keys", ORDER_WAIT, keys=keys) is None else None, workers)
        missed = [w.pid for w in workers if w.pid in missed and not w.exited.is_set()]
        if missed:
            text = f"workers {missed} did not take the new keys"
            return {"ok": False, "failure": failure("worker-lost", "keys", text)}
        return {"ok": True, "workers": len(workers)}

    def _keys(self) -> dict[str, str]:
        return read_json(self.folder / "keys.json") or {}

    def stop(self, timeout: float) -> None:
        """Answers what is in hand, then ends every worker. Takes at most `timeout` seconds and a little."""
        with self._lock:
            self._stopping = True
            if self._deploy is not None and not self._deploy.switching:
                self._deploy.cancelled = True
                self._deploy.events.put({"event": "cancel"})
            workers, self._orphans = list(self._all), []
        for worker in workers:
            worker.on_exit = self._forget
            if worker.state not in ("live", "draining"):
                worker.kill()
            else:
                worker.tell("stop", timeout=timeout)
        deadline = time.monotonic() + timeout + 1
        for worker in workers:
            if not worker.exited.wait(max(0.0, deadline - time.monotonic())):
                worker.kill()
                worker.exited.wait(5)
        self.listener.close()


class _Stages:
    """Says which stage of a deployment runs, and how long each took."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._name = ""
        self._began = 0.0

    def start(self, name: str) -> None:
        self.finish()
        self._name, self._began = name, time.monotonic()
        self._emit({"event": "stage", "stage": name, "kind": "started"})

    def finish(self, kind: str = "finished") -> None:
        if self._name:
            seconds = round(time.monotonic() - self._began, 3)
            self._emit({"event": "stage", "stage": self._name, "kind": kind, "seconds": seconds})
            self._name = ""

    def fail(self) -> None:
        self.finish("failed")


def _nobody(generation: Generation | None) -> bool:
    """Whether no worker answers requests."""
    return generation is None or not any(worker.state == "live" for worker in generation.workers)


def _state_of(live: Generation | None) -> str:
    if live is None:
        return "Empty"
    if any(worker.state == "live" for worker in live.workers):
        return "Live"
    return "Unhealthy" if live.was_live or live.failure else "Starting"


def _each(task: Callable[[Worker], Any], workers: list[Worker]) -> None:
    threads = [threading.Thread(target=task, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
