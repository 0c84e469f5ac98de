"""The target `docker`; see `targets.base.Target` for the methods."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mldeploy_jupyter.core.errors import WebserviceException
from mldeploy_jupyter.core.keys import are_confirmed, confirm_keys, ensure_keys
from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.docker_engine import EngineError, open_engine
from mldeploy_jupyter.docker_engine.engine import REQUEST_SECONDS
from mldeploy_jupyter.targets import refusals
from mldeploy_jupyter.targets.base import (
    Action,
    Cancel,
    Capabilities,
    Emit,
    Endpoint,
    Finding,
    LogLine,
    Plan,
    ServiceStatus,
    Strategy,
    TargetContext,
    TargetFailure,
)
from mldeploy_jupyter.targets.docker import control, names
from mldeploy_jupyter.targets.docker.collector import AWAY_SECONDS, LogCollector
from mldeploy_jupyter.targets.docker.containers import ServiceContainers, list_containers
from mldeploy_jupyter.targets.docker.discovery import describe_service
from mldeploy_jupyter.targets.docker.exit_reason import GONE, describe_end
from mldeploy_jupyter.targets.docker.layout import Layout, read_layout
from mldeploy_jupyter.targets.docker.live_record import LiveRecord, read_record, remove_record, write_record
from mldeploy_jupyter.targets.docker.log import CollectedLog, StillRunning, collect, follow_log
from mldeploy_jupyter.targets.docker.names import ServiceContainer
from mldeploy_jupyter.targets.docker.rollout import Rollout, find_holder
from mldeploy_jupyter.targets.docker.status import endpoint_of, is_ready, read_status
from mldeploy_jupyter.targets.docker.update_in_place import update_in_place
from mldeploy_jupyter.targets.ports import HOST

if TYPE_CHECKING:
    from mldeploy_jupyter.docker_engine import Engine

START_SECONDS = 20.0  # for a container to start, in addition to the limit of its init()


class DockerTarget:
    """A service in containers on this machine's engine."""

    capabilities = Capabilities(stop=True, needs_image=True)

    def __init__(
        self,
        context: TargetContext,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], Any] = time.sleep,
    ) -> None:
        self._context = context
        self._clock = clock
        self._wait = wait
        self._engines: dict[float, Engine] = {}

    def check(self, plan: Plan) -> list[Finding]:
        engine = self._open_engine("check")
        if not engine.endpoint.is_local:
            message = "the engine is on another machine"
            raise TargetFailure({"code": "engine-remote", "message": message, "endpoint": engine.endpoint.url}, "check")
        findings = [Finding("warning", f"runs on {engine.describe()}")] if engine.kind == "podman" else []
        with _engine_failures("check"):
            containers = self._on(engine, plan.service.name)
            port = plan.config.get("port") or 0
            own = {container.port for container in containers.find()}
            found = find_holder(containers, port) if port and port not in own else {}
        holder = found.get("holder") or {}
        if holder.get("service"):
            return [refusals.port_in_use(port, holder["service"])]
        if found and not self._is_own_process_port(plan, port):
            raise TargetFailure({"code": "port-in-use", "stage": "check", "port": port, **found}, "check")
        return findings

    def apply(self, plan: Plan, strategy: Strategy, emit: Emit, cancel: Cancel) -> Endpoint:
        emit("rollout", "started")
        engine = self._open_engine("rollout")
        folder = self._folder(plan.service.name)
        containers = self._on(engine, plan.service.name)
        keys_path = folder / "keys.json"
        given_keys = (plan.secrets.get("primary_key"), plan.secrets.get("secondary_key"))
        with _engine_failures("rollout"):
            layout = read_layout(containers, read_record(folder))
            for container in layout.others:
                containers.remove(container)
            layout = replace(layout, others=[])
            is_running = layout.serving is not None and layout.serving.is_running
            ensure_keys(keys_path, *(() if is_running else given_keys), make_folder=True)
            rollout = Rollout(
                containers,
                folder,
                plan,
                strategy,
                emit,
                cancel,
                lambda: collect(self._collector(plan.service)),
                self._wait,
            )
            serving = layout.serving
            if not plan.image:
                container, answer = update_in_place(rollout, layout)
            elif serving is not None and self._has_switched(layout, plan):
                container, answer = serving, self._adopt(containers, serving, emit)
                rollout.retire(layout.retired)
            else:
                containers.inspect_image(plan.image)
                containers.ensure_volume()
                container, answer = rollout.run(layout, keys_path.read_bytes())
            if any(given_keys) or (container is serving and not are_confirmed(keys_path)):
                # New keys take effect with the new revision.
                ensure_keys(keys_path, *given_keys)
                self._send_keys(containers, container, keys_path)
            confirm_keys(keys_path)
        details: dict[str, Any] = {k: answer[k] for k in ("modules", "sample_scored", "warnings") if k in answer}
        return endpoint_of(container, engine, **details)

    def control(self, service: ServiceRecord, action: Action, emit: Emit) -> None:
        with _engine_failures():
            containers = self._containers(service)
            layout = read_layout(containers, read_record(self._folder(service.name)))
            serving = layout.serving
            if action == "stop":
                self._stop(containers, layout)
                collect(self._collector(service))
            elif action == "regen_keys":
                if serving is not None:
                    self._send_keys(containers, serving, self._folder(service.name) / "keys.json")
                confirm_keys(self._folder(service.name) / "keys.json")
            elif serving is None:
                raise refusals.cannot_start(service, "its container was removed outside of mldeploy")
            elif action == "start":
                self._start(containers, layout, service)
            elif action == "restart":
                if not serving.is_running:
                    raise refusals.not_running(service, "its container was stopped or ended")
                refusals.require_ok(service, self._call(containers, serving, "restart"))

    def status(self, service: ServiceRecord) -> ServiceStatus:
        folder = self._folder(service.name)
        record = read_record(folder)
        try:
            containers = self._containers(service, AWAY_SECONDS)
            layout = read_layout(containers, record)
            serving = layout.serving
            if serving is None:
                if record.container:
                    return ServiceStatus("Unhealthy", record.revision, record.deployment_id, failure=GONE)
                return ServiceStatus("Absent" if layout.is_empty else "Failed")
            self._remember(folder, layout, containers.engine)
            return read_status(containers, layout, serving)
        except EngineError as error:
            if not record.engine and not service.revision:
                return ServiceStatus("Absent")
            return ServiceStatus("Unhealthy", record.revision, record.deployment_id, failure=error.failure)

    def logs(self, service: ServiceRecord, *, tail: int | None, follow: bool) -> Iterator[LogLine]:
        from mldeploy_jupyter.targets.process_log import read_log

        collector, path = self._collector(service), self._log_path(service.name)
        if follow:
            going_on = StillRunning(lambda: self._may_write(service), self._clock)
            return follow_log(collector, path, tail=tail, going_on=going_on, wait=self._wait)
        collect(collector)
        return read_log(path, tail=tail)

    def open_log(self, service: ServiceRecord) -> CollectedLog:
        """The log with numbered lines, which is kept current while it is read."""
        return CollectedLog(self._collector(service), self._log_path(service.name))

    def delete(self, service: ServiceRecord, emit: Emit) -> None:
        self.leave(service, emit)
        refusals.remove_folder(service, self._folder(service.name))
        emit("", "log", "no container, no volume and no file is left")

    def leave(self, service: ServiceRecord, emit: Emit) -> None:
        """Removes the service from the engine, and the images that only it used; keys and log on this machine stay.

        Raises:
            TargetFailure: the engine is unavailable, or something could not be removed.
        """
        with _engine_failures():
            containers = self._containers(service)
            collect(self._collector(service))
            containers.remove_all()
        remove_record(self._folder(service.name))

    def discover(self) -> Iterator[ServiceRecord]:
        try:
            engine = self._open_engine()
            with _engine_failures():
                found = list_containers(engine, self._context.workspace_id)
        except TargetFailure:
            return
        for name in sorted({container.service for container in found}):
            containers = self._on(engine, name)
            with suppress(EngineError):
                yield describe_service(containers, read_layout(containers, LiveRecord()), self._folder(name))

    def cancel(self, service: ServiceRecord, deployment_id: str) -> None:
        with _engine_failures():
            containers = self._containers(service)
            folder = self._folder(service.name)
            layout = read_layout(containers, read_record(folder))
            for container in layout.others:
                if container.deployment_id == deployment_id and container.is_running:
                    self._end_attempt(containers, container, deployment_id)
            layout = read_layout(containers, replace(read_record(folder), container=""))
            self._settle(containers, layout, folder)

    def refuse_endpoint(self, service: ServiceRecord, uri: str) -> str:
        """Why the program at `uri` may not be the service; "" when its listener has that port."""
        address = urlsplit(uri)
        if (address.scheme, address.hostname) != ("http", HOST):  # the row was changed outside of mldeploy
            return f"a local service listens on http://{HOST}, and on no other address"
        try:
            found = self._containers(service, AWAY_SECONDS).find()
        except (EngineError, TargetFailure):
            return "the container engine does not answer, so it is not known who listens there"
        ports = [one.port for one in found if one.role == names.LISTENER_ROLE and one.is_running]
        if not ports:
            return f"its listener does not run, and another program may listen on port {address.port}"
        if address.port not in ports:
            return f"the service listens on port {ports[-1]} now, and another program on port {address.port}"
        return ""

    def is_running(self, name: str) -> bool:
        """Whether a container of the service runs. True while the engine is unavailable, since one may run."""
        try:
            found = self._containers(ServiceRecord(name, "docker"), AWAY_SECONDS).find()
        except EngineError:
            return True
        return any(container.may_run for container in found)

    def live_settings(self, service: ServiceRecord) -> dict[str, Any]:
        """The settings of the server that serves, or served last; {} when they are unknown."""
        with suppress(EngineError):
            return read_layout(self._containers(service), LiveRecord()).settings
        return {}

    # What the engine has

    def _open_engine(self, stage: str = "", timeout: float = REQUEST_SECONDS) -> Engine:
        with _engine_failures(stage):
            return self._engine(timeout)

    def _engine(self, timeout: float) -> Engine:
        if timeout not in self._engines:
            client = self._context.clients.get("docker")
            self._engines[timeout] = open_engine(client=client, timeout=timeout)
        return self._engines[timeout]

    def _containers(self, service: ServiceRecord, timeout: float = REQUEST_SECONDS) -> ServiceContainers:
        """Raises `EngineError`."""
        return self._on(self._engine(timeout), service.name)

    def _on(self, engine: Engine, name: str) -> ServiceContainers:
        return ServiceContainers(engine, self._context.workspace_id, name, self._context.services.parent)

    def _collector(self, service: ServiceRecord) -> LogCollector:
        return LogCollector(
            lambda: self._engine(AWAY_SECONDS), self._context.workspace_id, service.name, self._log_path(service.name)
        )

    def _folder(self, name: str) -> Path:
        return self._context.services / name

    def _log_path(self, name: str) -> Path:
        return self._folder(name) / "logs" / "service.log"

    def _call(self, containers: ServiceContainers, container: ServiceContainer, op: str, **more: Any) -> dict[str, Any]:
        try:
            return control.call(containers.engine, container.id, op, **more)
        except control.ContainerGone as error:
            raise EngineError(describe_end(containers, container)) from error

    # Parts of a deployment

    def _has_switched(self, layout: Layout, plan: Plan) -> bool:
        """Whether an earlier call for the same deployment was killed after its switch."""
        serving, wanted = layout.serving, plan.config.get("port") or 0
        return (
            serving is not None
            and serving.is_running
            and layout.deployment_id == plan.revision.deployment_id
            and layout.listener is not None
            and layout.listener.is_running
            and wanted in (0, layout.listener.port)
        )

    def _adopt(self, containers: ServiceContainers, serving: ServiceContainer, emit: Emit) -> dict[str, Any]:
        """Completes a deployment that has the traffic already."""
        containers.keep_running(serving, True)
        answer = self._call(containers, serving, "await")
        emit("rollout", "finished", f"container {serving.name} serves already")
        for stage in ("probe", "switch"):
            emit(stage, "started")
            emit(stage, "finished")
        return answer

    def _send_keys(self, containers: ServiceContainers, container: ServiceContainer, path: Path) -> None:
        containers.put_files(container, {names.KEYS: path.read_bytes()})
        if container.is_running or container.state == "created":
            answer = self._call(containers, container, "keys", timeout=control.KEYS_SECONDS)
            if not answer.get("ok"):
                raise EngineError(answer.get("failure") or {"code": "engine-error", "message": "no reason was given"})
        confirm_keys(path)

    def _end_attempt(self, containers: ServiceContainers, container: ServiceContainer, deployment_id: str) -> None:
        """Cancels the attempt of a runner that died. Waits for its switch instead when that is under way."""
        with suppress(control.ContainerGone, EngineError):
            answer = control.call(
                containers.engine, container.id, "cancel", timeout=control.ANSWER_SECONDS, deployment_id=deployment_id
            )
            if (answer.get("failure") or {}).get("code") != "too-late":
                return
            end = self._clock() + START_SECONDS
            while self._clock() < end and not containers.read_json(container, "live.json"):
                self._wait(0.1)

    def _settle(self, containers: ServiceContainers, layout: Layout, folder: Path) -> None:
        """Removes all containers but those that serve; also the volume when none does."""
        for container in layout.leftovers:
            containers.remove(container)
        if layout.serving is None:
            if layout.listener is not None:
                containers.remove(layout.listener)
            containers.remove_volume()
            remove_record(folder)
            return
        containers.keep_running(layout.serving, True)
        self._remember(folder, layout, containers.engine)

    def _remember(self, folder: Path, layout: Layout, engine: Engine) -> None:
        """Records what serves, unless leftovers make that uncertain."""
        serving = layout.serving
        if serving is None or layout.leftovers:
            return
        found = LiveRecord(serving.id, layout.revision, layout.deployment_id, serving.port, engine.endpoint.url)
        known = read_record(folder)
        if found != replace(known, changing="") or (known.changing and known.changing == layout.deployment_id):
            with suppress(OSError, WebserviceException):
                write_record(folder, found)

    # Parts of a control

    def _stop(self, containers: ServiceContainers, layout: Layout) -> None:
        for container in (layout.serving, *layout.retired):
            if container is not None and container.may_run:
                containers.stop(container)
        if layout.listener is not None and layout.listener.may_run:
            containers.stop(layout.listener, 2)

    def _start(self, containers: ServiceContainers, layout: Layout, service: ServiceRecord) -> None:
        serving, listener = layout.serving, layout.listener
        assert serving is not None
        if listener is None:
            raise EngineError({**GONE, "what": "the listener of the service is gone"})
        if not listener.may_run:
            containers.start(listener)
        containers.keep_running(serving, True)
        if not serving.may_run:
            containers.start(serving)
        limit = float(layout.settings.get("init_timeout") or 300.0) + START_SECONDS
        end = self._clock() + limit
        while not is_ready(listener.port):
            state = containers.inspect(serving).get("State") or {}
            if not state.get("Running") or state.get("Restarting"):
                raise EngineError(describe_end(containers, serving))
            if self._clock() >= end:
                raise EngineError({"code": "init-timeout", "stage": "init", "message": f"not ready after {limit:g} s"})
            self._wait(0.05)

    # What listings and logs ask

    def _may_write(self, service: ServiceRecord) -> bool:
        """Whether the service may write more to its log.

        While the engine is unavailable, one that has been live may: the engine starts it again.
        """
        try:
            found = self._containers(service, AWAY_SECONDS).find()
        except EngineError:
            return bool(service.revision)
        return any(container.may_run for container in found if container.role == names.SERVICE_ROLE)

    def _is_own_process_port(self, plan: Plan, port: int) -> bool:
        """Whether the same service has the port as a process; that is stopped before it moves to a container."""
        return plan.service.target == "local" and plan.service.endpoint.get("port") == port


@contextmanager
def _engine_failures(stage: str = "") -> Iterator[None]:
    """Raises an `EngineError` in its block as a `TargetFailure` of the stage."""
    try:
        yield
    except EngineError as error:
        raise TargetFailure(error.failure, stage or "rollout") from error
