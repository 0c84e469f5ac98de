"""Builds with a real engine: what a test needs to make an image and to look into it."""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from mldeploy_jupyter import environments
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.deployment.images.build import read_build_secrets
from mldeploy_jupyter.docker_engine import Engine
from mldeploy_jupyter.images import docker_builder
from mldeploy_jupyter.images.context import ImageContent
from mldeploy_jupyter.images.types import BuildSecrets, BuiltImage
from tests.unit.images.contents import make_content

__all__ = ["Build", "BuildEvents", "locked", "machine_secrets", "make_content", "read_layers"]


@cache
def locked(*packages: str) -> environments.Lock:
    """The lock of packages with those of the scoring server, for this Python."""
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return environments.lock(EnvironmentSpec(pip=list(packages), python=python), kernel_python=sys.executable)


def machine_secrets() -> BuildSecrets:
    """How this machine reaches its package index."""
    return read_build_secrets()


@dataclass
class BuildEvents:
    """Collects what a build reports."""

    events: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def __call__(self, stage: str, kind: str, text: str = "", **data: Any) -> None:
        self.events.append((kind, text, data))

    @property
    def log(self) -> str:
        return "\n".join(text for kind, text, _ in self.events if kind == "log")

    @property
    def steps(self) -> list[str]:
        """The titles of the steps, each once."""
        found = [text for kind, text, data in self.events if kind == "progress" and data.get("step")]
        return list(dict.fromkeys(found))


class Build:
    """Makes images in an engine of the tests: what it leaves goes with the engine."""

    def __init__(self, engine: Engine, folder: Path, base: str) -> None:
        self.engine, self.folder, self.base = engine, folder, base

    def content(self, name: str = "project", *, fresh: bool = False, **kwargs: Any) -> ImageContent:
        """The content of an image with a real environment: one that the engine never made, if it is to be `fresh`."""
        lock = locked("six==1.17.0")
        text = lock.text + (f"# {self.folder}\n" if fresh else "")
        return make_content(
            self.folder / name, **{"lock": text, "python": lock.python_version, "base": self.base, **kwargs}
        )

    def make(
        self, content: ImageContent, events: BuildEvents | None = None, *, cancel: Any = lambda: None, **kwargs: Any
    ) -> BuiltImage:
        tag = f"mldeploy-test:{os.urandom(4).hex()}"
        kwargs.setdefault("secrets", machine_secrets())
        return docker_builder.build(
            content, self.engine, events or BuildEvents(), cancel, tag=tag, cache=self.folder / "cache", **kwargs
        )

    def images(self) -> set[str]:
        """The ids of all images, intermediate ones too."""
        return {image["Id"] for image in self.engine.client.api.images(all=True)}

    def run(self, image: str, program: str, *arguments: str, **kwargs: Any) -> str:
        """What a program prints in a container of the image, which has no network."""
        output: bytes = self.engine.client.containers.run(
            image, list(arguments), entrypoint=program, remove=True, network_mode="none", **kwargs
        )
        return output.decode()

    def history(self, image: str) -> str:
        """The history and the configuration of an image, as text."""
        api = self.engine.client.api
        return json.dumps([api.history(image), api.inspect_image(image)])


def read_layers(engine: Engine, image: str) -> Iterator[tuple[str, tarfile.TarInfo, bytes]]:
    """Every file of every layer of an image: the layer, the entry, and its content."""
    archive = io.BytesIO(b"".join(engine.client.api.get_image(image)))
    with tarfile.open(fileobj=archive) as saved:
        for member in saved.getmembers():
            if not member.isfile():
                continue
            file = saved.extractfile(member)
            assert file is not None
            content = file.read()
            yield "", member, content
            if member.name.endswith("layer.tar") or "blobs" in member.name:
                with suppress(tarfile.ReadError), tarfile.open(fileobj=io.BytesIO(content)) as layer:
                    for entry in layer:
                        inner = layer.extractfile(entry) if entry.isfile() else None
                        yield member.name, entry, inner.read() if inner is not None else b""
