"""Records of services that the store has lost, from the labels of their containers and images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.targets.docker import names
from mldeploy_jupyter.targets.docker.containers import ServiceContainers
from mldeploy_jupyter.targets.docker.layout import Layout
from mldeploy_jupyter.targets.docker.status import endpoint_of


def describe_service(containers: ServiceContainers, layout: Layout, folder: Path) -> ServiceRecord:
    """The record of a service that was found in the engine. Its endpoint has the keys of `describe_image`, too.

    Raises `EngineError`.
    """
    serving, endpoint = layout.serving, {}
    if serving is not None:
        endpoint = {**endpoint_of(serving, containers.engine).to_dict(), **describe_image(containers, layout)}
    return ServiceRecord(
        containers.service,
        "docker",
        "Local",
        workspace_id=containers.workspace_id,
        revision=layout.revision,
        deployment_id=layout.deployment_id,
        endpoint=endpoint,
        auth_enabled=layout.settings.get("auth_enabled") is not False,
        folder=str(folder),
    )


def describe_image(containers: ServiceContainers, layout: Layout) -> dict[str, Any]:
    """The image of what serves: its name, `image_id`, and `receipt`, the part of it that the labels have.

    Code that a reload has put into the container is not part of the image; the receipt then names no bundle.
    """
    assert layout.serving is not None
    id = str(containers.inspect(layout.serving).get("Image") or "")
    found = containers.inspect_image(id) if id else {}
    labels = (found.get("Config") or {}).get("Labels") or {}
    known = {key: str(labels.get(f"{names.PREFIX}.{key}") or "") for key in ("bundle", "lock", "python")}
    if layout.revision != layout.serving.revision:
        known["bundle"] = ""
    tags = [str(tag).removeprefix("localhost/") for tag in found.get("RepoTags") or []]
    own = f"{names.image_repository(containers.workspace_id, containers.service)}:"
    tags.sort(key=lambda tag: (not tag.startswith(own), tag))
    return {"image": tags[0] if tags else id, "image_id": id, "receipt": {"image": id, **known} if id else {}}
