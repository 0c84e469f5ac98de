"""Builds the image of a bundle: collects its content, chooses the builder and the engine, and reports the steps.

The only module that joins `images`, `environments` and `docker_engine`.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.core.files import make_private_dir
from mldeploy_jupyter.core.text import format_size
from mldeploy_jupyter.deployment.images.image import base_image, short_id
from mldeploy_jupyter.targets import Cancel, Emit, TargetFailure

if TYPE_CHECKING:
    from mldeploy_jupyter.core.bundle.builder import Bundle
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
    from mldeploy_jupyter.docker_engine import Engine
    from mldeploy_jupyter.images.context import ImageContent
    from mldeploy_jupyter.images.types import BuildSecrets, BuiltImage

Builder = Literal["auto", "docker", "oci"]

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY")


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


def build_image(
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
