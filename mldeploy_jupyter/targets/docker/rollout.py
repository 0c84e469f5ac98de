"""One deployment to an engine: a new container loads beside the old one, is probed, and then gets the traffic."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.errors import DeploymentCancelled
from mldeploy_jupyter.docker_engine import EngineError
from mldeploy_jupyter.targets.base import Cancel, Emit, Plan, Strategy, TargetFailure
from mldeploy_jupyter.targets.docker import control, names
from mldeploy_jupyter.targets.docker.containers import ServiceContainers, resource_limits
from mldeploy_jupyter.targets.docker.exit_reason import describe_end
from mldeploy_jupyter.targets.docker.layout import Layout
from mldeploy_jupyter.targets.docker.live_record import LiveRecord, mark_changing, read_record, write_record
from mldeploy_jupyter.targets.docker.names import ServiceContainer
from mldeploy_jupyter.targets.ports import find_free_port, find_port_holder
from mldeploy_jupyter.targets.process_rollout import CancelForwarder, EventForwarder

PORT_ATTEMPTS = 5  # to get a free port: another program may take it before the engine binds it

BEGIN_SECONDS = 20.0  # for the first process of a container to listen for requests

DRAIN_MARGIN = 4.0  # seconds beyond a revision's drain_timeout for its container to end

# Settings with paths of this machine; the image's `service.json` has those inside the image.
PLACES = ("python", "server_path", "server_digest", "app_root", "source_directory", "entry_script", "model_dir")


@dataclass
class Rollout:
    """A running deployment. `folder` is the service's on this machine, `collect` copies the log of its containers."""

    containers: ServiceContainers
    folder: Path
    plan: Plan
    strategy: Strategy
    emit: Emit
    cancel: Cancel
    collect: Callable[[], None]
    wait: Callable[[float], Any] = time.sleep
    _new: list[ServiceContainer] = field(default_factory=list)  # made by this deployment; removed when it fails

    def run(self, layout: Layout, keys: bytes) -> tuple[ServiceContainer, dict[str, Any]]:
        """Starts the revision and moves the traffic; returns the container that serves, and the answer of its start.

        `keys` is the content of the service's file of keys.

        Raises:
            TargetFailure: the revision could not be brought up.
            DeploymentCancelled: it was cancelled, or its lease was lost.
        """
        events = EventForwarder(self.emit)
        try:
            listener = self._ensure_listener(layout)
            container = self._create(listener, keys)
            with closing(control.Conversation(self.containers.engine, container.id)) as conversation:
                answer = self._start(container, conversation, events)
                self.cancel()
                self._take_over(container, conversation, layout, listener, events)
        except BaseException as error:
            with suppress(Exception):
                self.collect()
            self._remove_new(layout)
            if isinstance(error, EngineError):
                raise TargetFailure(error.failure, events.stage) from error
            raise
        return container, answer

    def settings(self) -> dict[str, Any]:
        """The settings of the container's server."""
        return container_settings(self.plan, self.strategy)

    # The steps

    def _ensure_listener(self, layout: Layout) -> ServiceContainer:
        """The container that owns the port: the existing one, unless another port is wanted."""
        wanted = self.plan.config.get("port") or 0
        listener = layout.listener
        if listener is not None and wanted in (0, listener.port):
            if listener.is_running:
                return listener
            try:
                self.containers.start(listener)
                return listener
            except EngineError as error:
                if wanted or error.failure.get("code") != "port-in-use":
                    raise self._name_holder(error, listener.port) from error
                self.containers.remove(listener)
        preferred = wanted or (0 if listener is not None else self.plan.service.endpoint.get("port") or 0)
        for attempt in range(PORT_ATTEMPTS):
            port = preferred or find_free_port()
            made = self.containers.create_listener(self.plan.image, port)
            self._new.append(made)
            try:
                self.containers.start(made)
            except EngineError as error:
                self.containers.remove(made)
                self._new.remove(made)
                if wanted or error.failure.get("code") != "port-in-use" or attempt == PORT_ATTEMPTS - 1:
                    raise self._name_holder(error, port) from error
                preferred = 0
                continue
            self.emit("rollout", "log", f"container {made.name} listens on 127.0.0.1:{port}")
            return made
        raise AssertionError("the last attempt raises")

    def _create(self, listener: ServiceContainer, keys: bytes) -> ServiceContainer:
        plan, workers = self.plan, int(self.plan.settings.get("workers") or 1)
        container = self.containers.create_service(
            plan.image,
            revision=plan.revision.number,
            deployment_id=plan.revision.deployment_id,
            settings=self.settings(),
            port=listener.port,
            limits=resource_limits(plan.config, workers),
        )
        self._new.append(container)
        self.containers.put_files(container, {names.KEYS: keys})
        self.cancel()
        return container

    def _start(
        self, container: ServiceContainer, conversation: control.Conversation, events: EventForwarder
    ) -> dict[str, Any]:
        """Starts the container and waits until its revision is loaded and probed."""
        self.containers.start(container)
        self.emit("rollout", "log", f"container {container.name} starts")
        with CancelForwarder(self.cancel, lambda: self._cancel_start(container)):
            try:
                answer = self._await_start(conversation, events)
            except control.ContainerGone as error:
                raise TargetFailure(self._explain_end(container, error), events.stage) from error
        return require_ok(answer, events)

    def _await_start(self, conversation: control.Conversation, events: EventForwarder) -> dict[str, Any]:
        """The answer of the container's start. Its first process may not listen for requests yet."""
        end = time.monotonic() + BEGIN_SECONDS
        while True:
            answer = conversation.call("await", events, more=True)
            began = (answer.get("failure") or {}).get("code") != "supervisor-lost"
            if began or time.monotonic() > end:
                return answer
            self.wait(0.05)

    def _take_over(
        self,
        container: ServiceContainer,
        conversation: control.Conversation,
        layout: Layout,
        listener: ServiceContainer,
        events: EventForwarder,
    ) -> None:
        """Moves the traffic. If the port changes, the old container serves the old port until it is removed."""
        old = layout.serving
        hands_over = old is not None and old.is_running and old.port == listener.port
        number, deployment_id = self.plan.revision.number, self.plan.revision.deployment_id
        endpoint = self.containers.engine.endpoint.url
        mark_changing(self.folder, deployment_id, endpoint)
        if old is not None:
            self.containers.keep_running(old, False)  # it exits, and must not be started again
        # If the engine is lost now, it is unknown which of the two serves: both stay, and their files tell later.
        made, self._new = self._new, []
        try:
            arguments: dict[str, Any] = {"from": old.folder} if old is not None and hands_over else {}
            answer = conversation.call("take-over", events, **arguments)
            require_ok(answer, events)
        except control.ContainerGone as error:
            self._keep_old(old, made)
            raise TargetFailure(self._explain_end(container, error), events.stage) from error
        except TargetFailure:
            self._keep_old(old, made)
            raise
        write_record(self.folder, LiveRecord(container.id, number, deployment_id, listener.port, endpoint))
        gone = [one for one in (old, layout.listener) if one is not None and one is not listener]
        self.retire([*layout.retired, *gone], asked=hands_over)

    # Afterwards

    def retire(self, containers: list[ServiceContainer], *, asked: bool = True) -> None:
        """Removes containers that have no traffic any more, each when it has finished its requests.

        They are stopped, unless a take-over has `asked` them to end. A thread waits for their end; the
        deployment does not wait, but the process does before it exits.
        """
        seconds = DRAIN_MARGIN + float(self.plan.settings.get("drain_timeout") or 30.0)

        def finish() -> None:
            with suppress(EngineError):  # the next deployment removes the rest, or the deletion of the service
                for container in containers:
                    if not asked:
                        self.containers.stop(container, math.ceil(seconds))
                    self._await_exit(container, seconds)
                    self.collect()
                    self.containers.remove(container)
                    self._forget(container)

        threading.Thread(target=finish, name=f"mldeploy-drain-{self.plan.service.name}").start()

    def _forget(self, container: ServiceContainer) -> None:
        """Removes the files of a container that is gone, through the one that serves."""
        serving = read_record(self.folder).container
        if container.folder and serving:
            with suppress(control.ContainerGone):
                engine = self.containers.engine
                control.call(engine, serving, "forget", timeout=control.ANSWER_SECONDS, folder=container.folder)

    def _await_exit(self, container: ServiceContainer, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            state = self.containers.inspect(container).get("State") or {}
            if not state.get("Running") or state.get("Restarting"):
                return
            self.wait(0.05)

    def _keep_old(self, old: ServiceContainer | None, made: list[ServiceContainer]) -> None:
        """After a failed take-over: the old container keeps serving, and the new one is removed."""
        self._new = made
        if old is not None:
            with suppress(EngineError):
                self.containers.keep_running(old, True)

    def _remove_new(self, layout: Layout) -> None:
        """Removes what this deployment made; of a service that has no revision, the volume too."""
        with suppress(EngineError):
            for container in reversed(self._new):
                self.containers.remove(container)
            if layout.serving is None:
                if layout.listener is not None:
                    self.containers.remove(layout.listener)
                self.containers.remove_volume()
            elif layout.listener is not None and not layout.serving.may_run:  # it was stopped before
                self.containers.stop(layout.listener, 1)

    def _cancel_start(self, container: ServiceContainer) -> dict[str, Any]:
        try:
            return control.call(
                self.containers.engine,
                container.id,
                "cancel",
                timeout=control.ANSWER_SECONDS,
                deployment_id=self.plan.revision.deployment_id,
            )
        except control.ContainerGone:
            return {"ok": False, "failure": {"code": "not-running"}}
        except EngineError as error:
            raise TargetFailure(error.failure) from error

    def _explain_end(self, container: ServiceContainer, error: control.ContainerGone) -> dict[str, Any]:
        """Why the container ended. If it still runs, the program for the request could not be started in it."""
        data = self.containers.inspect(container).get("State") or {}
        if data.get("Running") and not data.get("Restarting"):
            message = error.errors or "the program for requests ended without an answer"
            return {"code": "container-exited", "message": message, "log_tail": message.splitlines()}
        return describe_end(self.containers, container)

    def _name_holder(self, error: EngineError, port: int) -> EngineError:
        """The error, with who has the port."""
        if error.failure.get("code") != "port-in-use":
            return error
        return EngineError({**error.failure, "port": port, **find_holder(self.containers, port)})


def find_holder(containers: ServiceContainers, port: int) -> dict[str, Any]:
    """Who has a port: `holder` is a container of this engine, or a process; {} when the port is free."""
    found = find_port_holder(port)
    if found is None:
        return {}
    for data in containers.engine.client.api.containers():
        if any(published.get("PublicPort") == port for published in data.get("Ports") or []):
            holder = {"container": str((data.get("Names") or [data["Id"]])[0]).lstrip("/")}
            return {**found, "holder": {**holder, "service": (data.get("Labels") or {}).get(names.SERVICE, "")}}
    return found


def container_settings(plan: Plan, strategy: Strategy) -> dict[str, Any]:
    """The server's settings for a container: without what the image knows better, and what the engine limits."""
    settings = {name: value for name, value in plan.settings.items() if name not in PLACES}
    settings |= {"probes": strategy.probes, "memory_limit_mb": 0}
    # The server listens on every address and then checks hosts only if names are set; the port is on loopback.
    settings["allowed_hosts"] = settings.get("allowed_hosts") or ["localhost"]
    cores = plan.config.get("cpu_cores_limit") or 0
    if cores:  # libraries count the machine's cores, and would start that many threads
        count = str(max(1, math.ceil(cores)))
        settings["env"] = {"OMP_NUM_THREADS": count, **(settings.get("env") or {})}
    return settings


def require_ok(answer: dict[str, Any], events: EventForwarder) -> dict[str, Any]:
    if answer.get("ok"):
        return answer
    failure = answer.get("failure") or {"code": "unknown", "message": "the container gave no reason"}
    if failure.get("code") == "cancelled":
        raise DeploymentCancelled("the deployment was cancelled")
    raise TargetFailure(failure, events.stage)
