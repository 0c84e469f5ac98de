"""The stage in which a deployment gets its image: made, found, or deployed as it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.core.records import DeploymentRequest, RevisionRecord
from mldeploy_jupyter.core.script.imports import modules_to_preload
from mldeploy_jupyter.deployment.images import build, image, receipts, registries
from mldeploy_jupyter.deployment.images.image import MadeImage
from mldeploy_jupyter.deployment.plan import Inputs
from mldeploy_jupyter.targets import Cancel, Emit, TargetFailure

if TYPE_CHECKING:
    from mldeploy_jupyter.core.bundle.builder import Bundle
    from mldeploy_jupyter.core.store.store import Store
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
    from mldeploy_jupyter.docker_engine import Engine

# Of a bundle's manifest: what a reload of the source files must not change.
_KEPT = ("lock", "python", "environment", "models", "source_directory", "entry_script")


@dataclass
class ImageStage:
    """What a deployment knows when it needs an image. `clients` and `password` are the caller's."""

    folder: WorkspaceFolder
    store: Store
    request: DeploymentRequest
    inputs: Inputs
    lock: str
    emit: Emit
    cancel: Cancel
    clients: dict[str, Any] = field(default_factory=dict)
    password: str = field(default="", repr=False)
    has_built: bool = False  # whether an image was built, not found

    def make_image(self, bundle: Bundle, revision: RevisionRecord) -> tuple[MadeImage, str]:
        """The image of a bundle, and how it was obtained. One that an earlier revision has is not built again.

        Raises `TargetFailure` or `ImageError`.
        """
        engine = self._open_engine()
        if self.request.reload and (serving := self._find_reloadable(bundle, engine)) is not None:
            return serving, "not needed: the container gets the code"
        number = self.request.revision or self.request.keep_source
        known = self.store.get_revision(self.request.service, number) if number else None
        if known is not None and known.bundle_digest == bundle.digest:
            kept = MadeImage.of(known)
            if not kept.is_reloaded and build.has_image(engine, kept.id):
                return kept, f"that of revision {number}, {image.short_id(kept.id)}"
        content = build.make_content(
            self.folder,
            bundle,
            lock=self.lock,
            settings={"preload": modules_to_preload(bundle.source_files(), self.inputs.records)},
            platform=engine.platform,
        )
        built = build.build_image(
            content,
            f"{image.image_name(self.folder, self.request.service)}:{revision.number}",
            self.emit,
            self.cancel,
            engine=engine,
            environment=self.inputs.environment,
            kernel_python=self.request.kernel_python,
            username=image.read_image_inputs(self.request.inference_config).username,
            password=self.password,
        )
        receipts.keep_sbom(self.folder, built)
        self.has_built = True
        made = MadeImage(built.reference, built.id, built.digest, built.receipt)
        return made, f"{build.describe_layers(built)}, {image.short_id(built.id)}"

    def find_image(self) -> tuple[MadeImage, str]:
        """The image that the request names, pulled if the engine lacks it.

        Raises `TargetFailure`, or `ImageError` for an image that was not made by this package.
        """
        engine = self._open_engine()
        name = self.request.image
        registries.load_kept(self.folder, engine, name, self.emit, self.cancel)
        found = build.pull_image(engine, name, self.emit, self.cancel)
        labels = (found.get("Config") or {}).get("Labels") or {}
        if labels.get("io.mldeploy.image") != "1":
            raise ImageError(
                f"the image {name} cannot be deployed",
                why="it was not made by mldeploy: it lacks the label io.mldeploy.image, and with it the scoring server",
                hint="make one with Model.package(ws, models, inference_config), or use it as base_image",
                code="ForeignImage",
            )
        digests = found.get("RepoDigests") or []
        receipt = receipts.find_receipt(self.folder, self.store, str(found["Id"])) or {
            "image": found["Id"],
            "bundle": labels.get("io.mldeploy.bundle", ""),
            "lock": labels.get("io.mldeploy.lock", ""),
            "python": labels.get("io.mldeploy.python", ""),
        }
        made = MadeImage(name, str(found["Id"]), digests[0].rpartition("@")[2] if digests else "", receipt)
        return made, f"{name}, as it is, {image.short_id(made.id)}"

    def _open_engine(self) -> Engine:
        from mldeploy_jupyter import docker_engine

        try:
            return docker_engine.open_engine(client=self.clients.get("docker"))
        except docker_engine.EngineError as error:
            raise TargetFailure(error.failure, "image") from None

    def _find_reloadable(self, bundle: Bundle, engine: Engine) -> MadeImage | None:
        """The image of the live revision, where the new one differs from it in nothing but its source files.

        None where no container runs that could take them: a service that was stopped gets a new one, and serves again.
        """
        from mldeploy_jupyter.core.bundle import builder

        service = self.store.get_service(self.request.service)
        live = self.store.get_revision(service.name, service.revision) if service and service.revision else None
        if service is None or live is None or service.target != self.request.target:
            return None
        if not self._has_running_container(engine):
            return None
        try:
            before, after = builder.load(self.folder.bundles / live.bundle_digest).manifest, bundle.manifest
        except (OSError, ValueError):
            return None
        if any(before.get(name) != after.get(name) for name in _KEPT) or _server(before) != _server(after):
            return None
        made = MadeImage.of(live)
        return made.with_code(bundle.digest) if build.has_image(engine, made.id) else None

    def _has_running_container(self, engine: Engine) -> bool:
        from mldeploy_jupyter.docker_engine import EngineError
        from mldeploy_jupyter.targets.docker.containers import ServiceContainers
        from mldeploy_jupyter.targets.docker.layout import read_layout
        from mldeploy_jupyter.targets.docker.live_record import read_record

        name = self.request.service
        try:
            containers = ServiceContainers(engine, self.folder.id, name)
            serving = read_layout(containers, read_record(self.folder.services / name)).serving
        except EngineError as error:
            raise TargetFailure(error.failure, "image") from None
        return serving is not None and serving.is_running


def _server(manifest: dict[str, Any]) -> dict[str, Any]:
    return {name: entry for name, entry in manifest["files"].items() if name.startswith("server/")}
