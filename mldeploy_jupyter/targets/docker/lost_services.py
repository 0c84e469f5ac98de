"""Services in containers whose workspace was deleted: they keep running, and no command of a workspace finds them.

A volume counts as well: it stays when somebody has removed the containers.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mldeploy_jupyter.core.files import read_json_if_valid
from mldeploy_jupyter.docker_engine import engine_errors
from mldeploy_jupyter.targets.docker import names
from mldeploy_jupyter.targets.docker.containers import ServiceContainers, fetch_containers, origin_labels

if TYPE_CHECKING:
    from mldeploy_jupyter.docker_engine import Engine


@dataclass(frozen=True, order=True)
class LostService:
    """A service whose workspace is gone. `root` is where its folder `.mldeploy` was."""

    root: str
    name: str
    workspace_id: str

    def __str__(self) -> str:
        return f"{self.name} of {os.path.dirname(self.root)}"


def list_lost_services(engine: Engine, known: Collection[str]) -> list[LostService]:
    """The services of this user that belong to no workspace, by folder and name.

    `known` are the ids of existing workspaces, wherever they were moved to. A folder that cannot be read counts as
    existing.

    Raises:
        EngineError: the engine refuses, or is gone.
    """
    labels = [names.ROOT, *(f"{name}={value}" for name, value in origin_labels().items())]
    with engine_errors(engine.endpoint):
        api = engine.client.api
        volumes = api.volumes(filters={"label": labels}).get("Volumes") or []
        found = [entry.get("Labels") or {} for entry in (*fetch_containers(api, labels), *volumes)]
    services = {
        LostService(str(one.get(names.ROOT)), str(one.get(names.SERVICE)), str(one.get(names.WORKSPACE)))
        for one in found
        if one.get(names.SERVICE) and one.get(names.WORKSPACE)
    }
    return sorted(
        one for one in services if one.workspace_id not in known and _is_gone(Path(one.root), one.workspace_id)
    )


def remove_lost_service(engine: Engine, service: LostService) -> None:
    """Removes its containers, volume and images. Raises `EngineError`."""
    ServiceContainers(engine, service.workspace_id, service.name).remove_all()


def _is_gone(root: Path, workspace_id: str) -> bool:
    """Whether the workspace is no longer in that folder: the folder is gone, or another workspace is there."""
    try:
        root.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    found = (read_json_if_valid(root / "config.json") or {}).get("id")
    return isinstance(found, str) and found != workspace_id
