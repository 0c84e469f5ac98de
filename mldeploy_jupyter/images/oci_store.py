"""Images that were made without an engine: found again, pushed, written to disk, loaded into an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.core.files import read_json_if_valid
from mldeploy_jupyter.docker_engine import engine_errors
from mldeploy_jupyter.images.blob_store import BlobStore, StoredLayer, storage_errors
from mldeploy_jupyter.images.layer_tar import Entry, LayerFile, iterate_tar
from mldeploy_jupyter.images.oci_layout import OciImage, iterate_archive
from mldeploy_jupyter.images.registry import (
    Blob,
    Credentials,
    Manifest,
    Pushed,
    Registry,
    parse_manifest,
    parse_reference,
    push_image,
    read_blob,
)
from mldeploy_jupyter.images.registry.manifests import OCI_CONFIG
from mldeploy_jupyter.images.types import BuiltImage, Cancel, Emit, Layer

if TYPE_CHECKING:
    from mldeploy_jupyter.docker_engine import Engine
    from mldeploy_jupyter.images.oci_base import Base

ROOM = "images"


def keep_image(
    store: BlobStore,
    manifest: Manifest,
    base: Base,
    layers: Sequence[tuple[Layer, StoredLayer, Mapping[str, LayerFile] | None]],
    tag: str,
) -> None:
    """Remembers an image, so that another process can push it. A layer of files is kept as the list of these."""
    described: list[dict[str, Any]] = [
        {"digest": blob.digest, "name": blob.name, "source": str(blob.source or "")} for blob in base.layers
    ]
    for layer, made, files in layers:
        entry: dict[str, Any] = {"digest": made.digest, "name": layer.name}
        if files is not None:
            entry["files"] = {
                name: [str(file.source), file.digest, file.size, file.mode] for name, file in files.items()
            }
        described.append(entry)
    data = {
        "digest": manifest.digest,
        "id": manifest.data["config"]["digest"],
        "tag": tag,
        "manifest": manifest.text.decode(),
        "layers": described,
    }
    store.remember(ROOM, manifest.digest, data)


def list_images(cache: Path) -> list[dict[str, Any]]:
    """The images that are kept, newest first, each with `digest`, `id`, `tag` and `size`, the bytes of its layers."""
    found = []
    for path in (cache / ROOM).glob("*.json"):
        data = read_json_if_valid(path)
        with suppress(OSError, ImageError, KeyError, TypeError, AttributeError):
            manifest = parse_manifest(str((data or {})["manifest"]).encode())
            size = sum(part["size"] for part in manifest.data["layers"])
            entry = {name: str((data or {})[name]) for name in ("digest", "id", "tag")}
            found.append((path.stat().st_mtime, {**entry, "size": size}))
    return [entry for _, entry in sorted(found, key=lambda pair: -pair[0])]


def open_image(
    name: str, cache: Path, *, credentials: Credentials | None = None, check: Callable[[], None] = lambda: None
) -> OciImage:
    """The image with this digest, id or tag. `credentials` are those of its base's registry.

    Raises `ImageError` where there is none.
    """
    store = BlobStore(cache)
    data = store.recall(ROOM, name) if name.startswith("sha256:") else None
    if data is None:
        for entry in list_images(cache):
            if name in (entry["id"], entry["tag"], entry["digest"]):
                data = store.recall(ROOM, entry["digest"])
                break
    if data is None:
        raise ImageError(
            f"there is no image {name}",
            why=f"none of that name was made without an engine, or it was removed from {cache}",
            hint="mldeploy image list; or build it again",
            code="ImageNotFound",
        )
    manifest = parse_manifest(data["manifest"].encode())
    config = manifest.data["config"]
    layers = [
        _open_layer(store, part, entry, credentials, check)
        for part, entry in zip(manifest.data["layers"], data["layers"], strict=True)
    ]
    own = Blob(config["digest"], config["size"], OCI_CONFIG, _stored(store, config["digest"]), name="configuration")
    return OciImage(manifest, own, layers)


def keep_for(user: Path, name: str, cache: Path, *, check: Callable[[], None] = lambda: None) -> None:
    """Keeps the image `name` whole for as long as the file `user` exists: its layers are in the cache, each once.

    Raises `ImageError`, and what reading a layer raises.
    """
    store, image = BlobStore(cache), open_image(name, cache, check=check)
    with storage_errors(cache):
        store.keep(image.manifest.digest, [blob.digest for blob in image.blobs], user)
        for blob in image.blobs:
            if not store.has(blob.digest, blob.size):
                store.add_pieces(blob.read(0), blob.digest)


def push(
    image: OciImage | BuiltImage,
    reference: str,
    credentials: Credentials | None,
    emit: Emit,
    cancel: Cancel,
    *,
    cache: Path | None = None,
    registry: Registry | None = None,
) -> Pushed:
    """Pushes an image to `reference`. One that `oci.build` made needs the same `cache`. Raises `ImageError`."""
    if isinstance(image, BuiltImage):
        if cache is None:
            raise TypeError("a built image needs its cache")
        image = open_image(image.digest, cache, check=cancel)
    return push_image(image.manifest, image.blobs, reference, credentials, emit, cancel, registry=registry)


def load(image: OciImage, engine: Engine, tag: str, emit: Emit, cancel: Cancel) -> str:
    """Loads an image into an engine under the name `repository:tag`. Returns its id. Raises `EngineError`."""

    def pieces() -> Iterator[bytes]:
        for piece in iterate_archive(image, tag):
            cancel()
            yield piece

    emit("image", "log", f"loading {tag} into {engine.describe()}")
    with engine_errors(engine.endpoint, image=tag):
        for event in engine.client.api.load_image(pieces(), quiet=True) or ():
            if event.get("error"):
                raise ImageError(
                    f"the image could not be loaded into {engine.describe()}",
                    why=str(event["error"]),
                    hint="see the engine's log, then deploy again",
                )
        return str(engine.client.images.get(tag).id)


def _open_layer(
    store: BlobStore, part: dict[str, Any], entry: dict[str, Any], credentials: Credentials | None, check: Cancel
) -> Blob:
    digest, size, media_type = part["digest"], part["size"], part["mediaType"]
    if entry.get("files") is not None:
        files: dict[str, Entry] = {
            name: LayerFile(Path(source), file_digest, file_size, mode)
            for name, (source, file_digest, file_size, mode) in entry["files"].items()
        }

        def read_files(offset: int) -> Iterator[bytes]:
            if store.has(digest, size):
                return store.read(digest, offset)
            return iterate_tar(files, offset=offset, check=check)

        return Blob(digest, size, media_type, read_files, None, entry["name"])
    source = parse_reference(entry["source"]) if entry.get("source") else None

    def read(offset: int) -> Iterator[bytes]:
        if source is None or store.has(digest, size):
            return store.read(digest, offset)
        registry = Registry(source.registry, credentials, cancel=check)
        return read_blob(registry, source.repository, digest, size, offset)

    return Blob(digest, size, media_type, read, source, entry["name"])


def _stored(store: BlobStore, digest: str) -> Callable[[int], Iterator[bytes]]:
    return lambda offset: store.read(digest, offset)
