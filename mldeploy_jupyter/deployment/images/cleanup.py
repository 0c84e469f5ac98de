"""Removes images that nothing uses, in a prune: those of old revisions, and layers that no image has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.deployment.images import build, receipts

if TYPE_CHECKING:
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
    from mldeploy_jupyter.docker_engine import Engine

GRACE_SECONDS = 3600  # age below which a layer may belong to a build in progress

UNUSED_SECONDS = 7 * 24 * 3600.0  # after which what a builder without an engine had kept is removed


def list_unused_images(folder: WorkspaceFolder, *, clock: Callable[[], float] = time.time) -> list[str]:
    """The names of images that no revision of the workspace can be served from, and of layers that no image has.

    None without an engine. Layers are shared by all workspaces of an engine, and so are looked at for all.
    """
    engine = _find_engine()
    if engine is None:
        return []
    store, prefix = folder.open_store(), f"mldeploy-{folder.id[:8]}/"
    known = {service.name for service in store.list_services()}
    needed = [
        revision
        for revision in store.list_revisions()
        if revision.service in known and revision.outcome in ("live", "kept", "pending")
    ]
    used = {f"{prefix}{revision.service}:{revision.number}" for revision in needed}
    # A revision may have the image of another one, which has only that one's name.
    used |= {name for revision in needed for name in (revision.image, revision.image_id)} - {""}
    used |= {str(package.get("reference")) for package in receipts.list_packages(folder)}
    unused = [tag for tag, id in _tags(engine) if tag.startswith(prefix) and not used & {tag, id}]
    return [*unused, *_unused_layers(engine, set(unused), clock())]


def remove_unused_images(folder: WorkspaceFolder, *, clock: Callable[[], float] = time.time) -> int:
    """Removes what `list_unused_images` lists, and layers in the cache that were not used for a week."""
    from mldeploy_jupyter.images.blob_store import BlobStore

    removed, engine = 0, _find_engine()
    # Without the names of old revisions, their layers are unused, too.
    while names := list_unused_images(folder, clock=clock):
        count = _remove(engine, names)
        removed += count
        if not count:
            break
    with suppress(OSError):
        BlobStore(build.image_cache()).sweep(min_age=UNUSED_SECONDS, now=clock)
    return removed


def _unused_layers(engine: Engine, removed: set[str], now: float) -> list[str]:
    from mldeploy_jupyter.images.docker_builder import REPOSITORY

    steps: dict[str, tuple[str, ...]] = {}
    images: list[tuple[str, ...]] = []
    for found in _inspect_all(engine):
        layers = tuple((found.get("RootFS") or {}).get("Layers") or ())
        tags = [str(tag) for tag in found.get("RepoTags") or []]
        own = [tag for tag in tags if tag.startswith(f"{REPOSITORY}:")]
        if now - _created(found) > GRACE_SECONDS:
            steps |= dict.fromkeys(own, layers)
        elif own:
            images.append(layers)
        if any(tag not in own and tag not in removed for tag in tags):
            images.append(layers)
    return [tag for tag, layers in steps.items() if not any(one[: len(layers)] == layers for one in images)]


def _inspect_all(engine: Engine) -> Iterable[dict[str, Any]]:
    from docker.errors import DockerException

    for entry in engine.client.api.images():
        with suppress(DockerException):  # removed meanwhile
            yield engine.client.api.inspect_image(entry["Id"])


def _created(found: dict[str, Any]) -> float:
    text = str(found.get("Created") or "")[:19]
    with suppress(ValueError):
        return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    return 0.0


def _find_engine() -> Engine | None:
    from mldeploy_jupyter import docker_engine

    try:
        return docker_engine.open_engine()
    except docker_engine.EngineError:
        return None


def _tags(engine: Engine) -> list[tuple[str, str]]:
    """The names of all images, each with the id of its image."""
    from docker.errors import DockerException

    try:
        found = engine.client.api.images()
    except (DockerException, OSError):
        return []
    tags = [(str(tag), str(entry.get("Id") or "")) for entry in found for tag in entry.get("RepoTags") or []]
    return [(tag.removeprefix("localhost/"), id) for tag, id in tags]  # of Podman


def _remove(engine: Engine | None, names: Iterable[str]) -> int:
    from docker.errors import DockerException

    count = 0
    for name in names if engine is not None else ():
        with suppress(DockerException, OSError):  # a container uses it, or another process was faster
            engine.client.api.remove_image(name)  # type: ignore[union-attr]
            count += 1
    return count
