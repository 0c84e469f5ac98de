"""The base image, read from its registry or from a folder on disk, without an engine.

What a base image has (C library, Pythons, users) is found out by reading the archives of its layers. Nothing of them is
written to this disk as a file, and nothing is run.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.core.files import read_json_if_valid
from mldeploy_jupyter.images.base_image import BaseImage
from mldeploy_jupyter.images.blob_store import BlobStore, ByteCounter, PieceReader, decompress
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

FACTS_FORMAT = 1

FILE_LIMIT = 8 * 1024 * 1024  # bytes of a file that is read: the list of packages, the C library

ENTRY_LIMIT = 2_000_000  # files of a layer; an archive with more is malicious

# The files that are read, by their path in the image.
READ = re.compile(
    r"etc/(passwd|group|os-release)|usr/lib/os-release|var/lib/dpkg/status(\.d/[^/]+)?"
    r"|(usr/)?lib(32|64)?/([^/]+-linux-gnu[^/]*/)?(libc\.so\.6|libc-2\.\d+\.so)"
)
NOTED = re.compile(
    r"(usr/)?lib/ld-musl-[^/]+|(usr/|usr/local/|opt/conda/)?bin/(python3(\.\d+)?|sh)"
    r"|(usr/|usr/local/|opt/conda/)lib/python3\.\d+/(asyncio/__init__|ssl)\.py|bin|lib|lib64|opt|usr/local"
)


@dataclass(frozen=True)
class Base:
    """A base image. `layers` are its blobs, with the media types of the OCI; `config` is its configuration.

    `facts` is what was found in it, `texts` the files that were read, by their paths in the image.
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
        """The version of its C library; the oldest that is supported where it is not known."""
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
        system=_system(texts),
        libc=_libc(files, texts),
        pythons=_pythons(files, config, texts),
        installers=[],
        packages=_packages(texts),
    )
    return Base(name, manifest, config, layers, image, frozenset(files), texts)


# -- what is in the layers --


@dataclass(frozen=True)
class LayerFacts:
    """What a layer says of the files that are looked at. `links` maps links to their targets.

    `removed` are files and folders of the layers below that it removes, `emptied` folders whose content it replaces.
    """

    files: list[str] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)  # in Latin-1, which any bytes can be read as
    links: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    emptied: list[str] = field(default_factory=list)
    format: int = FACTS_FORMAT


def _known_facts(manifest: Manifest, store: BlobStore) -> list[LayerFacts] | None:
    """What was found in all layers; None where one was not read yet."""
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
    """Reads a layer, verifies both of its digests, and keeps what was found. Raises `ImageError`."""
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


def scan_layer(pieces: Iterator[bytes]) -> LayerFacts:
    """What the archive of a layer says of the files that are looked at; nothing is unpacked.

    Raises `ValueError` or `tarfile.TarError` for an archive that is damaged, or built to be in the way.
    """
    facts = LayerFacts()
    hard: dict[str, str] = {}
    with tarfile.open(fileobj=cast(Any, PieceReader(pieces)), mode="r|", ignore_zeros=False) as archive:
        for number, member in enumerate(archive):
            if number >= ENTRY_LIMIT:
                raise ValueError(f"it has more than {ENTRY_LIMIT:,} files")
            cast(Any, archive).members = []  # it would keep every one
            name = clean_name(member.name)
            if name is None:
                continue  # outside of the image, where no engine would put it
            folder, last = posixpath.split(name)
            if last == ".wh..wh..opq":
                facts.emptied.append(folder)
            elif last.startswith(".wh."):
                facts.removed.append(posixpath.join(folder, last.removeprefix(".wh.")))
            elif not READ.fullmatch(name) and not NOTED.fullmatch(name):
                continue
            elif member.issym():
                facts.links[name] = member.linkname
            elif member.islnk():
                hard[name] = clean_name(member.linkname) or ""
                facts.files.append(name)
            elif member.isfile():
                facts.files.append(name)
                if READ.fullmatch(name) and member.size <= FILE_LIMIT:
                    file = archive.extractfile(member)
                    content = file.read() if file is not None else b""
                    facts.texts[name] = _kept(name, content).decode("latin-1")
            elif not member.isdir():
                continue  # a device or a pipe
    for name, target in hard.items():
        if target in facts.texts:
            facts.texts[name] = facts.texts[target]
    return facts


def _kept(name: str, content: bytes) -> bytes:
    """Only the version of the C library is needed."""
    if "libc" not in name or name.startswith(("etc/", "var/")):
        return content
    found = re.search(rb"release version (\d+\.\d+)", content)
    return found[1] if found else b""


def clean_name(name: str) -> str | None:
    """A name of an archive as a path in the image; None for one that leads out of it."""
    path = posixpath.normpath("/" + name.lstrip("/"))
    if ".." in name.split("/") or "\0" in name:
        return None
    return path.lstrip("/")


def merge_layers(layers: list[LayerFacts]) -> tuple[set[str], dict[str, bytes]]:
    """The files that are there with all layers on top of each other, and their texts, by the paths they are known by.

    A link of a folder, as `bin` to `usr/bin`, is followed.
    """
    files: set[str] = set()
    texts: dict[str, bytes] = {}
    links: dict[str, str] = {}
    for layer in layers:
        gone = [*layer.removed, *(f"{folder}/" for folder in layer.emptied)]
        for known in [*files, *links]:
            if any(known == name or known.startswith(name.rstrip("/") + "/") for name in gone):
                files.discard(known)
                texts.pop(known, None)
                links.pop(known, None)
        for name in layer.files:
            files.add(name)
            links.pop(name, None)
            texts.pop(name, None)
        texts.update({name: text.encode("latin-1") for name, text in layer.texts.items()})
        for name, target in layer.links.items():
            links[name] = target
            files.discard(name)
            texts.pop(name, None)
    for _ in range(4):  # links to links
        for name, target in links.items():
            resolved = clean_name(target if target.startswith("/") else posixpath.join(posixpath.dirname(name), target))
            if resolved is None and not target.startswith("/"):
                resolved = posixpath.normpath(posixpath.join(posixpath.dirname(name), target)).lstrip("./")
            for known in list(files):
                if resolved and (known == resolved or known.startswith(resolved + "/")):
                    alias = name + known[len(resolved) :]
                    files.add(alias)
                    if known in texts:
                        texts[alias] = texts[known]
    return files, texts


def _system(texts: Mapping[str, bytes]) -> str:
    text = (texts.get("etc/os-release") or texts.get("usr/lib/os-release") or b"").decode("utf-8", "replace")
    found = re.search(r'^PRETTY_NAME="?([^"\n]*)"?$', text, re.MULTILINE)
    return found[1] if found else ""


def _libc(files: set[str], texts: Mapping[str, bytes]) -> str:
    if any("ld-musl-" in name for name in files):
        return "musl"
    versions = {text.decode() for name, text in texts.items() if re.search(r"libc(\.so\.6|-2)", name) and text}
    versions |= {found[1] for name in files if (found := re.search(r"libc-(2\.\d+)\.so$", name))}
    return f"glibc {max(versions, key=lambda text: [int(part) for part in text.split('.')])}" if versions else ""


def _pythons(files: set[str], config: Mapping[str, Any], texts: Mapping[str, bytes]) -> list[str]:
    found = {match[1] for name in files if (match := re.search(r"bin/python(3\.\d+)$", name))}
    known = {package[1]: package[2] for package in _packages(texts)}
    variables = dict(text.partition("=")[::2] for text in (config.get("config") or {}).get("Env") or [])
    versions = []
    for minor in sorted(found, key=lambda text: int(text.split(".")[1]), reverse=True):
        full = variables.get("PYTHON_VERSION", "")
        packaged = re.match(r"\d+\.\d+\.\d+", known.get(f"python{minor}", ""))
        versions.append(full if full.startswith(f"{minor}.") else packaged[0] if packaged else minor)
    return versions


def _packages(texts: Mapping[str, bytes]) -> list[list[str]]:
    """The Debian packages, each [kind, name, version, architecture]."""
    found = []
    for name in sorted(texts):
        if not name.startswith("var/lib/dpkg/status"):
            continue
        for block in texts[name].decode("utf-8", "replace").split("\n\n"):
            values = dict(re.findall(r"^(Package|Version|Architecture|Status): (.*)$", block, re.MULTILINE))
            if values.get("Package") and "Version" in values and "installed" in values.get("Status", "installed"):
                found.append(["deb", values["Package"], values["Version"], values.get("Architecture", "")])
    return found
