"""Labels and names of a service's objects on an engine, and paths inside its containers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PREFIX = "io.mldeploy"
WORKSPACE, SERVICE = f"{PREFIX}.workspace", f"{PREFIX}.service"
REVISION, DEPLOYMENT = f"{PREFIX}.revision", f"{PREFIX}.deployment"
ROLE, FOLDER, PORT = f"{PREFIX}.role", f"{PREFIX}.folder", f"{PREFIX}.port"

# Where the workspace was when the container was made, and its owner: another machine, or another container with the
# engine's socket, has other folders. Containers of older versions lack them.
ROOT, HOST, USER_ID = f"{PREFIX}.root", f"{PREFIX}.host", f"{PREFIX}.user"

IMAGE = f"{PREFIX}.image"  # of an image that we made

LISTENER_ROLE, SERVICE_ROLE = "listener", "service"

# Inside a container; `serving/container` and the image builders have the same.
PYTHON = "/opt/venv/bin/python"
PROGRAM = (PYTHON, "-P", "-m", "mldeploy_serving.container")
STATE = "/var/lib/mldeploy"
SHARED = f"{STATE}/shared"
KEYS = f"{SHARED}/keys.json"
USER = GROUP = 10001
CONTAINER_PORT = 5001


@dataclass(frozen=True)
class ServiceContainer:
    """A container of a service, as a list of containers has it.

    `state` is the engine's word: created, running, paused, restarting, exited, dead. `status` is its sentence, such as
    `Up 3 minutes (healthy)`. `folder` is the state folder of a service container. `port` is the one that a listener
    publishes, or at which a service container accepts through its listener.
    """

    id: str
    name: str
    role: str
    state: str
    status: str
    created: int
    service: str
    revision: int = 0
    deployment_id: str = ""
    folder: str = ""
    port: int = 0

    @property
    def is_running(self) -> bool:
        return self.state == "running"

    @property
    def may_run(self) -> bool:
        """Whether it runs, or the engine is about to start it again."""
        return self.state in ("running", "restarting", "paused")


def read_container(data: dict[str, Any]) -> ServiceContainer:
    """A container from an entry of the engine's list."""
    labels = data.get("Labels") or {}
    return ServiceContainer(
        str(data["Id"]),
        str((data.get("Names") or [data["Id"]])[0]).lstrip("/"),
        labels.get(ROLE, ""),
        str(data.get("State") or "").lower(),
        str(data.get("Status") or ""),
        _whole(data.get("Created")),
        labels.get(SERVICE, ""),
        _whole(labels.get(REVISION)),
        labels.get(DEPLOYMENT, ""),
        labels.get(FOLDER, ""),
        _whole(labels.get(PORT)),
    )


def common_name(workspace_id: str, service: str) -> str:
    """The name of a service's volume, with which those of its containers begin."""
    return f"mldeploy-{workspace_id[:8]}-{service}"


def image_repository(workspace_id: str, service: str) -> str:
    """The repository of a service's images in the engine; the tag is the revision's number."""
    return f"mldeploy-{workspace_id[:8]}/{service}"


def listener_socket(port: int) -> str:
    """The path of the Unix socket through which the listener of a port hands over its listening socket."""
    return f"{SHARED}/{port}/listener.sock"


def _whole(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0
