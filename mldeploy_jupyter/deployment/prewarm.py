"""Starts the supervisor of a first deployment early: its zygote imports the script's modules while the runner starts.

The imports take longer than everything else, and depend on nothing that the deployment finds out. A prewarm is started
only where that is certain: for a local service that does not exist yet, in the kernel's own environment, on any port
and with generated keys. In every other case, and whenever a prewarm fails, the target starts the supervisor itself.

The caller records which process it started before the runner begins; the runner then takes the supervisor over.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.bundle import server_source
from mldeploy_jupyter.core.configs import DeployConfig
from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.core.files import atomic_write, read_json
from mldeploy_jupyter.core.records import DeploymentRecord, DeploymentRequest, ModelRecord
from mldeploy_jupyter.core.script.imports import modules_to_preload
from mldeploy_jupyter.deployment.files import PREWARM_FILE, REQUEST_FILE
from mldeploy_jupyter.deployment.plan import registered_models
from mldeploy_jupyter.deployment.source.snapshot import list_source
from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.supervisor.spawn import process_environment, server_command
from mldeploy_jupyter.serving.system.caller_environment import inherited
from mldeploy_jupyter.serving.system.process_mark import new_mark
from mldeploy_jupyter.targets.supervisor_client import START_SECONDS, SupervisorClient

if TYPE_CHECKING:
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


class Prewarm:
    """A supervisor that was started early. If its block raises before there is a live revision, it is stopped."""

    def __init__(self, supervisor: SupervisorClient, process: dict[str, Any]) -> None:
        self._supervisor = supervisor
        self._process = process

    def wait_until_ready(
        self, clock: Callable[[], float] = time.monotonic, wait: Callable[[float], Any] = time.sleep
    ) -> None:
        """Waits until the supervisor accepts requests, or never will because its process ended or hangs."""
        begun = now = clock()
        while now < begun + START_SECONDS and process_identity.is_alive(self._process):
            # A full disk keeps it from writing its file: then it is looked for among the processes.
            if self._supervisor.find_process(by_files=now < begun + 1.0) is not None:
                return
            wait(0.005)
            now = clock()

    def __enter__(self) -> Prewarm:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self.wait_until_ready()
            if not self._supervisor.read_live():
                self._supervisor.stop()


def start_prewarm(folder: WorkspaceFolder, record: DeploymentRecord, secrets: dict[str, str]) -> Prewarm | None:
    """Starts the supervisor and returns at once; None where the deployment gets no prewarm. For the caller."""
    request = DeploymentRequest.from_dict(record.request)
    supervisor = SupervisorClient(folder.services / request.service)
    if secrets or not _is_eligible(request) or supervisor.has_served():
        return None
    # Without its folder a supervisor ends by itself; to look for one among all processes would take 5 ms.
    if supervisor.find_process(by_files=not supervisor.folder.exists()) is not None:
        return None
    service = folder.open_store().get_service(request.service)
    if service is not None and service.revision:  # another engine has it, and its port
        return None
    try:
        process = supervisor.spawn(0, prewarm=True)
    except OSError:
        return None
    identity = process_identity.identify_process(process.pid)
    try:
        atomic_write(folder.deployments / record.id / PREWARM_FILE, json.dumps(identity), durable=False)
    except (OSError, MldeployError):
        process.kill()  # an unrecorded supervisor could never be stopped
        return None
    threading.Thread(
        target=_describe_zygote,
        args=(folder, supervisor.folder, process, request),
        name=f"mldeploy-ahead-{request.service}",
        daemon=True,
    ).start()
    return Prewarm(supervisor, identity)


def find_prewarm(folder: WorkspaceFolder, deployment_id: str) -> Prewarm | None:
    """The prewarm that the caller started for this deployment, if any. For the runner."""
    deployment_folder = folder.deployments / deployment_id
    try:
        request, process = (read_json(deployment_folder / name) for name in (REQUEST_FILE, PREWARM_FILE))
        return Prewarm(SupervisorClient(folder.services / str(request["service"])), process)
    except (OSError, ValueError, KeyError):
        return None


def _is_eligible(request: DeploymentRequest) -> bool:
    has_environment = bool(request.inference_config.get("environment"))
    has_port = bool(_config(request).get("port"))
    return request.target == "local" and request.operation == "deploy" and not has_environment and not has_port


def _describe_zygote(
    folder: WorkspaceFolder, service_folder: Path, process: subprocess.Popen[bytes], request: DeploymentRequest
) -> None:
    """Tells the supervisor how to spawn its zygote and what that imports. It waits for the end of its input."""
    assert process.stdin is not None
    # Without the imports the deployment is only slower, and its own check reports what is wrong.
    with suppress(MldeployError, OSError), process.stdin as stdin:
        settings = _settings(request, service_folder, registered_models(request.models, folder.open_store()))
        mark, known = new_mark(), Settings.from_dict(settings)
        order = {
            "command": server_command("zygote", known),
            "environment": process_environment(known, mark),
            "mark": mark,
            "settings": settings,
        }
        stdin.write(json.dumps(order).encode())


def _config(request: DeploymentRequest) -> dict[str, Any]:
    return DeployConfig.from_dict(request.deploy_config).resolve()


def _settings(request: DeploymentRequest, folder: Path, models: list[ModelRecord]) -> dict[str, Any]:
    """The server settings that the imports need; the plan brings the others."""
    return {
        "python": request.kernel_python,
        "server_path": str(server_source.link_package(folder / "server")),
        "server_digest": server_source.compute_digest(server_source.read_files()),
        "env": dict(_config(request).get("environment_variables") or {}),
        "inherited": inherited(os.environ),
        "preload": modules_to_preload(list_source(request), models),
    }
