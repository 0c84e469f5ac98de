"""Why a container ended, as a failure: from the file its service wrote, the engine's state, and its last lines."""

from __future__ import annotations

import signal
from typing import Any

from mldeploy_jupyter.docker_engine import EngineError, engine_errors
from mldeploy_jupyter.targets.docker.containers import ServiceContainers
from mldeploy_jupyter.targets.docker.names import ServiceContainer

TAIL_LINES = 30

FAILURE_FILE = "failure.json"  # in the state folder: why the revision could not be started

GONE = {
    "code": "container-gone",
    "message": "the container is gone",
    "what": "the container of the service is gone",
    "why": "it was removed outside of mldeploy, for example with `docker rm`",
    "hint": "deploy the service again, or delete it",
}


def describe_end(containers: ServiceContainers, container: ServiceContainer) -> dict[str, Any]:
    """The failure of a container that ended or is started again and again."""
    data = containers.inspect(container)
    if not data:
        return GONE
    state, limit = data.get("State") or {}, (data.get("HostConfig") or {}).get("Memory") or None
    status = state.get("ExitCode")
    written = containers.read_json(container, FAILURE_FILE)
    if written.get("code"):
        memory = written.get("memory") or {}
        return {**written, "memory": {**memory, "limit": limit or memory.get("limit")}} if memory else written
    facts: dict[str, Any] = {"log_tail": read_tail(containers, container), "exit_code": status}
    if restarts := data.get("RestartCount"):
        facts["restarts"] = restarts
    if state.get("OOMKilled"):
        memory = {"oom_kill": True, "limit": limit, "peak": None}
        return {"code": "killed", "message": "killed for memory", "signal": 9, "memory": memory, **facts}
    if isinstance(status, int) and status > 128 and status - 128 in set(signal.Signals):
        number = status - 128
        message = f"the container was ended by {signal.Signals(number).name}"
        return {"code": "killed", "message": message, "signal": number, "memory": {"oom_kill": False}, **facts}
    message = str(state.get("Error") or f"the container ended with exit code {status}")
    return {"code": "container-exited", "message": message, **facts}


def read_tail(containers: ServiceContainers, container: ServiceContainer) -> list[str]:
    """The last lines that the container printed, as text."""
    from mldeploy_jupyter.targets.process_log import parse_line

    try:
        with engine_errors(containers.engine.endpoint):
            output = containers.engine.client.api.logs(container.id, tail=TAIL_LINES)
    except EngineError:
        return []
    return [line for entry in output.splitlines() for line in parse_line(entry).text.splitlines()]
