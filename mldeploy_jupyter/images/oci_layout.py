"""Images on disk: an OCI image layout, for clusters without a network, and Docker's archive, for `docker load`."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.core.files import atomic_write
from mldeploy_jupyter.images.registry import Blob, Manifest, choose_platform, parse_manifest, parse_reference
from mldeploy_jupyter.images.registry.manifests import (
    LAYER_TYPES,
    OCI_CONFIG,
    OCI_INDEX,
    digest_of,
)

REFERENCE = "org.opencontainers.image.ref.name"  # the annotation with an image's tag

BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"
LAYER_NAME = "io.mldeploy.layer"  # the annotation of a layer of ours; those without it are the base's

PIECE = 1024 * 1024  # bytes


@dataclass(frozen=True)
class OciImage:
    """An image whose bytes can be read. `blobs` are the configuration and the layers, each once."""

    manifest: Manifest
    config: Blob
    layers: list[Blob] = field(default_factory=list)

    @property
    def blobs(self) -> list[Blob]:
        return list({blob.digest: blob for blob in (self.config, *self.layers)}.values())


def write_layout(
    image: OciImage, folder: Path, tag: str = "latest", *, check: Callable[[], None] = lambda: None
) -> None:
    """Adds the image to an OCI image layout in `folder`, which is made if need be. Blobs that are there stay.

    An image that had the tag keeps its bytes and loses the tag. Raises `ImageError` for a folder with something else,
    and `OSError`.
    """
    index_file = folder / "index.json"
    if folder.is_dir() and any(folder.iterdir()) and not index_file.is_file():
        raise ImageError(
            f"no image can be written to {folder}",
            why="the folder has files and is not an OCI image layout",
            hint="name an empty folder",
            code="NotALayout",
        )
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    for blob in image.blobs:
        target = blobs / blob.digest.removeprefix("sha256:")
        if not target.is_file() or target.stat().st_size != blob.size:
            _write_blob(blob, target, check)
    atomic_write(blobs / image.manifest.digest.removeprefix("sha256:"), image.manifest.text, mode=0o644)
    index = _read_index(folder) if index_file.is_file() else {}
    entries = [entry for entry in index.get("manifests", []) if _tag_of(entry) != tag]
    entries.append(
        {
            "mediaType": image.manifest.media_type,
            "digest": image.manifest.digest,
            "size": len(image.manifest.text),
            "annotations": {REFERENCE: tag},
        }
    )
    data = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    atomic_write(folder / "oci-layout", '{"imageLayoutVersion":"1.0.0"}', mode=0o644)
    atomic_write(index_file, json.dumps(data, indent=1), mode=0o644)


def read_layout(folder: Path, tag: str = "", platform: str = "linux/amd64") -> OciImage:
    """The image of a layout with that tag, or the only one. Its blobs are verified when they are read to the end.

    Raises `ImageError`.
    """
    entries = _read_index(folder).get("manifests", [])
    named = [entry for entry in entries if not tag or _tag_of(entry) == tag]
    if len(named) != 1:
        tags = ", ".join(sorted(filter(None, map(_tag_of, entries)))) or "none with a tag"
        raise ImageError(
            f"there is no image {tag!r} in {folder}" if tag else f"{folder} has {len(entries)} images",
            why=f"it has {tags}",
            hint=f"name one of them: oci:{folder}:TAG",
            code="ImageNotFound",
        )
    manifest = _manifest(folder, named[0]["digest"], str(named[0].get("mediaType", "")))
    if manifest.is_index:
        manifest = _manifest(folder, choose_platform(manifest, platform, str(folder)), "")
    config = manifest.data["config"]
    return OciImage(
        manifest,
        Blob(config["digest"], config["size"], OCI_CONFIG, _reader(folder, config), name="configuration"),
        [_layer(folder, manifest, part, number) for number, part in enumerate(manifest.data["layers"], 1)],
    )


def _layer(folder: Path, manifest: Manifest, part: dict[str, Any], number: int) -> Blob:
    """A layer of a layout; one of the base of an image of ours knows the registry that has it."""
    own = (part.get("annotations") or {}).get(LAYER_NAME)
    base = (manifest.data.get("annotations") or {}).get(BASE_NAME)
    source, name = None, str(own or f"layer {number}")
    if base and not own:
        name = f"base {number}"
        with suppress(ImageError):
            source = parse_reference(str(base))
    media_type = LAYER_TYPES.get(part["mediaType"], part["mediaType"])
    return Blob(part["digest"], part["size"], media_type, _reader(folder, part), source, name)


def iterate_archive(image: OciImage, tag: str) -> Iterator[bytes]:
    """Docker's archive of an image, for `docker load`, in pieces. `tag` is `repository:tag`."""
    config = image.config.digest.removeprefix("sha256:") + ".json"
    names = [f"{blob.digest.removeprefix('sha256:')}/layer.tar" for blob in image.layers]
    manifest = [{"Config": config, "RepoTags": [tag] if tag else None, "Layers": names}]
    content = b"".join(image.config.read(0))
    yield from _member(config, len(content), [content])
    for name, blob in {name: blob for name, blob in zip(names, image.layers, strict=True)}.items():
        yield _header(name.split("/")[0] + "/", 0)
        yield from _member(name, blob.size, blob.read(0))
    text = json.dumps(manifest).encode()
    yield from _member("manifest.json", len(text), [text])
    yield bytes(2 * tarfile.BLOCKSIZE)


def _member(name: str, size: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
    yield _header(name, size)
    written = 0
    for piece in pieces:
        written += len(piece)
        yield piece
    if written != size:
        raise _damaged(name, f"it has {written} bytes instead of {size}")
    yield bytes(-size % tarfile.BLOCKSIZE)


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    if name.endswith("/"):
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    return info.tobuf(tarfile.PAX_FORMAT)


def write_archive(image: OciImage, target: Path, tag: str, *, check: Callable[[], None] = lambda: None) -> None:
    """Writes Docker's archive to the file `target`, whole or not at all. Raises `OSError`."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{os.urandom(3).hex()}")
    try:
        with temporary.open("wb") as file:
            for piece in iterate_archive(image, tag):
                check()
                file.write(piece)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _write_blob(blob: Blob, target: Path, check: Callable[[], None]) -> None:
    """Writes a verified blob, whole or not at all."""
    temporary = target.with_name(f".{target.name[:16]}.{os.getpid()}.{os.urandom(3).hex()}")
    digest = hashlib.sha256()
    try:
        with temporary.open("wb") as file:
            for piece in blob.read(0):
                check()
                digest.update(piece)
                file.write(piece)
        if f"sha256:{digest.hexdigest()}" != blob.digest:
            raise _damaged(blob.name or blob.digest, f"its digest is sha256:{digest.hexdigest()}")
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _reader(folder: Path, part: dict[str, Any]) -> Callable[[int], Iterator[bytes]]:
    path = folder / "blobs" / "sha256" / part["digest"].removeprefix("sha256:")

    def read(offset: int) -> Iterator[bytes]:
        digest = hashlib.sha256()
        try:
            with path.open("rb") as file:
                file.seek(offset)
                while piece := file.read(PIECE):
                    digest.update(piece)
                    yield piece
        except OSError as error:
            raise _damaged(str(path), error.strerror or str(error)) from None
        if not offset and f"sha256:{digest.hexdigest()}" != part["digest"]:
            raise _damaged(str(path), "its content does not match the digest in its name")

    return read


def _manifest(folder: Path, digest: str, media_type: str) -> Manifest:
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise _damaged(str(folder), f"{digest!r} is not a digest")
    try:
        text = (folder / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()
    except OSError as error:
        raise _damaged(str(folder), f"the manifest {digest} is missing: {error.strerror}") from None
    if digest_of(text) != digest:
        raise _damaged(str(folder), f"the manifest {digest} does not match the digest in its name")
    manifest = parse_manifest(text, media_type, str(folder))
    for part in manifest.data.get("layers", []):
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", part["digest"]):
            raise _damaged(str(folder), f"{part['digest']!r} is not a digest")
    return manifest


def _read_index(folder: Path) -> dict[str, Any]:
    try:
        data = json.loads((folder / "index.json").read_text("utf-8"))
        entries = data["manifests"]
        if not all(isinstance(entry, dict) and isinstance(entry.get("digest"), str) for entry in entries):
            raise ValueError("an entry of index.json has no digest")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ImageError(
            f"there is no OCI image layout in {folder}",
            why=str(error),
            hint="name the folder that has the files oci-layout and index.json",
            code="NotALayout",
        ) from None
    return dict(data)


def _tag_of(entry: dict[str, Any]) -> str:
    annotations = entry.get("annotations")
    return str(annotations.get(REFERENCE) or "") if isinstance(annotations, dict) else ""


def _damaged(name: str, why: str) -> ImageError:
    return ImageError(f"the image on disk is damaged: {name}", why=why, hint="write it again", code="DigestMismatch")
