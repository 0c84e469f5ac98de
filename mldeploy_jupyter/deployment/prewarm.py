"""A first deployment's supervisor, started by the caller: it imports what the script needs while the runner loads.

The imports take longer than everything else, and depend on nothing that the deployment finds out. Only where that is
certain: the deployment of a local service that is not there yet, in the kernel's interpreter as it is, on any port,
with keys of our own. Everywhere else, and whenever this fails, the target begins when it is asked to apply the plan.

The caller writes down whom it has started, and only then lets the runner begin, which takes it over.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.bundle import server_source
from mldeploy_jupyter.core.bundle.source_directory import list_source_files
from mldeploy_jupyter.core.configs import DeployConfig
from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.core.files import atomic_write
from mldeploy_jupyter.core.records import DeploymentRecord, DeploymentRequest, ModelRecord
from mldeploy_jupyter.core.script.imports import modules_to_preload
from mldeploy_jupyter.deployment.plan import registered_models
from mldeploy_jupyter.targets import TargetFailure
from mldeploy_jupyter.targets.supervisor_client import START_DEADLINE, SupervisorClient

if TYPE_CHECKING:
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


FILE = "ahead.json"  # in the deployment's folder: which process the supervisor is


class Prewarm:
    """A supervisor that was started ahead. As a block: one whose deployment failed without a revision is ended."""

    def __init__(self, supervisor: SupervisorClient, who: dict[str, Any]) -> None:
        self._supervisor = supervisor
        self._who = who

    def ready(self, clock: Callable[[], float] = time.monotonic, wait: Callable[[float], Any] = time.sleep) -> None:
        """Returns when it can be asked, or will never be."""
        end = clock() + START_DEADLINE
        while self._supervisor.running() is None and process_identity.is_alive(self._who) and clock() < end:
            wait(0.005)

    def __enter__(self) -> Prewarm:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self.ready()
            if not self._supervisor.live():
                self._supervisor.stop()


def begin(folder: WorkspaceFolder, record: DeploymentRecord, secrets: dict[str, str]) -> Prewarm | None:
    """Starts the supervisor, and returns at once; None where there is no head start. For whoever makes the runner."""
    request = DeploymentRequest.from_dict(record.request)
    supervisor = SupervisorClient(folder.services / request.service)
    if secrets or not _is_plain(request) or supervisor.live() or supervisor.running() is not None:
        return None
    try:
        process = supervisor.launch(0)
    except OSError:
        return None
    who = process_identity.identify_process(process.pid)
    try:
        atomic_write(folder.deployments / record.id / FILE, json.dumps(who), durable=False)
    except (OSError, MldeployError):
        process.kill()  # whom nobody knows, nobody would end
        return None
    threading.Thread(
        target=_order,
        args=(folder, supervisor, process, request),
        name=f"mldeploy-ahead-{request.service}",
        daemon=True,
    ).start()
    return Prewarm(supervisor, who)


def begun(folder: WorkspaceFolder, deployment_id: str) -> Prewarm | None:
    """What the caller has begun; for whoever carries the deployment out."""
    place = folder.deployments / deployment_id
    try:
        request, who = (json.loads((place / name).read_text()) for name in ("request.json", FILE))
    except (OSError, ValueError):
        return None
    return Prewarm(SupervisorClient(folder.services / request["service"]), who)


def _is_plain(request: DeploymentRequest) -> bool:
    own = request.inference_config.get("environment")
    return request.target == "local" and request.operation == "deploy" and not own and not _config(request).get("port")


def _order(
    folder: WorkspaceFolder, supervisor: SupervisorClient, process: subprocess.Popen[bytes], request: DeploymentRequest
) -> None:
    with suppress(MldeployError, TargetFailure, OSError):
        models = registered_models(request.models, folder.open_store())
        settings = _settings(request, supervisor.folder, models)
        if supervisor.await_start(process) is not None:
            supervisor.call("import", timeout=5.0, settings=settings)


def _config(request: DeploymentRequest) -> dict[str, Any]:
    return DeployConfig.from_dict(request.deploy_config).resolved()


def _settings(request: DeploymentRequest, folder: Path, models: list[ModelRecord]) -> dict[str, Any]:
    """What the supervisor needs to know for the imports; the rest comes with the plan."""
    data = request.inference_config
    directory = data.get("source_directory")
    source = list_source_files(data["entry_script"] if directory else data["entry_path"], directory)
    return {
        "python": request.kernel_python,
        "server_path": str(server_source.link_package(folder / "server")),
        "server_digest": server_source.compute_digest(server_source.read_files()),
        "env": dict(_config(request).get("environment_variables") or {}),
        "preload": modules_to_preload(source, models),
    }
