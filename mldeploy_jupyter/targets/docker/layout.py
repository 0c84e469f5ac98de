"""Which of a service's containers serves, which is its listener, and which are left over from interrupted attempts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mldeploy_jupyter.targets.docker.containers import ServiceContainers
from mldeploy_jupyter.targets.docker.live_record import LiveRecord
from mldeploy_jupyter.targets.docker.names import LISTENER_ROLE, SERVICE_ROLE, ServiceContainer

LIVE_FILE, RETIRED_FILE = "live.json", "retired.json"  # in a container's state folder


@dataclass(frozen=True)
class Layout:
    """`serving` has the traffic, or had it when the service was stopped; `live` says which revision that is.

    `retired` have handed over their traffic and finish their requests; `others` never had any traffic.
    """

    serving: ServiceContainer | None = None
    listener: ServiceContainer | None = None
    revision: int = 0
    deployment_id: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    retired: list[ServiceContainer] = field(default_factory=list)
    others: list[ServiceContainer] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (self.serving or self.listener or self.retired or self.others)

    @property
    def leftovers(self) -> list[ServiceContainer]:
        return [*self.retired, *self.others]


def read_layout(containers: ServiceContainers, record: LiveRecord) -> Layout:
    """Finds the container that serves: from the record when it is certain, otherwise from files in the volume."""
    found = containers.find()
    services = [container for container in found if container.role == SERVICE_ROLE]
    listeners = [container for container in found if container.role == LISTENER_ROLE]
    if len(services) == 1 and services[0].id == record.container and not record.changing:
        return _arrange(services[0], listeners, [], [], record.revision, record.deployment_id)
    live: dict[str, Any] = {}
    serving: ServiceContainer | None = None
    retired, others = [], []
    for container in reversed(services):
        data = containers.read_json(container, LIVE_FILE)
        if serving is None and data.get("revision") and not containers.read_json(container, RETIRED_FILE):
            serving, live = container, data
        elif data.get("revision") or containers.read_json(container, RETIRED_FILE):
            retired.append(container)
        else:
            others.append(container)
    revision, deployment_id = live.get("revision"), live.get("deployment_id")
    return _arrange(
        serving,
        listeners,
        retired,
        others,
        revision if isinstance(revision, int) else 0,
        deployment_id if isinstance(deployment_id, str) else "",
        live.get("settings"),
    )


def _arrange(
    serving: ServiceContainer | None,
    listeners: list[ServiceContainer],
    retired: list[ServiceContainer],
    others: list[ServiceContainer],
    revision: int,
    deployment_id: str,
    settings: Any = None,
) -> Layout:
    """The listener is that of the serving container's port; without one, the newest."""
    fitting = [one for one in listeners if serving is None or one.port == serving.port] or listeners
    listener = fitting[-1] if fitting else None
    others = [*others, *(one for one in listeners if one is not listener)]
    settings = settings if isinstance(settings, dict) else {}
    return Layout(serving, listener, revision, deployment_id, settings, retired, others)
