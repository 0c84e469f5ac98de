"""Starts a stopped service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter import deployment
from mldeploy_jupyter.core.errors import DeploymentFailed

if TYPE_CHECKING:
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


def start(folder: WorkspaceFolder, name: str, tell: Callable[[str], Any]) -> None:
    """The body of `Webservice.start`, which documents it. `tell` gets what the owner should know."""
    try:
        deployment.control_service(folder, name, "start", tell)
    except DeploymentFailed as error:
        if getattr(error.cause, "code", "") == "port-in-use":  # a service keeps its port
            error.hint = f"stop that process, or move the service with `mldeploy service update {name} --port N`"
            error.cause = replace(error.cause, hint=error.hint)
        raise
