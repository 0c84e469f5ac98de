from __future__ import annotations

import json
from typing import Any

import pytest

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.images.registry.manifests import (
    DOCKER_INDEX,
    OCI_INDEX,
    OCI_MANIFEST,
    choose_platform,
    digest_of,
    parse_manifest,
)


def descriptor(content: bytes, **kwargs: Any) -> dict[str, Any]:
    return {"digest": digest_of(content), "size": len(content), "mediaType": "x", **kwargs}


def index(*platforms: str) -> bytes:
    entries = []
    for text in platforms:
        names = dict(zip(("os", "architecture", "variant"), text.split("/"), strict=False))
        entries.append(descriptor(text.encode(), platform=names))
    return json.dumps({"schemaVersion": 2, "manifests": entries}).encode()


def choose(platform: str, *platforms: str) -> str:
    chosen = choose_platform(parse_manifest(index(*platforms), OCI_INDEX), platform, "team/churn:1")
    return next(text for text in platforms if digest_of(text.encode()) == chosen)


def test_platform_is_chosen_from_an_index() -> None:
    assert choose("linux/amd64", "unknown/unknown", "linux/arm64/v8", "linux/amd64") == "linux/amd64"
    assert choose("linux/arm64", "linux/amd64", "linux/arm64/v8") == "linux/arm64/v8"
    assert choose("linux/arm/v7", "linux/arm/v6", "linux/arm/v7") == "linux/arm/v7"


def test_image_for_other_platforms_says_which() -> None:
    with pytest.raises(ImageError) as refused:
        choose("linux/amd64", "linux/arm64/v8", "linux/s390x", "unknown/unknown")
    assert str(refused.value) == (
        "error: the image team/churn:1 is not made for linux/amd64\n"
        "cause: it is made for linux/arm64/v8, linux/s390x\n"
        "hint: name a base image for linux/amd64, or choose another platform"
    )


def test_kind_of_a_manifest() -> None:
    plain = {"schemaVersion": 2, "config": descriptor(b"c"), "layers": [descriptor(b"l")]}
    assert parse_manifest(json.dumps(plain).encode()).media_type == OCI_MANIFEST
    assert parse_manifest(index(), f"{DOCKER_INDEX}; charset=utf-8").is_index
    with pytest.raises(ImageError) as refused:
        parse_manifest(b'{"schemaVersion": 1, "fsLayers": []}', "application/vnd.docker.distribution.manifest.v1+json")
    assert refused.value.code == "ManifestUnsupported"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"schemaVersion": 2}',
        b'{"schemaVersion": 2, "manifests": 1}',
        b'{"schemaVersion": 2, "manifests": [{"digest": "sha256:1", "size": 1}]}',
        json.dumps({"schemaVersion": 2, "config": descriptor(b"c", size=-1), "layers": []}).encode(),
    ],
)
def test_damaged_manifest_is_refused(text: bytes) -> None:
    with pytest.raises(ImageError) as refused:
        parse_manifest(text)
    assert refused.value.code == "ManifestDamaged"
