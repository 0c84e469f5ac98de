"""The states of a workspace's services, on all targets, without asking each service."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.targets.glance import Glance
from mldeploy_jupyter.targets.process_glance import Glances as ProcessGlances

if TYPE_CHECKING:
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
    from mldeploy_jupyter.targets.docker.glance import ContainerGlances


class Glances:
    """Reads the states of services repeatedly; those of a target that cannot be read this way are left out.

    For one thread at a time.
    """

    def __init__(self, folder: WorkspaceFolder) -> None:
        self._folder = folder
        self._processes = ProcessGlances(folder.services)
        self._containers: ContainerGlances | None = None  # made when the first service has one

    def look(self, services: Iterable[ServiceRecord]) -> dict[str, Glance]:
        """The state of each of these services of this machine."""
        services = list(services)
        found = self._processes.look([service.name for service in services if service.target == "local"])
        contained = [service.name for service in services if service.target == "docker"]
        if contained and self._containers is None:
            from mldeploy_jupyter.targets.docker.glance import ContainerGlances

            self._containers = ContainerGlances(self._folder.id)
        if self._containers is not None:
            found |= self._containers.look(contained)
        return found

    def has_ended(self) -> bool:
        """Whether one of the services has ended since the last call. This is cheap."""
        return self._processes.has_ended() or (self._containers is not None and self._containers.has_ended())

    def close(self) -> None:
        """Closes what it has open."""
        self._processes.close()
        if self._containers is not None:
            self._containers.close()
