"""Carries out a deployment: new workers load beside those that serve, are probed, and then get the traffic."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from ..ipc.failure import failure
from ..settings import Settings
from ..system import listening_socket
from ..system.background import run_in_background
from ..system.json_file import write_json
from ..system.port_holder import find_port_holder
from .generation import Aborted, Deployment, Emit, Generation
from .probe import ProbeError, find_last_request, probe, replay
from .startup import make_ready
from .worker_pool import WorkerPool
from .worker_process import WorkerProcess

NEXT_FILE = ".live.json.next"  # the future `live.json` of a deployment under way

REVOKED = 64  # cancelled deployments that are remembered; the request of one follows within moments or never

# Called with the new generation, whether it has a port of its own, and a function that records it in `live.json`.
Switch = Callable[[Generation, bool, Callable[[], None]], None]

# Called when the workers have been probed. Returns when they may have the traffic, with how they get it, or raises
# `Aborted`.
Hold = Callable[[Generation, Deployment], Switch]


class Rollouts:
    """The deployments of a service, one at a time. `last` is the outcome of the latest one, or that it is running."""

    def __init__(self, pool: WorkerPool, host: str, switch: Switch) -> None:
        self.last: dict[str, Any] | None = None
        self._pool = pool
        self._host = host
        self._switch = switch
        self._deployment: Deployment | None = None
        self._revoked: deque[str] = deque(maxlen=REVOKED)  # ids of deployments that were cancelled before they began
        self._lock = threading.Lock()

    def deploy(self, request: dict[str, Any], emit: Emit, hold: Hold | None = None) -> dict[str, Any]:
        """Loads, probes and switches to `request["settings"]`. Continues when the client disconnects.

        `hold` waits before the switch.
        """
        try:
            settings = Settings.from_dict(request.get("settings"))  # type: ignore[arg-type]
        except TypeError as error:
            return {"ok": False, "failure": failure("bad-request", "rollout", str(error))}
        with self._lock:
            if self._deployment is not None or self._pool.stopping:
                running = self._deployment.id if self._deployment else ""
                text = f"deployment {running} is running" if running else "the service is stopping"
                return {"ok": False, "failure": failure("busy", "rollout", text, deployment_id=running)}
            if request.get("deployment_id") in self._revoked:
                return {"ok": False, "failure": failure("cancelled", "rollout", "cancelled before it began")}
            deployment = self._deployment = Deployment(request.get("deployment_id", ""), settings.revision)
            facts = {"deployment_id": deployment.id, "revision": deployment.revision}
            self.last = {**facts, "outcome": "running", "failure": None}
        log = self._pool.log
        log.write(f"deployment {deployment.id}: revision {settings.label}")
        outcome, data, result = "failed", None, {}
        try:
            result = self._roll_out(settings, deployment, request, emit, hold)
            outcome = "live"
        except Aborted as aborted:
            data = aborted.failure
            outcome = "cancelled" if data["code"] == "cancelled" else "failed"
        finally:
            with self._lock:
                self.last = {**facts, "outcome": outcome, "failure": data}
                self._deployment = None
            log.write(f"deployment {deployment.id}: {outcome}" + (f": {data['message']}" if data else ""))
        return {"ok": False, "failure": data} if data else {"ok": True, **result}

    def cancel(self, deployment_id: str) -> dict[str, Any]:
        """Cancels the running deployment, unless its switch has begun. An empty id stands for any.

        One that is not running will not begin later: its request may be on the way, from a client that has died since.
        """
        with self._lock:
            deployment = self._deployment
            if deployment is None or (deployment_id and deployment.id != deployment_id):
                if deployment_id:
                    self._revoked.append(deployment_id)
                return {"ok": False, "failure": failure("not-running", "", "no such deployment is running")}
            if deployment.switching:
                return {"ok": False, "failure": failure("too-late", "switch", "traffic is being switched already")}
            _cancel(deployment)
        return {"ok": True}

    def abandon(self) -> None:
        """Cancels the running deployment, unless its switch has begun, because the service stops."""
        with self._lock:
            if self._deployment is not None and not self._deployment.switching:
                _cancel(self._deployment)

    def _roll_out(
        self, settings: Settings, deployment: Deployment, request: dict[str, Any], emit: Emit, hold: Hold | None
    ) -> dict[str, Any]:
        pool, stages, port = self._pool, _Stages(emit), request.get("port")
        last = find_last_request(pool.live.workers) if request.get("replay") and pool.live is not None else None
        listener, new_port = pool.listener, bool(port) and port != pool.port
        generation = Generation(settings, deployment.id, listener)
        prepared: Callable[[], Callable[[], None]] | None = None
        try:
            stages.start("rollout")
            if new_port:
                generation.listener = listener = self._bind(port or 0)
            # Waits for the disk while workers load.
            prepared = run_in_background(lambda: self._prepare_live_file(generation))
            self._start_workers(generation, deployment, emit)
            stages.start("probe")
            for worker in generation.workers:
                self._probe(worker, deployment, emit)
            if request.get("replay"):
                self._replay(generation.workers[0], last, emit)
            switch = self._switch
            if hold is not None:
                stages.finish()
                switch = hold(generation, deployment)
            with self._lock:
                if deployment.cancelled:
                    raise Aborted(failure("cancelled", "probe", "cancelled"))
                deployment.switching = True
            stages.start("switch")
            switch(generation, new_port, prepared())
            stages.finish()
            pool.learn_modules(generation)
        except Aborted:
            stages.fail()
            doomed = [worker for worker in generation.workers if worker.state != "draining"]
            for worker in doomed:
                worker.on_exit = pool.remove
                worker.kill()
            for worker in doomed:
                worker.exited.wait(5)
            if new_port and listener is not pool.listener:
                listener.close()
            if prepared is not None:
                self._remove_prepared_file(prepared)
            raise
        first = generation.workers[0].ready
        return {
            "port": pool.port,
            "revision": settings.revision,
            "modules": first.get("modules", {}),
            "sample_scored": first.get("sample", False),
            "replayed": last is not None and bool(request.get("replay")),
            "openapi_ok": first.get("openapi_ok", True),
            "warnings": first.get("warnings", []),
        }

    def _bind(self, port: int) -> socket.socket:
        try:
            return listening_socket.open_listener(self._host, port)
        except OSError as error:
            raise Aborted(bind_failure(port, error)) from error

    def _start_workers(self, generation: Generation, deployment: Deployment, emit: Emit) -> None:
        pool, settings, workers = self._pool, generation.settings, generation.workers
        answer_early = not pool.standby and (pool.live is None or not pool.live.is_serving)
        for _ in range(max(1, settings.workers)):
            workers.append(
                pool.spawn(generation, deployment.events, emit, answer_early=answer_early, deployment=deployment)
            )
        for number in range(len(workers)):
            # Not a loop over `workers`: one that fails may be replaced in the list.
            make_ready(pool, generation, workers[number], deployment, emit, answer_early=answer_early)
        if offer := workers[0].ready.get("offer"):
            emit({"event": "progress", "text": offer})

    def _probe(self, worker: WorkerProcess, deployment: Deployment, emit: Emit) -> None:
        settings, body = worker.settings, worker.ready.get("sample_body")
        limit = _probe_limit(settings)
        for _ in range(max(1, settings.probes)):
            if deployment.cancelled:
                raise Aborted(failure("cancelled", "probe", "cancelled"))
            try:
                probe(worker, body, timeout=limit, sample_headers=settings.sample_headers)
            except ProbeError as error:
                if worker.exited.wait(0.2):
                    raise Aborted(worker.exit_failure()) from error
                data = failure("probe-failed", "probe", str(error), response=error.response)
                raise Aborted(worker.complete_failure(data)) from error
        emit({"event": "sample", "scored": body is not None})

    def _replay(self, worker: WorkerProcess, request: dict[str, Any] | None, emit: Emit) -> None:
        """Scores the last request of the live revision, which is a sample where the script has none."""
        if request is None:
            emit({"event": "progress", "text": "no request to score: the live revision has kept none"})
            return
        began = time.monotonic()
        try:
            status = replay(worker, request, _probe_limit(worker.settings))
        except ProbeError as error:
            if worker.exited.wait(0.2):
                raise Aborted(worker.exit_failure()) from error
            raised = error.response.pop("failure", {}) if isinstance(error.response, dict) else {}
            data = {**raised, **failure("replay-failed", "probe", str(error), response=error.response)}
            raise Aborted(worker.complete_failure(data)) from error
        seconds = time.monotonic() - began
        emit({"event": "progress", "text": f"the last request was answered with {status} in {seconds * 1000:.0f} ms"})

    def _prepare_live_file(self, generation: Generation) -> Callable[[], None]:
        """Writes the future `live.json` under another name, so that a full disk aborts before the switch begins.

        The function that is returned puts the file in place, which needs no space. Raises `Aborted`.
        """
        data = {
            "settings": generation.settings.to_dict(),
            "deployment_id": generation.deployment_id,
            "revision": generation.settings.revision,
            "port": int(generation.listener.getsockname()[1]),
        }
        next_file, final = self._pool.folder / NEXT_FILE, self._pool.folder / "live.json"
        try:
            write_json(next_file, data)
        except OSError as error:
            text = f"the new revision cannot be recorded: {error}"
            raise Aborted(failure("spawn-failed", "switch", text)) from error

        def save() -> None:
            try:
                next_file.replace(final)
            except OSError as error:  # the switch has happened; failing to record it must not undo it
                self._pool.log.write(f"{final} could not be replaced: {error}")

        return save

    def _remove_prepared_file(self, prepared: Callable[[], Callable[[], None]]) -> None:
        """Removes the future `live.json` of a deployment that failed, once it is written."""
        with contextlib.suppress(Aborted):
            prepared()
        with contextlib.suppress(OSError):
            (self._pool.folder / NEXT_FILE).unlink(missing_ok=True)


def _probe_limit(settings: Settings) -> float:
    """Seconds that one probe may take."""
    return settings.scoring_timeout_ms / 1000 + 5 if settings.scoring_timeout_ms else settings.init_timeout


def bind_failure(port: int, error: OSError) -> dict[str, Any]:
    """The failure of a port that cannot be listened on, with the process that holds it."""
    taken = error.errno == errno.EADDRINUSE
    holder = find_port_holder(port) if taken else None
    text = f"port {port}: {error.strerror}"
    return failure("port-in-use" if taken else "spawn-failed", "rollout", text, port=port, holder=holder)


def _cancel(deployment: Deployment) -> None:
    deployment.cancelled = True
    deployment.events.put({"event": "cancel"})  # wakes up the thread that waits for a worker


class _Stages:
    """Emits which stage of a deployment runs, and how many seconds each took."""

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
