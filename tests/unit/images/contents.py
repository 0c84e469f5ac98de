"""Small bundles that images are made from in the tests."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.bundle import builder
from mldeploy_jupyter.images.context import ImageContent

SCRIPT = "def init():\n    pass\n\n\ndef run(data):\n    return data\n"


def make_content(
    folder: Path, *, script: str = SCRIPT, models: dict[str, bytes] | None = None, **kwargs: Any
) -> ImageContent:
    """The content of an image with one script, and models of one file each, whose versions are 1."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "score.py").write_text(script)
    files = {}
    for name, content in (models or {}).items():
        path = files[name] = folder / f"{name}.bin"
        path.write_bytes(content)
    lock = kwargs.pop("lock", "")
    content = builder.BundleContent(
        "source",
        {"score.py": folder / "score.py"},
        "score.py",
        [
            builder.BundleModel(
                name, 1, {"model.bin": [hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size]}
            )
            for name, path in files.items()
        ],
        lock=lock,
        python="3.11.2",
        environment={"variables": {"MODE": "fast"}},
    )
    bundle = builder.build(content, folder / "bundles")
    return ImageContent(
        bundle.path,
        bundle.manifest,
        lambda model: {"model.bin": files[model["name"]]},
        lock,
        kwargs.pop("python", "3.11.2"),
        kwargs.pop("base", "base:1"),
        **kwargs,
    )
