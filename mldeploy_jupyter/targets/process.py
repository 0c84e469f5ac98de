"""The local target: a service is a supervisor process on this machine, with workers; no Docker.

Every service has a folder, `services/<name>/`, through which any process finds its supervisor.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.keys import confirm_keys, ensure_keys, replace_all_keys
from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.serving.system.lock_holder import Processes
from mldeploy_jupyter.serving.system.port_holder import holds_port
from mldeploy_jupyter.serving.system.removal import remove_tree
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
from mldeploy_jupyter.targets.numbered_log import NumberedLog
from mldeploy_jupyter.targets.ports import HOST, find_port_holder
from mldeploy_jupyter.targets.process_log import read_log
from mldeploy_jupyter.targets.process_rollout import CancelForwarder, await_outcome, roll_out
from mldeploy_jupyter.targets.supervisor_client import STATUS_SECONDS, SupervisorClient

# In a service's folder, whatever engine runs it: its keys, what happened to it, its log.
KEPT_BY_SERVICE = ("keys.json", "events.jsonl", "logs")

ENDING_SECONDS = 5.0  # for a supervisor whose connections broke to be gone: a busy machine ends its process late

FIRST_USER_PORT = 1024  # ports below it belong to the system; only root may take them


def count_cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ProcessTarget:
    """The target `local`; see `targets.base.Target` for the methods."""

    capabilities = Capabilities(stop=True, needs_python=True)

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

    def check(self, plan: Plan) -> list[Finding]:
        if sys.platform == "win32":
            return [
                Finding(
                    "error",
                    "the local target does not run on Windows itself",
                    "it hands a listening socket from process to process, which Windows cannot do",
                    "run JupyterLab inside WSL and deploy from there",
                    "PlatformNotSupported",
                )
            ]
        port = plan.config.get("port")
        process = self._supervisor(plan.service.name).find_process()
        if port and not (process and process.get("port") == port):
            holder = find_port_holder(port)
            neighbour = self._find_service_on(port) if holder is not None else ""
            if neighbour:
                return [refusals.port_in_use(port, neighbour)]
            if holder is not None:
                raise TargetFailure({"code": "port-in-use", "stage": "check", "port": port, **holder}, "check")
        unused = _unused_settings(plan.request.inference_config)
        findings = [Finding("warning", f"not used on this machine: {', '.join(unused)}")] if unused else []
        if 0 < (port or 0) < FIRST_USER_PORT:
            text = f"port {port} is reserved for the system's own services; choose one from 1024 on"
            findings.append(Finding("warning", text))
        cores, workers = count_cores(), plan.config.get("worker_count") or 1
        if workers > 2 * cores + 1:  # more than that helps no script, also not one that waits for others
            text = f"{workers} workers share {cores} {'core' if cores == 1 else 'cores'}, and each loads the model"
            findings.append(Finding("warning", text))
        return findings

    def apply(self, plan: Plan, strategy: Strategy, emit: Emit, cancel: Cancel) -> Endpoint:
        supervisor = self._supervisor(plan.service.name)
        keys_path = supervisor.folder / "keys.json"
        given_keys = (plan.secrets.get("primary_key"), plan.secrets.get("secondary_key"))
        port = plan.config.get("port") or 0
        emit("rollout", "started")
        process = supervisor.find_process()
        was_stopped = process is None and bool(supervisor.read_live()) and not supervisor.has_crashed()
        _replace_exposed_keys(supervisor, lambda text: emit("rollout", "log", text))
        # Also for a running service: one made by an older version has no secret for tokens.
        ensure_keys(keys_path, *(given_keys if process is None else ()), make_folder=True)
        if process is None:
            # After a crash the old revision is started too, and keeps serving if the new one fails.
            resume = bool(supervisor.read_live()) and not was_stopped
            process = supervisor.start(port, plan.service.endpoint.get("port") or 0, resume=resume)
            is_new = True
        else:
            is_new = not supervisor.read_live()  # started by a prewarm; it serves nothing yet
        if is_new:
            emit("rollout", "log", f"supervisor {process['pid']} listens on {HOST}:{process['port']}")
        try:
            with CancelForwarder(cancel, lambda: _cancel_rollout(supervisor, plan.revision.deployment_id)):
                answer = roll_out(supervisor, plan, strategy, port, emit, self._wait)
        except BaseException:
            # Stop the supervisor again if the service was stopped before, or has no revision: it must not hold a port.
            if was_stopped or not supervisor.read_live():
                supervisor.stop()
            raise
        # New keys take effect with the new revision; if that fails, the old keys stay valid.
        if any(given_keys):
            ensure_keys(keys_path, *given_keys)
            supervisor.call("keys")
        confirm_keys(keys_path)
        details: dict[str, Any] = {k: answer[k] for k in ("modules", "sample_scored", "warnings") if k in answer}
        return _endpoint(answer["port"], process["pid"], **details)

    def control(self, service: ServiceRecord, action: Action, emit: Emit) -> None:
        supervisor = self._supervisor(service.name)
        if action == "stop":
            _replace_exposed_keys(supervisor, lambda text: emit("", "log", text))
            supervisor.stop()
        elif action == "start":
            if supervisor.find_process() is None:
                if not supervisor.read_live():
                    live = supervisor.folder / "live.json"
                    raise refusals.cannot_start(service, f"{live}, which says what it served, is damaged or gone")
                _replace_exposed_keys(supervisor, lambda text: emit("", "log", text))
                port = service.endpoint.get("port") or supervisor.read_live().get("port") or 0
                supervisor.start(port, 0, resume=True)
            supervisor.await_live()
        elif action == "restart":
            if supervisor.find_process() is None:
                raise refusals.not_running(service, "its supervisor process is gone or was stopped")
            refusals.require_ok(service, supervisor.call("restart"))
        elif action == "regen_keys":
            if supervisor.find_process() is not None:
                try:
                    refusals.require_ok(service, supervisor.call("keys"))
                except TargetFailure as failure:
                    if failure.failure.get("code") != "supervisor-lost" or not self._await_end(supervisor):
                        raise
                    # It ended meanwhile; the next one reads the keys when it starts.
            confirm_keys(supervisor.folder / "keys.json")

    def _await_end(self, supervisor: SupervisorClient) -> bool:
        """Whether a supervisor that broke its connections has ended, which takes it a moment longer."""
        end = self._clock() + ENDING_SECONDS
        while supervisor.find_process() is not None:
            if self._clock() >= end:
                return False
            self._wait(0.02)
        return True

    def status(self, service: ServiceRecord) -> ServiceStatus:
        supervisor = self._supervisor(service.name)
        if supervisor.find_process() is None:
            closed = supervisor.describe_closed()
            return ServiceStatus("Unhealthy", failure=closed) if closed else _status_without_process(supervisor)
        try:
            answer = supervisor.call("status", timeout=STATUS_SECONDS, ask_workers=True)
        except TargetFailure as error:
            return ServiceStatus("Unhealthy", failure=error.failure)
        last = answer.get("last_deploy") or {}
        return ServiceStatus(
            {"Live": "Live", "Empty": "Failed"}.get(answer["state"], "Unhealthy"),
            revision=answer.get("revision") or 0,
            deployment_id=answer.get("deployment_id") or "",
            endpoint=_endpoint(answer["port"], answer["pid"]),
            failure=answer.get("failure") or last.get("failure"),
            details={
                "workers": answer.get("workers", []),
                "last_deploy": last,
                "last_exit": answer.get("last_exit"),
                "environment": answer.get("environment", ""),
            },
        )

    def logs(self, service: ServiceRecord, *, tail: int | None, follow: bool) -> Iterator[LogLine]:
        supervisor = self._supervisor(service.name)
        if not follow:  # the reader may look for a request that was answered just now
            supervisor.flush_log()
        follow_while = (lambda: supervisor.find_process() is not None) if follow else None
        return read_log(_log_path(supervisor), tail=tail, follow=follow_while, wait=self._wait)

    def open_log(self, service: ServiceRecord) -> NumberedLog:
        """The log with numbered lines."""
        return NumberedLog(_log_path(self._supervisor(service.name)))

    def delete(self, service: ServiceRecord, emit: Emit) -> None:
        supervisor = self._supervisor(service.name)
        supervisor.stop()
        refusals.remove_folder(service, supervisor.folder)
        emit("", "log", "no process and no file is left")

    def leave(self, service: ServiceRecord, emit: Emit) -> None:
        """Stops the service and removes what only a process has, for another engine that runs it from now on."""
        supervisor = self._supervisor(service.name)
        supervisor.stop()
        for path in supervisor.folder.iterdir() if supervisor.folder.is_dir() else []:
            if path.name not in KEPT_BY_SERVICE:
                remove_tree(path)
        emit("", "log", "its process is gone; keys and log are kept")

    def discover(self) -> Iterator[ServiceRecord]:
        if not self._context.services.is_dir():
            return
        for folder in sorted(path for path in self._context.services.iterdir() if path.is_dir()):
            supervisor = self._supervisor(folder.name)
            live = supervisor.read_live()
            process = None if live else supervisor.find_process()
            if not live and process is None:
                continue
            port, settings = live.get("port", 0), live.get("settings") or {}
            yield ServiceRecord(
                folder.name,
                "local",
                "Local",
                workspace_id=self._context.workspace_id,
                revision=live.get("revision", 0),
                deployment_id=live.get("deployment_id", ""),
                endpoint=_endpoint(port, 0).to_dict() if port else {},
                auth_enabled=settings.get("auth_enabled") is not False,
                folder=str(folder),
            )

    def cancel(self, service: ServiceRecord, deployment_id: str) -> None:
        supervisor = self._supervisor(service.name)
        if supervisor.find_process() is not None:
            _cancel_rollout(supervisor, deployment_id)
            # The answer may say "too late": the switch then completes.
            await_outcome(supervisor, deployment_id, self._wait)
            if not supervisor.read_live():
                supervisor.stop()

    def refuse_endpoint(self, service: ServiceRecord, uri: str) -> str:
        """Why what listens at `uri` is not proven to be the service; "" when its supervisor holds that port.

        A supervisor listens as long as it lives, and no other program can take its port meanwhile.
        """
        address = urlsplit(uri)
        if (address.scheme, address.hostname) != ("http", HOST):  # the row was changed outside of mldeploy
            return f"a local service listens on http://{HOST}, and on no other address"
        process, port = self._supervisor(service.name).find_process(), address.port
        if process is None:
            return f"its supervisor process is gone, and another program listens on port {port}"
        if process.get("port") != port and not holds_port(process["pid"], port or 0):
            return f"the service listens on port {process.get('port')} now, and another program on port {port}"
        return ""

    def is_running(self, name: str) -> bool:
        """Whether the service has a supervisor process on this machine."""
        return self._supervisor(name).find_process() is not None

    def live_settings(self, service: ServiceRecord) -> dict[str, Any]:
        """The settings of the server that serves, or served last; {} where that is not known."""
        return dict(self._supervisor(service.name).read_live().get("settings") or {})

    def _find_service_on(self, port: int) -> str:
        """The service of this workspace that listens on the port, or ""."""
        processes = Processes()
        for folder in sorted(self._context.services.iterdir()) if self._context.services.is_dir() else []:
            if (SupervisorClient(folder, processes=processes).find_process() or {}).get("port") == port:
                return folder.name
        return ""

    def _supervisor(self, name: str) -> SupervisorClient:
        folder, processes = self._context.services / name, self._context.processes
        return SupervisorClient(folder, clock=self._clock, wait=self._wait, processes=processes)


def _log_path(supervisor: SupervisorClient) -> Path:
    return supervisor.folder / "logs" / "service.log"


def _endpoint(port: int, pid: int, **details: Any) -> Endpoint:
    uri = f"http://{HOST}:{port}"
    details = {"port": port, "pid": pid, "host": process_identity.host_name(), **details}
    return Endpoint(f"{uri}/score", f"{uri}/swagger.json", details)


def _replace_exposed_keys(supervisor: SupervisorClient, tell: Callable[[str], None]) -> None:
    """Replaces the keys of a service whose supervisor died without being stopped.

    Its port was free from then on, and clients may have sent their keys or tokens to a program that took it.
    """
    keys_path, settings = supervisor.folder / "keys.json", supervisor.read_live().get("settings") or {}
    if not supervisor.has_crashed() or not os.path.exists(keys_path):
        return
    if settings.get("token_auth_enabled"):
        replaced = "its tokens are void"
    elif settings.get("auth_enabled", True):
        replaced = f"its keys are replaced: mldeploy service get-keys {supervisor.folder.name}"
    else:
        return
    replace_all_keys(keys_path)
    tell(f"{supervisor.folder.name} had died, and another program could have taken its port; {replaced}")


def _cancel_rollout(supervisor: SupervisorClient, deployment_id: str) -> dict[str, Any]:
    return supervisor.call("cancel", timeout=STATUS_SECONDS, deployment_id=deployment_id)


def _status_without_process(supervisor: SupervisorClient) -> ServiceStatus:
    live, crashed = supervisor.read_live(), supervisor.has_crashed()
    if not live and not crashed:
        return ServiceStatus("Absent")
    return ServiceStatus(
        "Unhealthy" if crashed else "Stopped",
        revision=live.get("revision", 0),
        deployment_id=live.get("deployment_id", ""),
        failure=supervisor.describe_lost() if crashed else None,
    )


def _unused_settings(inference: dict[str, Any]) -> list[str]:
    """The settings of an inference configuration that only a container or a cluster uses."""
    names = ("base_image", "extra_docker_file_steps", "enable_gpu", "cuda_version")
    found = [name for name in names if inference.get(name)]
    if str(inference.get("runtime") or "").lower().startswith("spark"):
        found.append(f"runtime {inference['runtime']}")
    environment = inference.get("environment_definition") or {}
    docker = environment.get("docker") or {}
    found += [f"environment.docker.{key}" for key in ("baseImage", "baseDockerfile", "buildContext") if docker.get(key)]
    return [*found, *(f"environment.{key}" for key in ("spark", "databricks", "r") if environment.get(key))]
