"""Pushes images to registries, exports them as files, and lists those of a workspace."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.errors import ImageError, StorageError
from mldeploy_jupyter.core.text import format_size
from mldeploy_jupyter.deployment.images import build, image, receipts
from mldeploy_jupyter.targets import Cancel, Emit, TargetFailure

if TYPE_CHECKING:
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
    from mldeploy_jupyter.docker_engine import Engine
    from mldeploy_jupyter.images.oci_layout import OciImage
    from mldeploy_jupyter.images.types import BuiltImage

LAYOUT = "oci:"  # begins the name of an image that no engine has: a digest in our cache, or an OCI layout's folder


@dataclass(frozen=True)
class Pushed:
    """An image in a registry; `digest` is that of its manifest, `detail` says how much was sent."""

    reference: str
    digest: str = ""
    detail: str = ""


@dataclass(frozen=True)
class ListedImage:
    """An image that this workspace made. `used_by` names revisions and packages; `size` is None where no engine has it.

    `serves` says that a service runs it now.
    """

    id: str
    reference: str
    created: str
    used_by: list[str] = field(default_factory=list)
    serves: bool = False
    size: int | None = None
    digest: str = ""


def find_reference(folder: WorkspaceFolder, name: str) -> tuple[str, str]:
    """The image that a name means, and the name it has without a registry: a service, a package's id, or an image.

    Raises `ImageError` where the service has none.
    """
    store = folder.open_store()
    service = store.get_service(name)
    if service is not None:
        revision = store.get_revision(name, service.revision) if service.revision else None
        if revision is None or not revision.image_id:
            raise ImageError(
                f"the service {name} has no image",
                why="it runs as a process" if revision is not None else "it has never been live",
                hint="make one with `mldeploy image build`, or deploy it with --to docker --overwrite",
                code="ImageNotFound",
            )
        return revision.image or revision.image_id, f"{name}:{revision.number}"
    for package in receipts.list_packages(folder):
        if package.get("id") == name or package.get("reference") == name:
            location = str(package.get("location") or "")
            if not location or package.get("dockerfile"):
                raise ImageError(
                    f"the package {name} has no image",
                    why="it is a Dockerfile and what it copies" if location else "it was not made",
                    hint=f"build it with `docker build {location}`" if location else "make it again",
                    code="ImageNotFound",
                )
            return str(package.get("kept") or location), _without_registry(
                str(package["reference"]), image.image_registry(folder)
            )
    return name, _without_registry(name, image.image_registry(folder))


def keep(built: BuiltImage, user: Path, cancel: Cancel) -> str:
    """Keeps an image that no engine and no registry has for as long as the file `user` exists.

    Returns what `push` and `export` find it by. Raises `ImageError`.
    """
    from mldeploy_jupyter.images import oci_store

    oci_store.keep_for(user, built.digest, build.image_cache(), check=cancel)
    return f"{LAYOUT}{built.digest}"


def load_kept(folder: WorkspaceFolder, engine: Engine, name: str, emit: Emit, cancel: Cancel) -> None:
    """Loads an image into the engine, where a package of this name is kept and the engine lacks it.

    Raises `TargetFailure` or `ImageError`.
    """
    from mldeploy_jupyter import docker_engine
    from mldeploy_jupyter.images import oci_store

    for package in receipts.list_packages(folder):
        if package.get("reference") == name and package.get("kept") and not build.has_image(engine, name):
            try:
                oci_store.load(_open_kept(str(package["kept"])), engine, name, emit, cancel)
            except docker_engine.EngineError as error:
                raise TargetFailure(error.failure, "image") from None


def _open_kept(source: str) -> OciImage:
    """An image whose name begins with `oci:`. Raises `ImageError`."""
    from mldeploy_jupyter.images import oci_layout, oci_store

    name = source.removeprefix(LAYOUT)
    if name.startswith("sha256:"):
        return oci_store.open_image(name, build.image_cache())
    return oci_layout.read_layout(Path(name))


def push(
    source: str | BuiltImage,
    reference: str,
    emit: Emit,
    cancel: Cancel = lambda: None,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Pushed:
    """Pushes an image to `reference`, with the credentials of the docker config.

    `source` is its name in the engine, what `keep` returned, an OCI layout `oci:<folder>`, or an image that was built
    without an engine.
    Raises `TargetFailure` or `ImageError`.
    """
    if not isinstance(source, str) or source.startswith(LAYOUT):
        from mldeploy_jupyter.images import oci_store

        found = _open_kept(source) if isinstance(source, str) else source
        pushed = oci_store.push(found, reference, None, emit, cancel, cache=build.image_cache())
        detail = f"{format_size(pushed.uploaded_bytes)} uploaded"
        return Pushed(str(pushed.reference), pushed.reference.digest, detail)
    from mldeploy_jupyter import docker_engine

    try:
        engine = docker_engine.open_engine()
        with docker_engine.engine_errors(engine.endpoint, image=reference):
            return _push_from_engine(engine, source, reference, emit, cancel, clock)
    except docker_engine.EngineError as error:
        raise TargetFailure(error.failure, "push") from None


def _push_from_engine(
    engine: Engine, name: str, reference: str, emit: Emit, cancel: Cancel, clock: Callable[[], float]
) -> Pushed:
    from mldeploy_jupyter import docker_engine
    from mldeploy_jupyter.docker_engine.failures import describe_message

    api = engine.client.api
    repository, _, tag = reference.rpartition(":")
    if "/" in tag or not repository:
        repository, tag = reference, "latest"
    api.tag(name, repository, tag)
    progress = _PushProgress(emit, clock)
    for event in api.push(repository, tag=tag, stream=True, decode=True):
        cancel()
        if event.get("error"):
            raise docker_engine.EngineError({**describe_message(event["error"]), "image": reference})
        progress.show(event)
    return Pushed(reference, progress.digest, progress.summary())


class _PushProgress:
    """Adds up what the engine tells of the layers of a push."""

    def __init__(self, emit: Emit, clock: Callable[[], float]) -> None:
        self._emit, self._clock, self._began = emit, clock, clock()
        self._sent: dict[str, int] = {}
        self._total: dict[str, int] = {}
        self._there: set[str] = set()
        self.digest = ""

    def show(self, event: dict[str, Any]) -> None:
        layer, status = str(event.get("id") or ""), str(event.get("status") or "")
        detail = event.get("progressDetail") or {}
        aux = event.get("aux") or {}
        self.digest = str(aux.get("Digest") or self.digest)
        if status == "Pushing" and detail.get("current"):
            self._sent[layer] = int(detail["current"])
            self._total[layer] = max(int(detail.get("total") or 0), int(detail["current"]))
            self._tell()
        elif status in ("Layer already exists", "Pushed") or status.startswith("Mounted"):
            if status != "Pushed":
                self._there.add(layer)
            self._sent[layer] = self._total.get(layer, 0)
            size = format_size(self._total[layer]) if self._total.get(layer) else ""
            self._emit("push", "log", "  ".join(part for part in (f"layer {layer}", status.lower(), size) if part))

    def _tell(self) -> None:
        sent, total = sum(self._sent.values()), sum(self._total.values())
        seconds = self._clock() - self._began
        left = (total - sent) * seconds / sent if sent else 0.0
        text = f"{format_size(sent)} of {format_size(total)}" + (f", about {left:.0f} s left" if left >= 1 else "")
        self._emit("push", "progress", text, fraction=min(1.0, sent / total) if total else None, sent=sent, total=total)

    def summary(self) -> str:
        new = {layer: size for layer, size in self._total.items() if layer not in self._there}
        if not new:
            return "every layer was there already"
        return f"{len(new)} of {len(self._sent)} layers were new, {format_size(sum(new.values()))}"


def export(name: str, path: Path, tag: str) -> int:
    """Writes an image into a file that `docker load` reads, under the name `tag`, and returns its bytes.

    Raises `TargetFailure`, `ImageError`, or `StorageError` when the file cannot be written.
    """
    if path.exists():
        raise StorageError(f"{path} exists already", why="it would be replaced", hint="choose another name with -f")
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if name.startswith(LAYOUT):
            from mldeploy_jupyter.images import oci_layout

            oci_layout.write_archive(_open_kept(name), partial, tag)
        else:
            _save(name, partial)
        partial.rename(path)
    except OSError as error:
        raise StorageError(
            f"{path} could not be written", why=error.strerror or str(error), hint="choose another folder with -f"
        ) from None
    finally:
        partial.unlink(missing_ok=True)
    return path.stat().st_size


def _save(name: str, path: Path) -> None:
    from mldeploy_jupyter import docker_engine

    try:
        engine = docker_engine.open_engine()
        with docker_engine.engine_errors(engine.endpoint, image=name), path.open("xb") as file:
            for chunk in engine.client.images.get(name).save(named=True):
                file.write(chunk)
    except docker_engine.EngineError as error:
        raise TargetFailure(error.failure, "image") from None


def list_images(folder: WorkspaceFolder) -> list[ListedImage]:
    """The images that revisions and packages of the workspace have, newest first."""
    store = folder.open_store()
    serving = {service.name: service.revision for service in store.list_services()}
    found: dict[str, ListedImage] = {}

    def add(id: str, reference: str, created: str, user: str, serves: bool, digest: str) -> None:
        known = found.get(id)
        users = [*(known.used_by if known else []), user]
        created = max(created, known.created if known else "")
        found[id] = ListedImage(
            id,
            known.reference if known else reference,
            created,
            users,
            serves or bool(known and known.serves),
            digest=digest or (known.digest if known else ""),
        )

    for revision in store.list_revisions():
        if revision.image_id:
            serves = serving.get(revision.service) == revision.number
            user = f"{revision.service} revision {revision.number}"
            add(revision.image_id, revision.image, revision.created_time, user, serves, revision.image_digest)
    for package in receipts.list_packages(folder):
        if package.get("image_id"):
            user, created = f"package {package['id']}", str(package.get("created_time") or "")
            add(package["image_id"], str(package["location"]), created, user, False, str(package.get("digest") or ""))
    sizes = _sizes(list(found))
    listed = [
        ListedImage(i.id, i.reference, i.created, i.used_by, i.serves, sizes.get(i.id), i.digest)
        for i in found.values()
    ]
    return sorted(listed, key=lambda one: one.created, reverse=True)


def _sizes(ids: list[str]) -> dict[str, int]:
    """The bytes of the images that the engine has, in one question to it; none without an engine."""
    from mldeploy_jupyter import docker_engine

    sizes: dict[str, int] = {}
    if not ids:
        return sizes
    try:
        engine = docker_engine.open_engine()
        with docker_engine.engine_errors(engine.endpoint):
            entries = engine.client.api.images()
    except docker_engine.EngineError:
        return sizes
    wanted = set(ids)
    for entry in entries:
        # An engine with containerd's store names an image by the digest of its manifest.
        digests = (digest.rpartition("@")[2] for digest in entry.get("RepoDigests") or [])
        sizes.update((id, int(entry.get("Size") or 0)) for id in wanted.intersection([entry["Id"], *digests]))
    return sizes


def _without_registry(reference: str, registry: str) -> str:
    """The name that an image has in any registry: without the host that it names, if it names one."""
    if registry and reference.startswith(f"{registry}/"):
        return reference.removeprefix(f"{registry}/")
    first, slash, rest = reference.partition("/")
    is_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return (rest if is_host else reference).partition("@")[0]
