"""The embedded local target: a service is a supervisor process on this machine, without Docker.

Every service has a folder, `services/<name>/`. The supervisor (`serving/supervisor.py`) writes who it is there and
listens on a control socket; it is started in a session of its own, so it outlives the kernel, and is found again
from any process through that folder.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core import keys as core_keys
from mldeploy_jupyter.core import processes
from mldeploy_jupyter.core.errors import DeploymentCancelled, WebserviceException
from mldeploy_jupyter.core.files import make_private_dir
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

HOST = "127.0.0.1"
START_DEADLINE = 20.0  # seconds for a supervisor to say who it is; it takes some 50 ms
STOP_DEADLINE = 15.0  # seconds to drain and end; then it is killed


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

    # What a deployment asks -------------------------------------------------------------------------------------

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
        if port and not self._is_ours(plan.service.name, port):
            holder = _port_holder(port)
            if holder is not None:
                raise TargetFailure({"code": "port-in-use", "stage": "check", "port": port, **holder}, "check")
        return []

    def apply(self, plan: Plan, strategy: Strategy, emit: Emit, cancel: Cancel) -> Endpoint:
        folder = self._folder(plan.service.name)
        secrets = plan.secrets
        core_keys.ensure_keys(folder / "keys.json", secrets.get("primary_key"), secrets.get("secondary_key"))
        asked = plan.config.get("port") or 0
        emit("rollout", "started")
        supervisor = self._running(folder)
        if supervisor is None:
            supervisor = self._start(folder, asked, asked or plan.service.endpoint.get("port") or 0)
            emit("rollout", "log", f"supervisor {supervisor['pid']} listens on {HOST}:{supervisor['port']}")
        else:
            self._call(folder, "keys")
        with _CancelWatch(cancel, lambda: self._call(folder, "cancel", deployment_id=plan.revision.deployment_id)):
            answer = self._deploy(folder, plan, strategy, asked, emit)
        port = answer["port"]
        uri = f"http://{HOST}:{port}"
        details: dict[str, Any] = {k: answer[k] for k in ("modules", "sample_scored", "warnings") if k in answer}
        return Endpoint(f"{uri}/score", f"{uri}/swagger.json", {"port": port, "pid": supervisor["pid"], **details})

    def control(self, service: ServiceRecord, action: Action, emit: Emit) -> None:
        folder = self._folder(service.name)
        if action == "stop":
            self._stop(folder)
        elif action == "start":
            if self._running(folder) is None:
                self._start(folder, 0, service.endpoint.get("port") or 0, resume=True)
            self._await_live(folder)
        elif action == "restart":
            self._require(folder, service)
            self._answer(service, self._call(folder, "restart"))
        elif action == "regen_keys" and self._running(folder) is not None:
            self._answer(service, self._call(folder, "keys"))

    def status(self, service: ServiceRecord) -> ServiceStatus:
        folder = self._folder(service.name)
        if not (folder / "supervisor.json").exists() and not (folder / "live.json").exists():
            return ServiceStatus("Absent")
        if self._running(folder) is None:
            live = _read_json(folder / "live.json")
            stopped = not (folder / "supervisor.json").exists()  # a supervisor that was asked to stop removes it
            return ServiceStatus(
                "Stopped" if stopped else "Unhealthy",
                revision=live.get("revision", 0),
                deployment_id=live.get("deployment_id", ""),
                failure=None if stopped else {"code": "supervisor-lost", "message": "the supervisor process is gone"},
            )
        try:
            answer = self._call(folder, "status", timeout=5.0)
        except TargetFailure as error:
            return ServiceStatus("Unhealthy", failure=error.failure)
        last = answer.get("last_deploy") or {}
        uri = f"http://{HOST}:{answer['port']}"
        state = {"Live": "Live", "Empty": "Failed"}.get(answer["state"], "Unhealthy")
        return ServiceStatus(
            state,
            revision=answer.get("revision") or 0,
            deployment_id=answer.get("deployment_id") or "",
            endpoint=Endpoint(f"{uri}/score", f"{uri}/swagger.json", {"port": answer["port"], "pid": answer["pid"]}),
            failure=last.get("failure"),
            details={"workers": answer.get("workers", []), "last_deploy": last},
        )

    def logs(self, service: ServiceRecord, *, tail: int | None, follow: bool) -> Iterator[LogLine]:
        folder = self._folder(service.name)
        return read_log(
            folder / "logs" / "service.log",
            tail=tail,
            follow=(lambda: self._running(folder) is not None) if follow else None,
            wait=self._wait,
        )

    def delete(self, service: ServiceRecord, emit: Emit) -> None:
        folder = self._folder(service.name)
        workers = self._workers(folder)
        self._stop(folder)
        for pid, start in workers:
            if start and processes.started(pid) == start:  # it outlived its supervisor
                _kill(pid)
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            raise WebserviceException(
                f"the folder of {service.name} could not be removed",
                why=str(folder),
                hint=f"remove it by hand, then run `mldeploy service delete -n {service.name}` again",
            )
        emit("", "log", "no process and no file is left")

    def discover(self) -> Iterator[ServiceRecord]:
        if not self._context.services.exists():
            return
        for folder in sorted(self._context.services.iterdir()):
            live = _read_json(folder / "live.json")
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
        folder = self._folder(service.name)
        if self._running(folder) is not None:
            self._call(folder, "cancel", deployment_id=deployment_id)

    # The supervisor ---------------------------------------------------------------------------------------------

    def _folder(self, name: str) -> Path:
        return self._context.services / name

    def _running(self, folder: Path) -> dict[str, Any] | None:
        """The supervisor's own words about itself, if it lives."""
        data = _read_json(folder / "supervisor.json")
        if data and processes.started(data["pid"]) == str(data["started"]):
            return data
        return None

    def _start(self, folder: Path, asked: int, preferred: int, *, resume: bool = False) -> dict[str, Any]:
        """Starts a supervisor on `preferred`; a port that nobody asked for is given up for a free one."""
        make_private_dir(folder / "logs")
        for port in dict.fromkeys([preferred, 0] if not asked else [asked]):
            (folder / "failure.json").unlink(missing_ok=True)
            arguments = ["--folder", str(folder), "--host", HOST, "--port", str(port)]
            with (folder / "logs" / "supervisor.log").open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "mldeploy_jupyter.serving.supervisor", *arguments]
                    + (["--resume"] if resume else []),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    cwd=folder,
                )
            _reap(process)
            end = self._clock() + START_DEADLINE
            while self._clock() < end:
                running = self._running(folder)
                if running is not None:
                    return running
                if process.poll() is not None:
                    break
                self._wait(0.005)
        failure = _read_json(folder / "failure.json")
        if failure:
            raise TargetFailure({"stage": "rollout", **failure})
        tail = [line.text for line in read_log(folder / "logs" / "supervisor.log", tail=20)]
        raise TargetFailure({"code": "spawn-failed", "message": "the supervisor did not start", "log_tail": tail})

    def _deploy(self, folder: Path, plan: Plan, strategy: Strategy, asked: int, emit: Emit) -> dict[str, Any]:
        stage = "rollout"

        def on_event(event: dict[str, Any]) -> None:
            nonlocal stage
            kind = event.get("event")
            if kind == "stage":
                if event["kind"] == "started" and event["stage"] == "rollout":
                    return  # opened before the supervisor was there
                stage = event["stage"]
                if event["kind"] == "failed":
                    return  # written with its cause by whoever carries the deployment out
                emit(stage, event["kind"], **({"seconds": event["seconds"]} if "seconds" in event else {}))
            elif kind in ("log", "progress"):
                emit(stage, kind, event.get("text", ""))

        running = self._running(folder) or {}
        port = {"port": asked} if asked and asked != running.get("port") else {}
        settings = {**plan.settings, "probes": strategy.probes}
        answer = self._call(
            folder,
            "deploy",
            on_event=on_event,
            settings=settings,
            deployment_id=plan.revision.deployment_id,
            **port,
        )
        if answer.get("ok"):
            return answer
        failure = answer.get("failure") or {"code": "unknown", "message": "the supervisor gave no reason"}
        if failure.get("code") == "cancelled":
            raise DeploymentCancelled("the deployment was cancelled")
        raise TargetFailure(failure, stage)

    def _call(
        self,
        folder: Path,
        op: str,
        on_event: Callable[[dict[str, Any]], None] | None = None,
        timeout: float | None = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        from mldeploy_jupyter.serving import control

        running = self._running(folder)
        if running is None:
            raise TargetFailure({"code": "supervisor-lost", "message": "the supervisor process is gone"})
        try:
            return control.call(running["control"], op, on_event=on_event, timeout=timeout, **arguments)
        except control.ControlError as error:
            raise TargetFailure({"code": "supervisor-lost", "message": f"the supervisor went away: {error}"}) from error

    def _answer(self, service: ServiceRecord, answer: dict[str, Any]) -> None:
        if not answer.get("ok"):
            raise WebserviceException(
                f"{service.name} did not do it",
                why=str((answer.get("failure") or {}).get("message", "no reason was given")),
                hint=f"see its log with `mldeploy service get-logs -n {service.name}`",
            )

    def _require(self, folder: Path, service: ServiceRecord) -> None:
        if self._running(folder) is None:
            raise WebserviceException(
                f"{service.name} is not running",
                why="its supervisor process is gone or was stopped",
                hint=f"start it with `mldeploy service start -n {service.name}`",
            )

    def _await_live(self, folder: Path) -> None:
        """Waits until a supervisor that was started again has its revision back.

        Raises:
            TargetFailure: the revision does not come up any more.
        """
        limit = _read_json(folder / "live.json").get("settings", {}).get("init_timeout", 300.0)
        end = self._clock() + limit + START_DEADLINE
        while self._clock() < end:
            answer = self._call(folder, "status", timeout=5.0)
            if answer["state"] == "Live":
                return
            if answer.get("failure"):
                raise TargetFailure(answer["failure"])
            self._wait(0.02)
        raise TargetFailure({"code": "init-timeout", "stage": "init", "message": f"not ready after {limit:g} s"})

    def _stop(self, folder: Path) -> None:
        running = self._running(folder)
        if running is None:
            # One that died without being asked: what it wrote about itself is no longer true.
            (folder / "supervisor.json").unlink(missing_ok=True)
            return
        pid, start = running["pid"], str(running["started"])
        try:
            self._call(folder, "stop", timeout=STOP_DEADLINE)
        except TargetFailure:
            pass
        end = self._clock() + STOP_DEADLINE
        while processes.started(pid) == start:
            if self._clock() > end:
                _kill(pid)
            self._wait(0.01)
        (folder / "supervisor.json").unlink(missing_ok=True)

    def _workers(self, folder: Path) -> list[tuple[int, str]]:
        if self._running(folder) is None:
            return []
        try:
            workers = self._call(folder, "status", timeout=5.0).get("workers", [])
        except TargetFailure:
            return []
        return [(worker["pid"], processes.started(worker["pid"])) for worker in workers]

    def _is_ours(self, name: str, port: int) -> bool:
        running = self._running(self._folder(name))
        return running is not None and running.get("port") == port


class _CancelWatch:
    """Asks for the durable mark while a call to the supervisor is under way, and passes it on once."""

    def __init__(self, cancel: Cancel, pass_on: Callable[[], Any]) -> None:
        self._cancel = cancel
        self._pass_on = pass_on
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="mldeploy-cancel", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.1):
            try:
                self._cancel()
            except DeploymentCancelled:
                try:
                    self._pass_on()
                except TargetFailure:
                    pass
                return


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _reap(process: subprocess.Popen[bytes]) -> None:
    """Collects the exit status whenever it comes, so that no zombie stands in for a dead supervisor."""
    threading.Thread(target=process.wait, name="mldeploy-reap", daemon=True).start()


def _port_holder(port: int) -> dict[str, Any] | None:
    """None when the port can be had; else what is known of who has it."""
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            from mldeploy_jupyter.serving.listener import holder_of

            return {"message": error.strerror or str(error), "errno": error.errno, "holder": holder_of(port)}
    return None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
