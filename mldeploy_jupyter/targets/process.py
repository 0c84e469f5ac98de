"""The embedded local target: a service is a supervisor process on this machine, without Docker.

Every service has a folder, `services/<name>/`, through which any process finds its supervisor again.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.errors import WebserviceException
from mldeploy_jupyter.core.keys import ensure_keys
from mldeploy_jupyter.core.records import ServiceRecord
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
from mldeploy_jupyter.targets.process_log import read_log
from mldeploy_jupyter.targets.process_rollout import CancelWatch, deploy, outcome
from mldeploy_jupyter.targets.supervisor_client import HOST, SupervisorClient


class ProcessTarget:
    capabilities = Capabilities(stop=True, needs_python=True, needs_registered_models=False)

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
        running = self._supervisor(plan.service.name).running()
        if port and not (running and running.get("port") == port):
            holder = _port_holder(port)
            neighbour = self._neighbour(port) if holder is not None else ""
            if neighbour:
                return [
                    Finding(
                        "error",
                        f"port {port} is in use",
                        f"the service {neighbour} of this workspace has it",
                        f"choose another port, or remove it with `mldeploy service delete -n {neighbour}`",
                        "port-in-use",
                    )
                ]
            if holder is not None:
                raise TargetFailure({"code": "port-in-use", "stage": "check", "port": port, **holder}, "check")
        unused = _unused(plan.request.inference_config)
        return [Finding("warning", f"not used on this machine: {', '.join(unused)}")] if unused else []

    def apply(self, plan: Plan, strategy: Strategy, emit: Emit, cancel: Cancel) -> Endpoint:
        supervisor = self._supervisor(plan.service.name)
        keys, given = (
            supervisor.folder / "keys.json",
            (plan.secrets.get("primary_key"), plan.secrets.get("secondary_key")),
        )
        asked = plan.config.get("port") or 0
        emit("rollout", "started")
        running = supervisor.running()
        stopped = running is None and bool(supervisor.live()) and not supervisor.died()
        ensure_keys(keys, *(given if running is None else ()))  # an older version's service has no secret for tokens
        if running is None:
            # After a crash the old revision comes back too: it serves on when the new one fails.
            resume = bool(supervisor.live()) and not stopped
            running = supervisor.start(asked, plan.service.endpoint.get("port") or 0, resume=resume)
            started = True
        else:
            started = not supervisor.live()  # a head start's, which has no revision yet
        if started:
            emit("rollout", "log", f"supervisor {running['pid']} listens on {HOST}:{running['port']}")
        deployment_id = plan.revision.deployment_id
        try:
            with CancelWatch(cancel, lambda: supervisor.call("cancel", timeout=5.0, deployment_id=deployment_id)):
                answer = deploy(supervisor, plan, strategy, asked, emit, self._wait)
        except BaseException:
            # What was stopped before stays stopped, with the revision it had; what has none keeps no port.
            if stopped or not supervisor.live():
                supervisor.stop()
            raise
        if any(given):  # new keys come with the new revision: one that fails leaves the old ones valid
            ensure_keys(keys, *given)
            supervisor.call("keys")
        details: dict[str, Any] = {k: answer[k] for k in ("modules", "sample_scored", "warnings") if k in answer}
        return _endpoint(answer["port"], running["pid"], **details)

    def control(self, service: ServiceRecord, action: Action, emit: Emit) -> None:
        supervisor = self._supervisor(service.name)
        if action == "stop":
            supervisor.stop()
        elif action == "start":
            if supervisor.running() is None:
                port = service.endpoint.get("port") or supervisor.live().get("port") or 0
                supervisor.start(port, 0, resume=True)
            supervisor.await_live()
        elif action == "restart":
            if supervisor.running() is None:
                raise WebserviceException(
                    f"{service.name} is not running",
                    why="its supervisor process is gone or was stopped",
                    hint=f"start it with `mldeploy service start -n {service.name}`",
                )
            _require_ok(service, supervisor.call("restart"))
        elif action == "regen_keys" and supervisor.running() is not None:
            _require_ok(service, supervisor.call("keys"))

    def status(self, service: ServiceRecord) -> ServiceStatus:
        supervisor = self._supervisor(service.name)
        live = supervisor.live()
        if supervisor.running() is None:
            if not live and not supervisor.died():
                return ServiceStatus("Absent")
            lost = {"code": "supervisor-lost", "message": "the supervisor process is gone"}
            return ServiceStatus(
                "Unhealthy" if supervisor.died() else "Stopped",
                revision=live.get("revision", 0),
                deployment_id=live.get("deployment_id", ""),
                failure=lost if supervisor.died() else None,
            )
        try:
            answer = supervisor.call("status", timeout=5.0)
        except TargetFailure as error:
            return ServiceStatus("Unhealthy", failure=error.failure)
        last = answer.get("last_deploy") or {}
        return ServiceStatus(
            {"Live": "Live", "Empty": "Failed"}.get(answer["state"], "Unhealthy"),
            revision=answer.get("revision") or 0,
            deployment_id=answer.get("deployment_id") or "",
            endpoint=_endpoint(answer["port"], answer["pid"]),
            failure=answer.get("failure") or last.get("failure"),
            details={"workers": answer.get("workers", []), "last_deploy": last, "last_exit": answer.get("last_exit")},
        )

    def logs(self, service: ServiceRecord, *, tail: int | None, follow: bool) -> Iterator[LogLine]:
        supervisor = self._supervisor(service.name)
        going = (lambda: supervisor.running() is not None) if follow else None
        return read_log(supervisor.folder / "logs" / "service.log", tail=tail, follow=going, wait=self._wait)

    def delete(self, service: ServiceRecord, emit: Emit) -> None:
        supervisor = self._supervisor(service.name)
        supervisor.stop()
        shutil.rmtree(supervisor.folder, ignore_errors=True)
        if supervisor.folder.exists():
            raise WebserviceException(
                f"the folder of {service.name} could not be removed",
                why=str(supervisor.folder),
                hint=f"remove it by hand, then run `mldeploy service delete -n {service.name}` again",
            )
        emit("", "log", "no process and no file is left")

    def discover(self) -> Iterator[ServiceRecord]:
        if not self._context.services.exists():
            return
        for folder in sorted(self._context.services.iterdir()):
            live = self._supervisor(folder.name).live()
            if live:
                yield ServiceRecord(
                    folder.name,
                    "local",
                    "Local",
                    workspace_id=self._context.workspace_id,
                    revision=live.get("revision", 0),
                    deployment_id=live.get("deployment_id", ""),
                    folder=str(folder),
                )

    def cancel(self, service: ServiceRecord, deployment_id: str) -> None:
        """Ends the loading of a new revision whose caller is gone. Too late or nothing there is no error."""
        supervisor = self._supervisor(service.name)
        if supervisor.running() is not None:
            supervisor.call("cancel", timeout=5.0, deployment_id=deployment_id)
            outcome(supervisor, deployment_id, self._wait)  # it may be switching: then it becomes live in a moment
            if not supervisor.live():
                supervisor.stop()

    def is_running(self, name: str) -> bool:
        """Whether the service has a supervisor process on this machine."""
        return self._supervisor(name).running() is not None

    def _neighbour(self, port: int) -> str:
        """The service of this workspace that listens on the port, "" when none does."""
        for folder in sorted(self._context.services.iterdir()) if self._context.services.exists() else []:
            if (self._supervisor(folder.name).running() or {}).get("port") == port:
                return folder.name
        return ""

    def _supervisor(self, name: str) -> SupervisorClient:
        return SupervisorClient(self._context.services / name, clock=self._clock, wait=self._wait)


def _endpoint(port: int, pid: int, **details: Any) -> Endpoint:
    uri = f"http://{HOST}:{port}"
    details = {"port": port, "pid": pid, "host": process_identity.host_name(), **details}
    return Endpoint(f"{uri}/score", f"{uri}/swagger.json", details)


def _require_ok(service: ServiceRecord, answer: dict[str, Any]) -> None:
    if not answer.get("ok"):
        raise WebserviceException(
            f"{service.name} did not do it",
            why=str((answer.get("failure") or {}).get("message", "no reason was given")),
            hint=f"see its log with `mldeploy service get-logs -n {service.name}`",
        )


def _unused(inference: dict[str, Any]) -> list[str]:
    """What of an inference configuration only a container or a cluster has a use for."""
    names = ("base_image", "extra_docker_file_steps", "enable_gpu", "cuda_version")
    found = [name for name in names if inference.get(name)]
    if str(inference.get("runtime") or "").lower().startswith("spark"):
        found.append(f"runtime {inference['runtime']}")
    environment = inference.get("environment_definition") or {}
    docker = environment.get("docker") or {}
    found += [f"environment.docker.{key}" for key in ("baseImage", "baseDockerfile", "buildContext") if docker.get(key)]
    return [*found, *(f"environment.{key}" for key in ("spark", "databricks", "r") if environment.get(key))]


def _port_holder(port: int) -> dict[str, Any] | None:
    """None when the port can be had; else what is known of who has it."""
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            from mldeploy_jupyter.serving.system.procfs import find_port_holder

            return {"message": error.strerror or str(error), "errno": error.errno, "holder": find_port_holder(port)}
    return None
