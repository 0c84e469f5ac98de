"""The image of a revision as data: what its configuration asks for, its name, and where it is pushed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.core.files import read_user_text
from mldeploy_jupyter.core.records import DeploymentRequest, ModelRecord, RevisionRecord
from mldeploy_jupyter.core.script.imports import modules_to_preload

if TYPE_CHECKING:
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

DEFAULT_BASE = "python:{python}-slim"  # {python} is the version of the environment's Python, such as 3.12

BASE_VARIABLE = "MLDEPLOY_BASE_IMAGE"  # the base image of this installation, instead of DEFAULT_BASE
REGISTRY_VARIABLE = "MLDEPLOY_IMAGE_REGISTRY"  # where images are pushed, such as registry.example:5000/team

REGISTRY_PASSWORD = "base_image_registry_password"  # among the secrets of a deployment


@dataclass(frozen=True)
class ImageInputs:
    """What an inference configuration says of the image. `base` is "" for the default; texts are contents of files."""

    base: str = ""
    username: str = ""
    steps: str = ""
    base_dockerfile: str = ""
    build_context: str = ""

    def to_dict(self) -> dict[str, str]:
        """As a bundle's manifest has it: what decides the image's content, where it is given."""
        values = {
            "base_image": self.base,
            "docker_steps": self.steps,
            "base_dockerfile": self.base_dockerfile,
            "build_context": self.build_context,
        }
        return {name: value for name, value in values.items() if value}


@dataclass(frozen=True)
class MadeImage:
    """An image that a revision runs from. `reference` is what its target starts, `id` the digest of its configuration.

    `digest` is that of its manifest, "" until a registry has it.
    """

    reference: str
    id: str
    digest: str = ""
    receipt: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, revision: RevisionRecord) -> MadeImage:
        """The image of a revision that has one."""
        return cls(revision.image, revision.image_id, revision.image_digest, revision.receipt)

    @property
    def is_reloaded(self) -> bool:
        """Whether the revision runs other code than the image has."""
        return bool(self.receipt.get("code"))

    def with_code(self, bundle: str) -> MadeImage:
        """The image with the code of another bundle, by its digest, put into the container."""
        return replace(self, receipt={**self.receipt, "code": bundle})

    def to_fields(self) -> dict[str, Any]:
        """As fields of a revision's record."""
        return {
            "image": self.reference,
            "image_id": self.id,
            "image_digest": self.digest,
            "receipt": self.receipt,
        }


def read_image_inputs(inference: Mapping[str, Any]) -> ImageInputs:
    """Raises `ConfigError` when the file of `extra_docker_file_steps` cannot be read."""
    docker = (inference.get("environment_definition") or {}).get("docker") or {}
    registry = inference.get("base_image_registry") or docker.get("baseImageRegistry") or {}
    base = str(inference.get("base_image") or docker.get("baseImage") or "")
    address = str(registry.get("address") or "").rstrip("/")
    if base and address and not base.startswith(f"{address}/"):
        base = f"{address}/{base}"
    steps = inference.get("extra_docker_file_steps")
    return ImageInputs(
        base,
        str(registry.get("username") or ""),
        read_user_text(Path(steps), "file of extra_docker_file_steps") if steps else "",
        str(docker.get("baseDockerfile") or ""),
        str(docker.get("buildContext") or ""),
    )


def pin_environment(
    request: DeploymentRequest, source: dict[str, Path], models: Iterable[ModelRecord]
) -> EnvironmentSpec:
    """The environment of a service that has none of its own: what it imports, as it is in the caller's interpreter.

    Raises `EnvironmentBuildError` for a package that was installed from a local folder.
    """
    from mldeploy_jupyter import environments

    return environments.pin_modules(modules_to_preload(source, models), request.kernel_python)


def base_image(folder: WorkspaceFolder, python: str, environ: Mapping[str, str] = os.environ) -> str:
    """The base image of a revision that names none: the workspace's, the installation's, or the official one.

    `python` is the full version of the environment's Python.
    """
    text = folder.config.base_image or environ.get(BASE_VARIABLE) or DEFAULT_BASE
    return text.replace("{python}", ".".join(python.split(".")[:2]))


def image_registry(folder: WorkspaceFolder, environ: Mapping[str, str] = os.environ) -> str:
    """Where the workspace's images are pushed; "" where nothing says so."""
    return (folder.config.image_registry or environ.get(REGISTRY_VARIABLE) or "").rstrip("/")


def image_name(folder: WorkspaceFolder, service: str) -> str:
    """The repository of a service's images in the engine, without a tag."""
    from mldeploy_jupyter.targets.docker import names

    return names.image_repository(folder.id, service)


def short_id(id: str) -> str:
    """The first characters of a digest, as they are shown."""
    return id.removeprefix("sha256:")[:8]
