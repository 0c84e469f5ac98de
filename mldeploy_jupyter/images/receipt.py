"""The receipt of an image: its exact inputs, as JSON data."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.images.dockerfile import has_conda_python
from mldeploy_jupyter.images.sbom import SPECIFICATION

if TYPE_CHECKING:
    from mldeploy_jupyter.images.base_image import BaseImage
    from mldeploy_jupyter.images.context import ImageContent
    from mldeploy_jupyter.images.types import Layer

FORMAT = 1


def find_python(content: ImageContent, base: BaseImage) -> str:
    """The version of the image's Python: the base image's own if it fits, else that of the lock."""
    own = "" if has_conda_python(content.lock) else base.find_python(content.python)
    return own or content.python


def make(
    content: ImageContent, layers: list[Layer], *, builder: str, base: BaseImage, image: str, sbom: str = ""
) -> dict[str, Any]:
    """The receipt of an image with this id.

    `base` names the bytes of the base image by digest; an image that no registry has is named by its id. `lock` is the
    SHA-256 of the lock, whose text is in the bundle. `sbom` is the
    text of the bill of materials, of which the receipt has the digest.
    """
    return {
        "format": FORMAT,
        "image": image,
        "builder": builder,
        "platform": content.platform,
        "base": {
            "reference": base.reference,
            "digest": base.digest,
            "pinned": base.pinned,
            "id": base.id,
            "system": base.system,
        },
        "python": find_python(content, base),
        "lock": content.lock_digest,
        "bundle": content.bundle.name,
        "layers": [{"name": layer.name, "digest": layer.digest, "size": layer.size} for layer in layers],
        "sbom": {"format": SPECIFICATION, "digest": hashlib.sha256(sbom.encode()).hexdigest()} if sbom else {},
        "versions": {"mldeploy-jupyter": version("mldeploy-jupyter"), "uv": version("uv")},
    }
