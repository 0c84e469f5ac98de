"""A deployment: new workers are loaded beside what serves, probed, and then given the traffic."""

from __future__ import annotations

import errno
import socket
import time
from typing import TYPE_CHECKING, Any

from ..ipc.failure import failure
from ..settings import Settings
from ..system import listening_socket as listening
from ..system import procfs
from .generation import Deploy, Emit, Generation, Later, Stopped, nobody
from .probe import ProbeError, probe
from .startup import make_ready
from .worker_process import Worker

if TYPE_CHECKING:
    from .arbiter import Arbiter


class Deployments:
    """The deployments of a service: one at a time. `last` says what came of the last one."""

    def __init__(self, fleet: Arbiter) -> None:
        self.last: dict[str, Any] | None = None
        self._fleet = fleet
        self._lock = fleet.lock
        self._deploy: Deploy | None = None

    def abandon(self) -> None:
        """The service stops: what is not switched yet is cancelled."""
        with self._lock:
            if self._deploy is not None and not self._deploy.switching:
                self._deploy.cancelled = True
                self._deploy.events.put({"event": "cancel"})

    def deploy(self, request: dict[str, Any], emit: Emit) -> dict[str, Any]:
        """Loads `request["settings"]` beside what serves, probes it, switches. The client may go away."""
        try:
            settings = Settings.from_dict(request.get("settings"))  # type: ignore[arg-type]
        except TypeError as error:
            return {"ok": False, "failure": failure("bad-request", "rollout", str(error))}
        with self._lock:
            if self._deploy is not None or self._fleet.stopping:
                running = self._deploy.id if self._deploy else ""
                text = f"deployment {running} is running" if running else "the service is stopping"
                return {"ok": False, "failure": failure("busy", "rollout", text, deployment_id=running)}
            deploy = self._deploy = Deploy(request.get("deployment_id", ""), settings.revision)
            self.last = {
                "deployment_id": deploy.id,
                "revision": deploy.revision,
                "outcome": "running",
                "failure": None,
            }
        self._fleet.log.write(f"deployment {deploy.id}: revision {settings.label}")
        outcome, data, result = "failed", None, {}
        try:
            result = self._roll(settings, deploy, request.get("port"), emit)
            outcome = "live"
        except Stopped as stopped:
            data = stopped.failure
            outcome = "cancelled" if data["code"] == "cancelled" else "failed"
        finally:
            with self._lock:
                self.last = {**self.last, "outcome": outcome, "failure": data}
                self._deploy = None
            self._fleet.log.write(f"deployment {deploy.id}: {outcome}" + (f": {data['message']}" if data else ""))
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
        listener, new_port = self._fleet.listener, bool(port) and port != self._fleet.port
        generation = Generation(settings, deploy.id, listener)
        old = self._fleet.live
        try:
            stage.start("rollout")
            if new_port:
                generation.listener = listener = self._bind(port or 0)
            early = nobody(old)
            prepared = Later(lambda: self._fleet.prepare_live(generation))  # it waits for the disk
            for _ in range(max(1, settings.workers)):
                generation.workers.append(
                    self._fleet.spawn(generation, deploy.events, emit, early=early, deploy=deploy)
                )
            for number in range(len(generation.workers)):
                make_ready(self._fleet, generation, generation.workers[number], deploy, emit, early=early)
            if offer := generation.workers[0].ready.get("offer"):
                emit({"event": "progress", "text": offer})
            stage.start("probe")
            for worker in generation.workers:
                self._probe(worker, settings, deploy, emit)
            with self._lock:
                if deploy.cancelled:
                    raise Stopped(failure("cancelled", "probe", "cancelled"))
                deploy.switching = True
            stage.start("switch")
            self._fleet.switch(generation, new_port, prepared.result())
            stage.finish()
            self._fleet.look_ahead(generation)
        except Stopped as stopped:
            stage.fail()
            doomed = [worker for worker in generation.workers if worker.state != "draining"]
            for worker in doomed:
                worker.on_exit = self._fleet.forget
                worker.kill()
            for worker in doomed:
                worker.exited.wait(5)
            if new_port and listener is not self._fleet.listener:
                listener.close()
            raise stopped
        first = generation.workers[0].ready
        return {
            "port": self._fleet.port,
            "revision": settings.revision,
            "modules": first.get("modules", {}),
            "sample_scored": first.get("sample", False),
            "openapi_ok": first.get("openapi_ok", True),
            "warnings": first.get("warnings", []),
        }

    def _bind(self, port: int) -> socket.socket:
        try:
            return listening.open_listener(self._fleet.host, port)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            holder = procfs.find_port_holder(port) if taken else None
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
