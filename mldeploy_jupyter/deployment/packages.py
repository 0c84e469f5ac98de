"""Packages: images, or the folders that images are built from, made from models and a script without a service.

packages/<id>/package.json        what was asked for, and what it became
              events.jsonl        the journal of its making
              environment.lock
              context/            with a Dockerfile, where that was asked for

An image that neither an engine nor a registry has stays in the cache of images for as long as the package does.
"""

from __future__ import annotations

import re
import secrets
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.diagnosis import explain
from mldeploy_jupyter.core.errors import DeploymentCancelled, MldeployError, WebserviceException
from mldeploy_jupyter.core.files import make_private_dir, read_json_if_valid, write_json
from mldeploy_jupyter.core.journal.journal import Journal
from mldeploy_jupyter.core.records import DeploymentRequest, utc_now
from mldeploy_jupyter.core.script.imports import modules_to_preload
from mldeploy_jupyter.deployment import diagnose
from mldeploy_jupyter.deployment.images import build, image, receipts, registries
from mldeploy_jupyter.deployment.images.derived import name_image
from mldeploy_jupyter.deployment.plan import collect_inputs, make_bundle
from mldeploy_jupyter.deployment.stages import Stages
from mldeploy_jupyter.targets import Cancel, TargetFailure

if TYPE_CHECKING:
    from mldeploy_jupyter.core.bundle.builder import Bundle
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
    from mldeploy_jupyter.deployment.plan import Inputs
    from mldeploy_jupyter.images.context import ImageContent

RECORD = "package.json"


@dataclass(frozen=True)
class PackageRequest:
    """What a package is made from; the fields are as in a `DeploymentRequest`.

    `name` and `label` are the repository and the tag of its image: by default a name of the workspace, and the time.
    `dockerfile` asks for the folder that an image is built from instead of the image. `password` opens the registry
    of the base image, and is stored nowhere.
    """

    models: list[str] = field(default_factory=list)
    inference_config: dict[str, Any] = field(default_factory=dict)
    kernel_python: str = ""
    name: str = ""
    label: str = ""
    dockerfile: bool = False
    builder: build.Builder = "auto"
    password: str = field(default="", repr=False)


def _is_id(id: str) -> bool:
    return re.fullmatch(r"[0-9]+-[0-9a-f]+", id) is not None


def package_folder(folder: WorkspaceFolder, id: str) -> Path:
    return folder.root / "packages" / id


def package_journal(folder: WorkspaceFolder, id: str) -> Path:
    return package_folder(folder, id) / "events.jsonl"


def read_package(folder: WorkspaceFolder, id: str) -> dict[str, Any]:
    """The record of a package: `state` is Running, Succeeded or Failed. {} where there is none.

    One whose process died is Failed.
    """
    data = (read_json_if_valid(package_folder(folder, id) / RECORD) or {}) if _is_id(id) else {}
    if data.get("state") == "Running" and process_identity.is_alive(data.get("process") or {}) is False:
        what = "the process that made the package has ended"
        data |= {"state": "Failed", "error": {"what": what, "why": "", "hint": "make the package again"}}
    return data


def begin_package(folder: WorkspaceFolder, request: PackageRequest, *, now: Callable[[], str] = utc_now) -> str:
    """Records that a package is to be made, and returns its id."""
    stamp = now()[:19].translate(str.maketrans("", "", "-:T"))
    id = f"{stamp}-{secrets.token_hex(3)}"
    make_private_dir(package_folder(folder, id))
    registry = image.image_registry(folder)
    name = request.name or f"mldeploy-{folder.id[:8]}/package"
    _write(
        folder,
        id,
        {
            "id": id,
            "state": "Running",
            "created_time": now(),
            "models": request.models,
            "entry_script": request.inference_config.get("entry_script"),
            "dockerfile": request.dockerfile,
            "reference": f"{f'{registry}/' if registry else ''}{name}:{request.label or stamp}",
            "location": "",
            "process": process_identity.identify_process(),
        },
    )
    Journal(package_journal(folder, id)).close()
    return id


def make_package(
    folder: WorkspaceFolder,
    id: str,
    request: PackageRequest,
    cancel: Cancel = lambda: None,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Makes the package that was begun, and returns its record, which has the failure if it could not be made."""
    journal = Journal(package_journal(folder, id))
    stages = Stages(journal, clock)
    changes: dict[str, Any]
    try:
        changes = {"state": "Succeeded", **_make(folder, id, request, stages, cancel)}
        journal.write("", "state", state="live", seconds=stages.elapsed)
    except (MldeployError, TargetFailure, OSError) as error:
        cause = _explain(folder, request, error)
        state = "cancelled" if isinstance(error, DeploymentCancelled) else "failed"
        stages.fail("cancelled" if state == "cancelled" else str(cause["what"]))
        journal.write("", "state", str(cause["what"]), state=state, cause=cause, seconds=stages.elapsed)
        changes = {"state": "Failed", "error": cause}
    except Exception as error:  # a defect of ours, so the journal gets the whole traceback
        for line in "".join(traceback.format_exception(error)).splitlines():
            stages.emit(stages.current, "log", line)
        cause = diagnose.diagnose_defect(error).to_dict()
        stages.fail(str(cause["what"]))
        journal.write("", "state", str(cause["what"]), state="failed", cause=cause, seconds=stages.elapsed)
        changes = {"state": "Failed", "error": cause}
    finally:
        journal.close()
    return _write(folder, id, {**read_package(folder, id), **changes, "finished_time": utc_now()})


def _make(folder: WorkspaceFolder, id: str, request: PackageRequest, stages: Stages, cancel: Cancel) -> dict[str, Any]:
    record, own = read_package(folder, id), package_folder(folder, id)
    registry = image.image_registry(folder)
    named = ["check", "bundle", "image", *(["push"] if registry and not request.dockerfile else [])]
    stages.emit("", "state", state="running", operation="package", service="package", target="docker", stages=named)
    with stages.stage("check") as set_detail:
        asked = DeploymentRequest(
            "package",
            "docker",
            models=request.models,
            inference_config=request.inference_config,
            kernel_python=request.kernel_python,
        )
        inputs = collect_inputs(asked, folder, folder.open_store(), needs_image=True)
        set_detail(str(request.inference_config.get("entry_script") or ""))
    with stages.stage("bundle") as set_detail:
        bundle, lock = _make_bundle(folder, request, inputs, stages, cancel)
        (own / "environment.lock").write_text(lock, "utf-8")
        set_detail(bundle.digest[:8])
    content = build.make_content(
        folder,
        bundle,
        lock=lock,
        settings={"preload": modules_to_preload(bundle.source_files(), inputs.records)},
    )
    made: dict[str, Any] = {"bundle_digest": bundle.digest, "lock": content.lock_digest}
    if request.dockerfile:
        return {**made, "location": _write_context(content, own / "context", inputs, request, stages, cancel)}
    with stages.stage("image") as set_detail:
        engine = build.choose_engine(request.builder, stages.emit)
        content = replace(content, platform=engine.platform) if engine is not None else content
        built = build.build_image(
            content,
            record["reference"],
            stages.emit,
            cancel,
            engine=engine,
            environment=inputs.environment,
            kernel_python=request.kernel_python,
            username=image.read_image_inputs(request.inference_config).username,
            password=request.password,
        )
        receipts.keep_sbom(folder, built)
        set_detail(f"{build.describe_layers(built)}, {image.short_id(built.id)}")
    made |= {"image_id": built.id, "digest": built.digest, "receipt": built.receipt, "location": record["reference"]}
    if engine is None and not registry:
        made["kept"] = registries.keep(built, own / RECORD, cancel)
    if registry:
        with stages.stage("push") as set_detail:
            source = record["reference"] if engine is not None else built
            pushed = registries.push(source, record["reference"], stages.emit, cancel)
            set_detail(pushed.detail)
        made["digest"] = pushed.digest
    name_image(folder, inputs.records, record["reference"])
    return made


def _make_bundle(
    folder: WorkspaceFolder, request: PackageRequest, inputs: Inputs, stages: Stages, cancel: Cancel
) -> tuple[Bundle, str]:
    from mldeploy_jupyter import environments

    assert inputs.environment is not None
    locked = environments.lock(
        inputs.environment,
        kernel_python=request.kernel_python,
        emit=lambda kind, text="", **data: stages.emit("bundle", kind, text, **data),
        cancel=cancel,
    )
    bundle = make_bundle(inputs, folder, lock=locked.text, python=locked.python_version, check=cancel)
    return bundle, locked.text


def _write_context(
    content: ImageContent, target: Path, inputs: Inputs, request: PackageRequest, stages: Stages, cancel: Cancel
) -> str:
    with stages.stage("image") as set_detail:
        build.write_context(
            content, target, cancel, environment=inputs.environment, kernel_python=request.kernel_python
        )
        set_detail(f"a Dockerfile and what it copies, in {target}")
    return str(target)


def _explain(folder: WorkspaceFolder, request: PackageRequest, error: Exception) -> dict[str, Any]:
    if isinstance(error, TargetFailure):
        return explain(error.failure, settings={}).to_dict()
    if not isinstance(error, MldeployError):
        error = WebserviceException("the package could not be made", why=str(error), hint="free space, then try again")
    return diagnose.diagnose_error(folder, error, request.inference_config).to_dict()


def _write(folder: WorkspaceFolder, id: str, record: dict[str, Any]) -> dict[str, Any]:
    write_json(package_folder(folder, id) / RECORD, record)
    return record


def remove_package(folder: WorkspaceFolder, id: str) -> None:
    """Removes the files of a package. Its image stays until a prune."""
    from mldeploy_jupyter.serving.system.removal import remove_tree

    if _is_id(id):
        remove_tree(package_folder(folder, id))
