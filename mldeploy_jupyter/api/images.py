"""Images of a workspace: what is listed, pushed, exported and pulled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mldeploy_jupyter.api.arguments import WorkspaceLike, check_workspace
from mldeploy_jupyter.core.errors import ImageError, UserErrorException

if TYPE_CHECKING:
    from collections.abc import Callable

    from mldeploy_jupyter.deployment.images.registries import ListedImage, Pushed

Result = TypeVar("Result")


def check_image_setting(name: str, value: Any) -> Any:
    """A workspace's setting for images, unless it is None. Raises `UserErrorException` when it cannot be one."""
    from mldeploy_jupyter.images.registry import parse_reference

    if value in (None, ""):
        return value
    try:
        if not isinstance(value, str):
            raise ImageError(f"{value!r} is of type {type(value).__name__}")
        parse_reference(value.replace("{python}", "3.12") if name == "base_image" else f"{value.rstrip('/')}/name")
    except ImageError as error:
        example = "python:{python}-slim" if name == "base_image" else "registry.example:5000/team"
        why = error.why or error.what
        raise UserErrorException(f"{name} cannot be {value!r}", why=why, hint=f"such as {example!r}") from None
    return value


def list_images(workspace: WorkspaceLike) -> list[ListedImage]:
    """The images that revisions and packages of the workspace have, newest first."""
    from mldeploy_jupyter.deployment.images import registries

    return registries.list_images(check_workspace(workspace).folder)


def push_image(
    workspace: WorkspaceLike, name: str, to: str | None = None, tell: Callable[[str, float | None], Any] | None = None
) -> Pushed:
    """Pushes the image of a service, a package or of that name; `to` is its new name, by default in the workspace's
    registry. `tell` gets lines and the fraction that is sent.

    Raises `ImageError`; `UserErrorException` when there is neither `to` nor a registry.
    """
    from mldeploy_jupyter.deployment.images import image, registries

    folder = check_workspace(workspace).folder
    source, plain = registries.find_reference(folder, name)
    registry = image.image_registry(folder)
    if to is None and not registry:
        raise UserErrorException(
            f"there is no registry to push {name} to",
            why="neither the workspace nor MLDEPLOY_IMAGE_REGISTRY names one, and --to is not given",
            hint="run: mldeploy workspace update --image-registry REGISTRY, or add --to REGISTRY/NAME:TAG",
        )
    target = to or f"{registry}/{plain}"

    def emit(stage: str, kind: str, text: str = "", **data: Any) -> None:
        if tell is not None and text:
            tell(text, data.get("fraction"))

    return explained(lambda: registries.push(source, target, emit))


def export_image(workspace: WorkspaceLike, name: str, path: str | Path) -> int:
    """Writes the image of a service, a package or of that name into a file for `docker load`; returns its bytes."""
    from mldeploy_jupyter.deployment.images import registries

    folder = check_workspace(workspace).folder
    source, plain = registries.find_reference(folder, name)
    return explained(lambda: registries.export(source, Path(path), plain))


def pull_image(name: str) -> str:
    """Has this machine's engine pull an image, unless it has it. Raises `ImageError`."""
    from mldeploy_jupyter import docker_engine
    from mldeploy_jupyter.deployment.images import build
    from mldeploy_jupyter.targets import TargetFailure

    def pull() -> str:
        try:
            engine = docker_engine.open_engine()
        except docker_engine.EngineError as error:
            raise TargetFailure(error.failure, "image") from None
        build.pull_image(engine, name, lambda *args, **data: None, lambda: None)
        return name

    return explained(pull)


def explained(step: Callable[[], Result]) -> Result:
    """The result of `step`; a failure of the engine becomes an `ImageError` of three lines."""
    from mldeploy_jupyter.core.diagnosis import explain
    from mldeploy_jupyter.targets import TargetFailure

    try:
        return step()
    except TargetFailure as failure:
        cause = explain(failure.failure, settings={})
        raise ImageError(cause.what, why=cause.why, hint=cause.hint, code=cause.code) from None
