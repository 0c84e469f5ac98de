"""The base image, read from its registry or from a folder on disk, without an engine.

Its properties (C library, Pythons, users) are read from the archives of its layers (`layer_facts.py`). No file of
them is written to this disk, and nothing is run.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.core.files import read_json_if_valid
from mldeploy_jupyter.images.base_image import BaseImage
from mldeploy_jupyter.images.blob_store import BlobStore, ByteCounter, decompress
from mldeploy_jupyter.images.layer_facts import (
    FACTS_FORMAT,
    LayerFacts,
    find_libc,
    find_packages,
    find_pythons,
    find_system,
    merge_layers,
    scan_layer,
)
from mldeploy_jupyter.images.oci_layout import read_layout
from mldeploy_jupyter.images.registry import (
    Blob,
    Manifest,
    Reference,
    Registry,
    choose_platform,
    download_blob,
    fetch_manifest,
    parse_manifest,
    parse_reference,
    read_blob,
    wrong_platform,
)
from mldeploy_jupyter.images.registry.manifests import LAYER_TYPES, OCI_GZIP, OCI_TAR
from mldeploy_jupyter.images.registry.transfers import Progress
from mldeploy_jupyter.images.types import Cancel, Emit

LAYOUT = "oci:"  # a base image on disk: `oci:/path/to/layout`, with `:tag` where it has several


@dataclass(frozen=True)
class Base:
    """A base image. `layers` are its blobs, with the media types of the OCI; `config` is its configuration.

    `facts` are its properties, `texts` the files that were read, by their paths in the image.
    """

    reference: str
    manifest: Manifest
    config: dict[str, Any]
    layers: list[Blob]
    facts: BaseImage
    files: frozenset[str] = frozenset()
    texts: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def python(self, version: str) -> str:
        """The path of the Python of the same minor version as `version`; "" where there is none with its library."""
        minor = ".".join(version.split(".")[:2])
        for prefix in ("usr/local", "usr", "opt/conda"):
            library = f"{prefix}/lib/python{minor}"
            has_library = f"{library}/asyncio/__init__.py" in self.files and f"{library}/ssl.py" in self.files
            if f"{prefix}/bin/python{minor}" in self.files and has_library:
                return f"/{prefix}/bin/python{minor}"
        return ""

    @property
    def glibc(self) -> tuple[int, int]:
        """The version of its C library; the oldest supported one when it is unknown."""
        found = re.search(r"(\d+)\.(\d+)", self.facts.libc)
        return (int(found[1]), int(found[2])) if found else (2, 17)


def read_base(
    name: str,
    platform: str,
    store: BlobStore,
    emit: Emit,
    cancel: Cancel,
    *,
    registry: Registry | None = None,
    offline: bool = False,
) -> Base:
    """The base image `name` for `platform`; its layers are downloaded into `store` when they were not yet.

    Raises `ImageError`.
    """
    if name.startswith(LAYOUT):
        return _read_layout_base(name, platform, store, emit, cancel)
    reference = parse_reference(name)
    if registry is None:
        registry = Registry(reference.registry, offline=offline, cancel=cancel)
        try:
            return _read_registry_base(reference, platform, store, emit, registry)
        finally:
            registry.close()
    return _read_registry_base(reference, platform, store, emit, registry)


def _read_registry_base(reference: Reference, platform: str, store: BlobStore, emit: Emit, registry: Registry) -> Base:
    manifest = _fetch(reference, platform, store, emit, registry)
    pinned = reference.with_digest(manifest.digest)
    entry = manifest.data["config"]
    if not store.has(entry["digest"], entry["size"]):
        _download(registry, pinned, [entry], store, lambda count: None)
    missing = [part for part in manifest.data["layers"] if not store.has(part["digest"], part["size"])]
    known = _known_facts(manifest, store)
    if missing and known is None:
        progress = Progress(emit, "image", f"reading {reference}", sum(part["size"] for part in missing))

        def tell(count: int) -> None:
            progress.add(count)
            progress.tick()

        _download(registry, pinned, missing, store, tell)
    layers = [
        Blob(
            part["digest"],
            part["size"],
            LAYER_TYPES.get(part["mediaType"], part["mediaType"]),
            _reader(store, registry, pinned, part["digest"], part["size"]),
            pinned,
            f"base {number + 1}",
        )
        for number, part in enumerate(manifest.data["layers"])
    ]
    return _describe(str(reference), manifest, layers, platform, store, registry.check)


def _reader(
    store: BlobStore, registry: Registry, reference: Reference, digest: str, size: int
) -> Callable[[int], Iterator[bytes]]:
    """Reads a layer of the base from this disk, else from its registry."""

    def read(offset: int) -> Iterator[bytes]:
        if store.has(digest, size):
            return store.read(digest, offset)
        again = Registry(registry.host, registry.credentials, offline=registry.offline, cancel=registry.cancel)
        return read_blob(again, reference.repository, digest, size, offset)

    return read


def _fetch(reference: Reference, platform: str, store: BlobStore, emit: Emit, registry: Registry) -> Manifest:
    """The manifest for the platform. Says when a tag has moved. Without the network, what it named last."""
    key = hashlib.sha256(f"{reference} {platform}".encode()).hexdigest()
    known = store.recall("bases", key) or {}
    if registry.offline and known.get("manifest"):
        return parse_manifest(known["manifest"].encode(), known.get("media_type", ""), str(reference))
    manifest = fetch_manifest(registry, reference)
    if manifest.is_index:
        chosen = choose_platform(manifest, platform, str(reference))
        manifest = fetch_manifest(registry, reference.with_digest(chosen))
    if known.get("digest") not in (None, manifest.digest):
        emit("image", "log", f"{reference} has moved: it was {known['digest'][:19]}, now {manifest.digest[:19]}")
    data = {"digest": manifest.digest, "manifest": manifest.text.decode(), "media_type": manifest.media_type}
    store.remember("bases", key, data)
    return manifest


def _download(
    registry: Registry,
    reference: Reference,
    parts: list[dict[str, Any]],
    store: BlobStore,
    tell: Callable[[int], object],
) -> None:
    with ThreadPoolExecutor(max_workers=4) as pool:
        futures = [
            pool.submit(
                download_blob,
                registry,
                reference.repository,
                part["digest"],
                part["size"],
                store.path(part["digest"]),
                tell,
            )
            for part in parts
        ]
        for future in futures:
            future.result()


def _read_layout_base(name: str, platform: str, store: BlobStore, emit: Emit, cancel: Cancel) -> Base:
    folder, _, tag = name.removeprefix(LAYOUT).partition(":")
    layout = read_layout(Path(folder), tag, platform)
    for blob in layout.blobs:
        if not store.has(blob.digest, blob.size):
            store.add_pieces(_checked(blob.read(0), cancel), blob.digest)
    emit("image", "log", f"{name} is {layout.manifest.digest}")
    return _describe(name, layout.manifest, layout.layers, platform, store, cancel)


def _describe(
    name: str, manifest: Manifest, layers: list[Blob], platform: str, store: BlobStore, check: Callable[[], object]
) -> Base:
    entry = manifest.data["config"]
    config = read_json_if_valid(store.path(entry["digest"])) or {}
    diff_ids = (config.get("rootfs") or {}).get("diff_ids") or []
    own = "/".join(str(config[key]) for key in ("os", "architecture", "variant") if config.get(key))
    if own.split("/")[:2] != platform.split("/")[:2]:
        raise wrong_platform(name, platform, [own] if own else [])
    unreadable = [layer.media_type for layer in layers if layer.media_type not in (OCI_GZIP, OCI_TAR)]
    if len(diff_ids) != len(layers) or unreadable:
        raise ImageError(
            f"the base image {name} cannot be read without an engine",
            why=f"it has layers of type {unreadable[0]}"
            if unreadable
            else "its configuration does not list its layers",
            hint="build with a Docker engine (builder docker), or name another base image",
            code="UnsupportedByBuilder",
        )
    found = _known_facts(manifest, store)
    if found is None:
        found = [
            _read_layer(name, layer, diff_id, store, check) for layer, diff_id in zip(layers, diff_ids, strict=True)
        ]
    files, texts = merge_layers(found)
    image = BaseImage(
        name,
        str(entry["digest"]),
        manifest.digest,
        platform,
        sum(layer.size for layer in layers),
        system=find_system(texts),
        libc=find_libc(files, texts),
        pythons=find_pythons(files, config, texts),
        installers=[],
        packages=find_packages(texts),
    )
    return Base(name, manifest, config, layers, image, frozenset(files), texts)


def _known_facts(manifest: Manifest, store: BlobStore) -> list[LayerFacts] | None:
    """The stored facts of all layers; None when one was not read yet."""
    found = []
    for part in manifest.data["layers"]:
        data = store.recall("bases", part["digest"])
        if not data or data.get("format") != FACTS_FORMAT:
            return None
        try:
            found.append(LayerFacts(**data))
        except TypeError:
            return None
    return found


def _read_layer(name: str, layer: Blob, diff_id: str, store: BlobStore, check: Callable[[], object]) -> LayerFacts:
    """Reads a layer, verifies both of its digests, and stores its facts. Raises `ImageError`."""
    packed, plain = ByteCounter(), ByteCounter()
    try:
        pieces = plain.through(decompress(packed.through(_checked(layer.read(0), check))))
        facts = scan_layer(pieces)
        for _ in pieces:
            pass
    except (ValueError, tarfile.TarError) as error:
        raise ImageError(
            f"the base image {name} cannot be read without an engine",
            why=f"its layer {layer.digest[:19]} is not read: {error}",
            hint="build with a Docker engine (builder docker), or name another base image",
            code="UnsupportedByBuilder",
        ) from None
    if packed.digest != layer.digest or plain.digest != diff_id:
        store.path(layer.digest).unlink(missing_ok=True)
        raise ImageError(
            f"a layer of the base image {name} is damaged",
            why=f"expected {layer.digest} and {diff_id}, computed {packed.digest} and {plain.digest}",
            hint="build again, which reads it from the registry again",
            code="DigestMismatch",
        )
    store.remember("bases", layer.digest, vars(facts))
    return facts


def _checked(pieces: Iterator[bytes], check: Callable[[], object]) -> Iterator[bytes]:
    for piece in pieces:
        check()
        yield piece
