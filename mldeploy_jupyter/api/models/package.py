"""`ModelPackage`: an image, or a folder with a Dockerfile, made from models and a script. Names as in v1."""

from __future__ import annotations

import shutil
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.api.arguments import WorkspaceLike, check_path, check_text, check_workspace
from mldeploy_jupyter.api.azure_names import PACKAGE, AzureNames
from mldeploy_jupyter.core.errors import ImageError, StorageError, UserErrorException, WebserviceException
from mldeploy_jupyter.core.journal.journal import JournalReader, read_events
from mldeploy_jupyter.core.text import printable

if TYPE_CHECKING:
    from mldeploy_jupyter.api.environments import ContainerRegistry
    from mldeploy_jupyter.api.webservices.inference_config import InferenceConfig

POLL_SECONDS = 0.1  # between two checks of the journal


class ModelPackage(AzureNames):
    """A package of models, being made or made. `Model.package` returns it.

    The image is built in a thread of this process; what it is and how it was made stays in the workspace.
    """

    _azure_owner, _azure_names = "package", PACKAGE

    def __init__(self, workspace: WorkspaceLike, operation_id: str) -> None:
        """The package with this id. Raises `WebserviceException` when the workspace has none."""
        self.workspace = check_workspace(workspace)
        if not isinstance(operation_id, str) or not operation_id:
            raise UserErrorException(
                f"operation_id is {operation_id!r}",
                why="it is the id of a package, a string",
                hint="call Model.package",
            )
        self.operation_id = operation_id
        self._thread: threading.Thread | None = None
        if not self._read():
            raise WebserviceException(
                f"there is no package {operation_id}",
                why=f"none of that id is in the workspace {workspace.name}",
                hint="see what there is with `mldeploy image list`",
            )

    @property
    def state(self) -> str:
        """v1's word: Running, Succeeded or Failed."""
        return str(self._read()["state"])

    @property
    def generate_dockerfile(self) -> bool:
        """Whether it is a folder with a Dockerfile instead of an image."""
        return bool(self._read().get("dockerfile"))

    @property
    def location(self) -> str:
        """The image's name, with its registry if it was pushed to one, or the folder; "" before it is made.

        An image that neither an engine nor a registry has stays in the cache of images, under that name.
        """
        return str(self._read().get("location") or "")

    @property
    def error(self) -> dict[str, Any] | None:
        """Why it could not be made; None otherwise."""
        return self._read().get("error")

    @property
    def package_build_log_uri(self) -> str:
        """Where its log is: a file of this machine with lines of JSON."""
        from mldeploy_jupyter.deployment.packages import package_journal

        return package_journal(self.workspace.folder, self.operation_id).as_uri()

    @property
    def image_id(self) -> str:
        """The digest of the image's configuration; "" for a folder."""
        return str(self._read().get("image_id") or "")

    @property
    def image_digest(self) -> str:
        """The digest of the image's manifest; "" before a registry has it."""
        return str(self._read().get("digest") or "")

    def receipt(self) -> dict[str, Any]:
        """What the image was made of: base, lock, bundle, layers and versions; {} for a folder."""
        return dict(self._read().get("receipt") or {})

    def wait_for_creation(self, show_output: bool = False) -> None:
        """Waits until it is made; with `show_output` prints the log as it comes.

        Raises `WebserviceException` when it could not be made.
        """
        from mldeploy_jupyter.deployment.packages import package_journal

        reader = JournalReader(package_journal(self.workspace.folder, self.operation_id))
        while True:
            ended = self.state != "Running"
            for event in reader.read_all():
                if show_output and event.kind in ("log", "started") and (event.text or event.kind == "started"):
                    print(printable(event.text) if event.kind == "log" else f"== {event.stage}")
            if ended:
                break
            if self._thread is not None:
                self._thread.join(POLL_SECONDS)
            else:
                threading.Event().wait(POLL_SECONDS)
        error = self.error
        if error:
            raise WebserviceException(
                str(error.get("what") or "the package could not be made"),
                why=str(error.get("why") or ""),
                hint=str(error.get("hint") or ""),
                where=str(error.get("where") or ""),
                code=str(error.get("code") or "PackageFailed"),
            )

    def get_logs(self, decode: bool = True, offset: int = 0) -> str | bytes:
        """The log so far, from the byte `offset` on; as bytes if `decode` is False."""
        from mldeploy_jupyter.deployment.packages import package_journal

        events = read_events(package_journal(self.workspace.folder, self.operation_id))
        text = "".join(f"{event.text}\n" for event in events if event.kind == "log")
        content = text.encode()[offset:]
        return content.decode("utf-8", "replace") if decode else content

    def pull(self) -> None:
        """Pulls the image into this machine's engine. Raises `WebserviceException` for a folder, or when it fails."""
        from mldeploy_jupyter.api.images import pull_image

        self._require(image=True)
        print(f"{pull_image(self.location)} is in the engine")

    def save(self, output_directory: str | Path) -> None:
        """Copies the Dockerfile and what it needs into a folder that is new or empty.

        Raises `WebserviceException` for an image, `StorageError` when the folder cannot be written.
        """
        self._require(image=False)
        target = Path(check_path("output_directory", output_directory, '"context"'))
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise StorageError(
                f"{target} is not empty", why="what is there would be mixed with it", hint="choose another folder"
            )
        try:
            shutil.copytree(self.location, target, dirs_exist_ok=True)
        except OSError as error:
            raise StorageError(f"{target} could not be written", why=str(error), hint="choose another folder") from None
        print(f"The build context is in {target}: docker build {target}")

    def get_container_registry(self) -> ContainerRegistry:
        """The registry that has the image; without an address where none has it. Passwords are kept by Docker."""
        from mldeploy_jupyter.api.environments import ContainerRegistry

        return ContainerRegistry(address=registry_of(self.location) or None)

    def serialize(self) -> dict[str, Any]:
        """The package as JSON data with v1's keys."""
        data = self._read()
        return {
            "id": self.operation_id,
            "state": data["state"],
            "createdTime": data.get("created_time"),
            "location": data.get("location") or None,
            "buildLogUri": self.package_build_log_uri,
            "error": data.get("error"),
            "modelIds": data.get("models"),
            "packageType": "DockerBuildContext" if data.get("dockerfile") else "WebServiceDockerImage",
            "imageId": data.get("image_id"),
            "imageDigest": data.get("digest"),
        }

    def __repr__(self) -> str:
        return f"ModelPackage(id={self.operation_id!r}, state={self.state!r}, location={self.location!r})"

    def _read(self) -> dict[str, Any]:
        from mldeploy_jupyter.deployment.packages import read_package

        return read_package(self.workspace.folder, self.operation_id)

    def _require(self, *, image: bool) -> None:
        if self.state != "Succeeded":
            raise WebserviceException(
                f"the package {self.operation_id} is not made",
                why=f"its state is {self.state}",
                hint="call wait_for_creation(), which says why",
            )
        if self.generate_dockerfile == image:
            what = "a folder with a Dockerfile" if image else "an image"
            hint = "call save(folder)" if image else "call pull(), or run `mldeploy image export`"
            raise WebserviceException(
                f"the package {self.operation_id} is {what}", why="as it was asked for", hint=hint
            )


def package(
    workspace: WorkspaceLike,
    models: Any,
    inference_config: InferenceConfig | None,
    generate_dockerfile: bool = False,
    image_name: str | None = None,
    image_label: str | None = None,
    *,
    builder: str = "auto",
) -> ModelPackage:
    """The body of `Model.package`, which documents it."""
    from mldeploy_jupyter.api.webservices.deploy_arguments import (
        default_inference,
        image_secrets,
        resolve_models,
        to_inference_data,
    )
    from mldeploy_jupyter.deployment import packages
    from mldeploy_jupyter.deployment.images import image

    if builder not in ("auto", "docker", "oci"):
        raise UserErrorException(
            f"there is no builder {builder!r}", why="it is auto, docker or oci", hint="leave it out for auto"
        )
    check_text("image_name", image_name)
    check_text("image_label", image_label)
    folder = check_workspace(workspace).folder
    references = resolve_models(workspace, models)
    request = packages.PackageRequest(
        references,
        to_inference_data(inference_config or default_inference(workspace, references)),
        sys.executable,
        image_name or "",
        image_label or "",
        bool(generate_dockerfile),
        builder,  # type: ignore[arg-type]
        image_secrets(inference_config).get(image.REGISTRY_PASSWORD, ""),
    )
    if image_name or image_label:
        _check_name(f"{image_name or 'package'}:{image_label or 'latest'}")
    id = packages.begin_package(folder, request)
    made = ModelPackage(workspace, id)
    made._thread = thread = threading.Thread(  # noqa: SLF001  a second constructor
        target=packages.make_package, args=(folder, id, request), name=f"mldeploy-package-{id}"
    )
    thread.start()
    return made


def registry_of(location: str) -> str:
    """The registry in the name of an image; "" for one that no registry has."""
    first, slash, _ = location.partition("/")
    return first if slash and not location.startswith("oci:") and (set(first) & {".", ":"}) else ""


def _check_name(reference: str) -> None:
    from mldeploy_jupyter.images.registry import parse_reference

    try:
        parse_reference(reference)
    except ImageError as error:
        raise UserErrorException(error.what, why=error.why, hint=error.hint) from None
