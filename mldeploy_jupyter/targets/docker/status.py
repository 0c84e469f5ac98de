"""The state of a service in containers: whether it answers, and why it does not."""

from __future__ import annotations

import http.client
import json
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.docker_engine import EngineError
from mldeploy_jupyter.targets.base import Endpoint, ServiceStatus
from mldeploy_jupyter.targets.docker import control
from mldeploy_jupyter.targets.docker.collector import AWAY_SECONDS
from mldeploy_jupyter.targets.docker.containers import ServiceContainers
from mldeploy_jupyter.targets.docker.exit_reason import GONE, describe_end
from mldeploy_jupyter.targets.docker.layout import Layout
from mldeploy_jupyter.targets.docker.names import ServiceContainer
from mldeploy_jupyter.targets.ports import HOST

if TYPE_CHECKING:
    from mldeploy_jupyter.docker_engine import Engine

READY_SECONDS = 3.0  # for an answer to GET /ready


def read_status(containers: ServiceContainers, layout: Layout, serving: ServiceContainer) -> ServiceStatus:
    """The state of a service, from its containers and its `GET /ready`. Raises `EngineError`."""
    listener, engine = layout.listener, containers.engine
    endpoint = endpoint_of(serving, engine)
    details: dict[str, Any] = {"last_deploy": {}, "container": serving.name, "engine": engine.describe()}
    status = ServiceStatus("Live", layout.revision, layout.deployment_id, endpoint, details=details)
    listener_runs = listener is not None and listener.may_run
    if not serving.may_run and not listener_runs:
        return replace(status, state="Stopped")
    data = containers.inspect(serving)
    state = data.get("State") or {}
    details |= {"restarts": data.get("RestartCount", 0), "last_exit": read_last_exit(state.get("Health") or {})}
    if not state.get("Running") or state.get("Restarting"):
        return replace(status, state="Unhealthy", failure=describe_end(containers, serving))
    if listener is None or not listener.is_running:
        failure = describe_end(containers, listener) if listener is not None else GONE
        return replace(status, state="Unhealthy", failure={**failure, "what": "the listener does not run"})
    if is_ready(listener.port):
        return status
    failure = _read_reason(containers, serving)
    if restarts := details["restarts"]:
        times = f"{restarts} time{'' if restarts == 1 else 's'}"
        failure = {**failure, "message": f"{failure['message']}; its container was started again {times}"}
    return replace(status, state="Unhealthy", failure=failure)


def _read_reason(containers: ServiceContainers, serving: ServiceContainer) -> dict[str, Any]:
    """Why a running container is not ready, from its supervisor."""
    try:
        answer = control.call(containers.engine, serving.id, "status", timeout=AWAY_SECONDS, ask_workers=True)
    except (control.ContainerGone, EngineError) as error:
        return {"code": "supervisor-silent", "message": str(error) or "it does not answer"}
    failure = answer.get("failure") or (answer.get("last_deploy") or {}).get("failure")
    return failure or {"code": "not-ready", "message": f"it is not ready: {answer.get('state', 'starting')}"}


def endpoint_of(container: ServiceContainer, engine: Engine, **details: Any) -> Endpoint:
    uri = f"http://{HOST}:{container.port}"
    details = {"port": container.port, "host": process_identity.host_name(), **details}
    return Endpoint(f"{uri}/score", f"{uri}/swagger.json", {"container": container.name, **details})


def is_ready(port: int) -> bool:
    """Whether the service answers `GET /ready` with 200."""
    connection = http.client.HTTPConnection(HOST, port, timeout=READY_SECONDS)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def read_last_exit(health: dict[str, Any]) -> dict[str, Any] | None:
    """Why a worker died last, as the image's health check printed it; None when none has died."""
    for entry in reversed(health.get("Log") or []):
        for line in str(entry.get("Output") or "").splitlines():
            if line.startswith("{"):
                with suppress(ValueError):
                    return dict(json.loads(line))
        return None
    return None
