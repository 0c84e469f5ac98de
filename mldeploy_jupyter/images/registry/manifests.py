"""Manifests, the lists of an image's parts: read for one platform, verified, and written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.images.registry.connection import Registry, RegistryAnswer
from mldeploy_jupyter.images.registry.reference import Reference

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_TAR = "application/vnd.oci.image.layer.v1.tar"
OCI_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"

ACCEPTED = (OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX)

# Docker's names of layers -> those of the OCI for the same bytes.
LAYER_TYPES = {
    "application/vnd.docker.image.rootfs.diff.tar.gzip": OCI_GZIP,
    "application/vnd.docker.image.rootfs.diff.tar": OCI_TAR,
}


@dataclass(frozen=True)
class Manifest:
    """A manifest as the registry has it: `text` is what `digest` was computed of."""

    text: bytes
    digest: str
    media_type: str
    data: dict[str, Any]

    @property
    def is_index(self) -> bool:
        """Whether it only lists the manifests of several platforms."""
        return self.media_type in (OCI_INDEX, DOCKER_INDEX)


def digest_of(content: bytes) -> str:
    """The digest of some bytes, as registries write it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def pull_scope(repository: str) -> str:
    return f"repository:{repository}:pull"


def push_scope(repository: str) -> str:
    return f"repository:{repository}:pull,push"


def parse_manifest(text: bytes, media_type: str = "", name: str = "the image") -> Manifest:
    """The manifest with this text. Raises `ImageError` for one that is none, or of a kind that is not read."""
    try:
        data = json.loads(text)
        if not isinstance(data, dict):
            raise ValueError("it is not a JSON object")
    except ValueError as error:
        raise _damaged(name, str(error)) from None
    kind = data.get("mediaType") or media_type.partition(";")[0].strip()
    if kind not in ACCEPTED:  # the OCI lets the field be absent
        kind = OCI_INDEX if "manifests" in data else OCI_MANIFEST if data.get("schemaVersion") == 2 else kind
    if kind not in ACCEPTED:
        raise ImageError(
            f"{name} cannot be used: its manifest is of a kind that is not read",
            why=f"it is of type {kind or 'unknown'}, version {data.get('schemaVersion')}",
            hint="push it again with a current Docker, which writes version 2",
            code="ManifestUnsupported",
        )
    manifest = Manifest(text, digest_of(text), kind, data)
    parts = data.get("manifests") if manifest.is_index else [data.get("config"), *(data.get("layers") or ())]
    if not isinstance(parts, list) or not all(_is_descriptor(part) for part in parts):
        raise _damaged(name, "a digest, a size or a type in it is missing")
    return manifest


def fetch_manifest(registry: Registry, reference: Reference) -> Manifest:
    """The manifest of a tag or digest, verified. Raises `ImageError`, with code ImageNotFound where there is none."""
    try:
        answer = registry.request(
            "GET",
            f"/v2/{reference.repository}/manifests/{reference.version}",
            scopes=[pull_scope(reference.repository)],
            headers={"Accept": ", ".join(ACCEPTED)},
            doing=f"read: {reference}",
        )
    except RegistryAnswer as error:
        if error.status != 404:
            raise
        raise ImageError(
            f"there is no image {reference}",
            why=f"{reference.registry} has no such {'digest' if reference.digest else 'repository or tag'}",
            hint=f"check the name, or push it: docker push {reference}",
            code="ImageNotFound",
        ) from None
    found = parse_manifest(answer.body, answer.headers.get("Content-Type", ""), str(reference))
    for expected in (reference.digest, answer.headers.get("Docker-Content-Digest", "")):
        if expected.startswith("sha256:") and expected != found.digest:
            raise ImageError(
                f"the registry {reference.registry} sent a different manifest than requested",
                why=f"expected {expected}, computed {found.digest}",
                hint="find out what changes the registry's answers on their way here, such as a proxy",
                code="DigestMismatch",
            )
    return found


def choose_platform(index: Manifest, platform: str, name: str) -> str:
    """The digest of the manifest for `platform`, such as `linux/amd64`, in an index. Raises `ImageError`."""
    system, architecture, *variant = platform.split("/")
    found = []
    matching = []
    for entry in index.data["manifests"]:
        described = entry.get("platform") or {}
        if not isinstance(described, dict) or described.get("os") in (None, "unknown"):
            continue  # an attestation, which is not an image
        text = "/".join(str(described[key]) for key in ("os", "architecture", "variant") if described.get(key))
        found.append(text)
        if (described.get("os"), described.get("architecture")) == (system, architecture):
            matching.append((described.get("variant"), str(entry["digest"])))
    for wanted in (variant[0] if variant else None, None, "v8"):
        for own, digest in matching:
            if own == wanted:
                return digest
    if matching and not variant:
        return matching[0][1]
    raise wrong_platform(name, platform, found)


def wrong_platform(name: str, platform: str, found: Sequence[str]) -> ImageError:
    """The error for an image that is not made for `platform`."""
    return ImageError(
        f"the image {name} is not made for {platform}",
        why=f"it is made for {', '.join(dict.fromkeys(found)) or 'no platform that it names'}",
        hint=f"name a base image for {platform}, or choose another platform",
        code="WrongArchitecture",
    )


def put_manifest(registry: Registry, reference: Reference, manifest: Manifest) -> None:
    """Writes a manifest under the reference's tag, else its digest; the blobs that it names must be there.

    Raises `ImageError`, also when the registry has stored something else.
    """
    answer = registry.request(
        "PUT",
        f"/v2/{reference.repository}/manifests/{reference.tag or manifest.digest}",
        scopes=[push_scope(reference.repository)],
        headers={"Content-Type": manifest.media_type},
        body=manifest.text,
        expected=(201, 202),
        doing=f"written to: {reference}",
    )
    stored = answer.headers.get("Docker-Content-Digest", manifest.digest)
    if stored.startswith("sha256:") and stored != manifest.digest:
        raise ImageError(
            f"the registry {reference.registry} stored a different manifest than it was sent",
            why=f"sent {manifest.digest}, stored {stored}",
            hint="find out what changes the data on its way to the registry, such as a proxy",
            code="DigestMismatch",
        )


def has_manifest(registry: Registry, reference: Reference, digest: str) -> bool:
    """Whether the reference's tag names that manifest already."""
    answer = registry.request(
        "HEAD",
        f"/v2/{reference.repository}/manifests/{reference.tag or digest}",
        scopes=[push_scope(reference.repository)],
        headers={"Accept": ", ".join(ACCEPTED)},
        expected=(200, 404),
        doing="asked",
    )
    return bool(answer.status == 200 and answer.headers.get("Docker-Content-Digest") == digest)


def _is_descriptor(part: Any) -> bool:
    return (
        isinstance(part, dict)
        and isinstance(part.get("digest"), str)
        and part["digest"].startswith("sha256:")
        and len(part["digest"]) == 71
        and isinstance(part.get("size"), int)
        and part["size"] >= 0
    )


def _damaged(name: str, why: str) -> ImageError:
    return ImageError(
        f"the manifest of {name} is damaged", why=why, hint="push the image again", code="ManifestDamaged"
    )
