"""The image of a revision: what goes into it, which builder makes it, where it is pushed, and its receipt.

The only module that joins `images`, `environments` and `docker_engine`. `Steps` is what the builders report with.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.core.files import make_private_dir, read_json_if_valid, read_user_text
from mldeploy_jupyter.core.records import DeploymentRequest, ModelRecord, RevisionRecord
from mldeploy_jupyter.core.script.imports import modules_to_preload
from mldeploy_jupyter.core.text import format_size
from mldeploy_jupyter.targets import Cancel, Emit, TargetFailure

if TYPE_CHECKING:
    from mldeploy_jupyter.core.bundle.builder import Bundle
    from mldeploy_jupyter.core.store.store import Store
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
    from mldeploy_jupyter.docker_engine import Engine
    from mldeploy_jupyter.images.context import ImageContent
    from mldeploy_jupyter.images.types import BuildSecrets, BuiltImage

Builder = Literal["auto", "docker", "oci"]

DEFAULT_BASE = "python:{python}-slim"  # {python} is the version of the environment's Python, such as 3.12

BASE_VARIABLE = "MLDEPLOY_BASE_IMAGE"  # the base image of this installation, instead of DEFAULT_BASE
REGISTRY_VARIABLE = "MLDEPLOY_IMAGE_REGISTRY"  # where images are pushed, such as registry.example:5000/team

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY")

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


def make_content(
    folder: WorkspaceFolder,
    bundle: Bundle,
    *,
    lock: str,
    settings: Mapping[str, Any] | None = None,
    base: str = "",
    platform: str = "linux/amd64",
) -> ImageContent:
    """What the image of a bundle consists of. `base` overrides the bundle's and the workspace's."""
    from mldeploy_jupyter.environments import locked_python
    from mldeploy_jupyter.images.context import ImageContent

    image = bundle.manifest.get("environment") or {}
    python = str(bundle.manifest.get("python") or "") or locked_python(lock)
    artifacts = folder.open_artifacts()

    def model_files(model: dict[str, Any]) -> dict[str, Path]:
        files = bundle.files_below(f"app/{model['folder']}/")
        if not model["version"]:  # never registered: only the bundle has it
            return {name: bundle.app / model["folder"] / name for name in files}
        found = artifacts.local_paths(files)
        if found is not None:
            return found
        kept = folder.root / "cache" / "models" / model["name"] / str(model["version"])
        if not kept.is_dir():
            staged = kept.with_name(f".{kept.name}.{secrets.token_hex(4)}")
            make_private_dir(staged)
            artifacts.materialize(files, staged)
            staged.rename(kept)
        return {name: kept / name for name in files}

    return ImageContent(
        bundle=bundle.path,
        manifest=bundle.manifest,
        model_files=model_files,
        lock=lock,
        python=python,
        base=base or str(image.get("base_image") or "") or base_image(folder, python),
        apt=[],
        steps=str(image.get("docker_steps") or ""),
        base_dockerfile=str(image.get("base_dockerfile") or ""),
        build_context=Path(str(image["build_context"])) if image.get("build_context") else None,
        platform=platform,
        labels={},
        settings=dict(settings or {}),
    )


def choose_engine(builder: Builder, emit: Emit) -> Engine | None:
    """The engine that builds; None for the builder that needs none. Raises `TargetFailure` where one is asked for."""
    from mldeploy_jupyter import docker_engine

    if builder == "oci":
        return None
    try:
        return docker_engine.open_engine()
    except docker_engine.EngineError as error:
        if builder == "docker":
            raise TargetFailure(error.failure, "image") from None
        emit("image", "log", "no Docker engine answers: the image is built without one")
        return None


def build(
    content: ImageContent,
    name: str,
    emit: Emit,
    cancel: Cancel,
    *,
    engine: Engine | None,
    environment: EnvironmentSpec | None,
    kernel_python: str,
    password: str = "",
    username: str = "",
) -> BuiltImage:
    """Builds the image under the name `repository:tag`, in the engine or, without one, in the cache of images.

    `environment` is what the lock was made from; `username` and `password` open the base image's registry.

    Raises:
        ImageError: the builder cannot make this image; the error names the one that can.
        TargetFailure: the engine failed, or the base image does not fit.
    """
    from mldeploy_jupyter import docker_engine, environments

    steps = Steps(emit)
    try:
        if engine is not None:
            from mldeploy_jupyter.images import docker_builder

            options = environment.pip_options if environment is not None else []
            secrets = read_build_secrets(options, username=username, password=password)
            return docker_builder.build(
                content,
                engine,
                steps,
                cancel,
                secrets=secrets,
                tag=name,
                cache=image_cache(),
                install_conda=_conda_installer(content, environment, kernel_python, cancel),
            )
        from mldeploy_jupyter.images import oci

        install = partial(environments.install_for_platform, spec=environment, kernel_python=kernel_python)
        return oci.build(
            content,
            _open_registry(content.base, username, password, cancel),
            steps,
            cancel,
            install=install,
            install_python=environments.install_python,
            cache=image_cache(),
            tag=name,
        )
    except docker_engine.EngineError as error:
        raise TargetFailure(error.failure, "image") from None


def write_context(
    content: ImageContent, target: Path, cancel: Cancel, *, environment: EnvironmentSpec | None, kernel_python: str
) -> Path:
    """Writes a folder from which `docker build` makes the image. Returns its Dockerfile.

    Raises `StorageError`, and `EnvironmentBuildError` for conda packages that cannot be had.
    """
    from mldeploy_jupyter import environments
    from mldeploy_jupyter.images import context_folder

    return context_folder.write_context(
        content,
        target,
        variables=environments.index_variables(environment.pip_options if environment is not None else []),
        install_conda=_conda_installer(content, environment, kernel_python, cancel),
    )


def _conda_installer(
    content: ImageContent, environment: EnvironmentSpec | None, kernel_python: str, cancel: Cancel
) -> Callable[[Path], None]:
    from mldeploy_jupyter import environments

    return partial(
        environments.install_conda_for_platform,
        content.lock,
        content.platform,
        spec=environment,
        kernel_python=kernel_python,
        cancel=cancel,
    )


def image_cache() -> Path:
    """The folder for what is known of base images, and for layers that are made without an engine."""
    from mldeploy_jupyter.environments.cache import cache_root

    return cache_root() / "images"


def _open_registry(base: str, username: str, password: str, cancel: Cancel) -> Any:
    """A connection to the base image's registry; None where the credentials of the docker config will do."""
    from mldeploy_jupyter.images.registry import Credentials, Registry, parse_reference

    if not username or base.startswith("oci:"):
        return None
    return Registry(parse_reference(base).registry, Credentials(username, password), cancel=cancel)


def keep_sbom(folder: WorkspaceFolder, built: BuiltImage) -> None:
    """Keeps the bill of materials of an image with the artifacts, under the digest that its receipt names."""
    digest = (built.receipt.get("sbom") or {}).get("digest")
    if digest and built.sbom:
        folder.open_artifacts().put_bytes(f"sboms/{digest}.json", built.sbom.encode())


def read_sbom(folder: WorkspaceFolder, receipt: Mapping[str, Any]) -> dict[str, Any] | None:
    """The bill of materials that a receipt names, in CycloneDX; None where it is gone."""
    digest = (receipt.get("sbom") or {}).get("digest")
    content = folder.open_artifacts().read_bytes(f"sboms/{digest}.json") if digest else None
    try:
        data = json.loads(content) if content else None
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def has_image(engine: Engine, id: str) -> bool:
    """Whether the engine has the image with this id."""
    from docker.errors import DockerException

    if not id:
        return False
    try:
        engine.client.images.get(id)
    except (DockerException, OSError):  # it is built again, which reports what is wrong with the engine
        return False
    return True


def read_build_secrets(
    pip_options: Iterable[str] = (),
    *,
    username: str = "",
    password: str = "",
    environ: Mapping[str, str] = os.environ,
) -> BuildSecrets:
    """How this machine reaches its package index and registries, for the time of a build.

    `pip_options` are those of a requirements file; `username` and `password` open the base image's registry. Raises
    `EnvironmentBuildError` for an address with a variable that is not set.
    """
    from mldeploy_jupyter import environments
    from mldeploy_jupyter.images.types import BuildSecrets

    proxies = {name: environ[name] for word in PROXIES for name in (word, word.lower()) if environ.get(name)}
    bundle = environ.get("SSL_CERT_FILE") or environ.get("PIP_CERT") or environ.get("REQUESTS_CA_BUNDLE") or ""
    with suppress(OSError, UnicodeDecodeError):
        bundle = Path(bundle).read_text("utf-8") if bundle else ""
    return BuildSecrets(proxies, environments.index_variables(pip_options), bundle, username, password)


def pull_image(engine: Engine, name: str, emit: Emit, cancel: Cancel) -> dict[str, Any]:
    """What the engine says of an image, which it pulls first if it lacks it. Raises `TargetFailure`."""
    from docker.errors import ImageNotFound

    from mldeploy_jupyter import docker_engine
    from mldeploy_jupyter.docker_engine.failures import describe_message

    api = engine.client.api
    try:
        with docker_engine.engine_errors(engine.endpoint, image=name):
            try:
                return dict(api.inspect_image(name))
            except ImageNotFound:
                emit("image", "log", f"pulling {name}")
            pinned, _, tag = name.rpartition(":")
            repository, tag = (pinned, tag) if pinned and "/" not in tag and "@" not in name else (name, "")
            for event in api.pull(repository, tag=tag or None, stream=True, decode=True):
                cancel()
                if event.get("error"):
                    raise docker_engine.EngineError(describe_message(event["error"]))
                if event.get("status"):
                    line = " ".join(str(event[key]) for key in ("id", "status", "progress") if event.get(key))
                    emit("image", "progress" if event.get("progress") else "log", line)
            return dict(api.inspect_image(name))
    except docker_engine.EngineError as error:
        raise TargetFailure(error.failure, "image") from None


def find_receipt(folder: WorkspaceFolder, store: Store, id: str) -> dict[str, Any] | None:
    """The receipt of an image that this workspace made, by the image's id."""
    for revision in store.list_revisions():
        if revision.image_id == id and revision.receipt and not revision.receipt.get("code"):
            return revision.receipt
    for package in list_packages(folder):
        if package.get("image_id") == id and package.get("receipt"):
            return dict(package["receipt"])
    return None


def list_packages(folder: WorkspaceFolder) -> list[dict[str, Any]]:
    """What `Model.package` made in this workspace, oldest first: the files `packages/<id>/package.json`."""
    found = (read_json_if_valid(path) for path in sorted((folder.root / "packages").glob("*/package.json")))
    return [data for data in found if data]


def short_id(id: str) -> str:
    """The first characters of a digest, as they are shown."""
    return id.removeprefix("sha256:")[:8]


def describe_layers(built: BuiltImage) -> str:
    """`8 layers, 5 reused`."""
    reused = sum(layer.reused for layer in built.layers)
    count = f"{len(built.layers)} layer{'' if len(built.layers) == 1 else 's'}"
    return (
        f"{count}, {reused} reused" if reused else f"{count}, {format_size(sum(layer.size for layer in built.layers))}"
    )


class Steps:
    """An `Emit` for a log with a heading for each step: every line has its step's title, and every layer has a line."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._step = ""

    def __call__(self, stage: str, kind: str, text: str = "", **data: Any) -> None:
        if kind == "progress" and data.get("step"):
            number = str(data["step"])
            title = f"{number} {text}".strip() if re.fullmatch(r"\d+/\d+", number) else number
            self._step = data["step"] = title
        elif kind == "log" and self._step:
            data.setdefault("step", self._step)
        self._emit(stage, kind, text, **data)
        layer = data.get("layer")
        if kind == "progress" and isinstance(layer, dict) and layer.get("name"):
            size = format_size(layer["size"]) if isinstance(layer.get("size"), int) else ""
            how = "reused" if layer.get("reused") else "made"
            digest = short_id(str(layer.get("digest") or ""))
            self._emit(stage, "log", "  ".join(part for part in (f"layer {layer['name']}", digest, size, how) if part))
