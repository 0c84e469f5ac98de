"""Errors that both targets of this machine raise, in the same words for a process and a container."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.errors import WebserviceException
from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.serving.system.removal import remove_tree
from mldeploy_jupyter.targets.base import Finding


def port_in_use(port: int, neighbour: str) -> Finding:
    """The finding that another service, `neighbour`, has the port."""
    return Finding(
        "error",
        f"port {port} is in use",
        f"the service {neighbour} has it",
        f"choose another port, or remove it with `mldeploy service delete -n {neighbour}`",
        "port-in-use",
    )


def cannot_start(service: ServiceRecord, why: str) -> WebserviceException:
    """The error for a stopped service of which something that it needs is missing."""
    return WebserviceException(
        f"{service.name} cannot be started as it was",
        why=why,
        hint=f"deploy it again, or delete it: mldeploy service delete {service.name}",
    )


def not_running(service: ServiceRecord, why: str) -> WebserviceException:
    """The error for an operation that needs a running service."""
    return WebserviceException(
        f"{service.name} is not running",
        why=why,
        hint=f"start it with `mldeploy service start -n {service.name}`",
    )


def require_ok(service: ServiceRecord, answer: dict[str, Any]) -> None:
    """Raises `WebserviceException` when the supervisor refused a request."""
    if not answer.get("ok"):
        raise WebserviceException(
            f"{service.name} did not carry out the request",
            why=str((answer.get("failure") or {}).get("message", "no reason was given")),
            hint=f"see its log with `mldeploy service get-logs -n {service.name}`",
        )


def remove_folder(service: ServiceRecord, folder: Path) -> None:
    """Removes the service's folder. Raises `WebserviceException` when something of it is left."""
    errors = remove_tree(folder)
    if folder.exists():
        raise WebserviceException(
            f"the folder of {service.name} could not be removed: {folder}",
            why=str(errors[0]) if errors else "another process created a file in it",
            hint=f"remove it by hand, then run `mldeploy service delete -n {service.name}` again",
        )
