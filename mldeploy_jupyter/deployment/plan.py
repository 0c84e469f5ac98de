"""Turns a request into a plan: its models found, its source collected, its bundle made, its server's settings."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.bundle import builder
from mldeploy_jupyter.core.bundle.source_directory import source_files
from mldeploy_jupyter.core.configs import DeployConfig
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.core.errors import ModelNotFoundException, WebserviceException
from mldeploy_jupyter.core.records import DeploymentRequest, ModelRecord, RevisionRecord, ServiceRecord
from mldeploy_jupyter.core.script import entry_script
from mldeploy_jupyter.core.script.imports import imported_modules, modules_of
from mldeploy_jupyter.targets import TargetContext

if TYPE_CHECKING:
    from mldeploy_jupyter.core.store.store import Store
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


@dataclass(frozen=True)
class Inputs:
    """What a request asks for, found. `kept` is the bundle whose source and lock are used again."""

    models: list[builder.BundleModel] = field(default_factory=list)
    records: list[ModelRecord] = field(default_factory=list)
    source: dict[str, Path] = field(default_factory=dict)
    source_name: str = "source"
    entry_script: str = "score.py"
    environment: EnvironmentSpec | None = None
    config: DeployConfig = field(default_factory=DeployConfig)
    kept: builder.Bundle | None = None
    whole: bool = False  # a rollback: the kept bundle is used as it is


def collect(request: DeploymentRequest, folder: WorkspaceFolder, store: Store) -> Inputs:
    """Finds everything and checks the entry script. Reads only.

    Raises:
        ModelNotFoundException: a model is not registered (any more), or a path is not there.
        EntryScriptError: the script cannot serve.
        WebserviceException: a bundle to go back to was pruned.
    """
    config = DeployConfig.from_dict(request.deploy_config)
    data = request.inference_config
    environment = EnvironmentSpec.from_dict(data["environment"]) if data.get("environment") else None
    environment = _with_tracing(environment, config)
    if request.operation == "rollback":
        kept = _bundle_of(request.service, request.revision, folder, store)
        records = registered(request.models, store)
        return Inputs([], records, {}, environment=environment, config=config, kept=kept, whole=True)
    models, records = [], []
    for reference in request.models:
        model, record = _model(reference, folder, store)
        models.append(model)
        if record is not None:
            records.append(record)
    if request.keep_source:
        kept = _bundle_of(request.service, request.keep_source, folder, store)
        name = kept.manifest["source_directory"]
        root = kept.app / name
        files = {
            str(p.relative_to(root)): p for p in sorted(root.rglob("*")) if p.is_file() and "__pycache__" not in p.parts
        }
        script = Path(kept.entry_script).relative_to(name).as_posix()
        return Inputs(models, records, files, name, script, environment, config, kept)
    directory = data.get("source_directory")
    files = source_files(data["entry_script"] if directory else data["entry_path"], directory)
    script = Path(data["entry_script"]).as_posix() if directory else Path(data["entry_path"]).name
    entry_script.check(files[script].read_text("utf-8", "replace"), script)
    return Inputs(models, records, files, Path(directory).name if directory else "source", script, environment, config)


def make_bundle(
    inputs: Inputs,
    folder: WorkspaceFolder,
    *,
    lock: str,
    python: str,
    check: Callable[[], None],
) -> builder.Bundle:
    if inputs.whole and inputs.kept is not None:
        return inputs.kept
    return builder.build(content_of(inputs, lock=lock, python=python), folder.bundles, check=check)


def content_of(inputs: Inputs, *, lock: str, python: str) -> builder.BundleContent:
    variables = inputs.environment.environment_variables if inputs.environment else {}
    return builder.BundleContent(
        inputs.source_name,
        inputs.source,
        inputs.entry_script,
        inputs.models,
        lock=lock,
        python=python,
        environment={"variables": dict(sorted(variables.items()))} if variables else {},
    )


def is_unchanged(request: DeploymentRequest, folder: WorkspaceFolder, store: Store) -> bool:
    """True when the service's live revision is just what the request would make.

    Raises what `collect` raises: a request that cannot be carried out is not "unchanged".
    """
    service = store.get_service(request.service)
    revision = store.get_revision(request.service, service.revision) if service and service.revision else None
    if service is None or revision is None or service.state != "Live":
        return False
    if not _same_settings(service, revision, request) or service.target != request.target:
        return False
    inputs = collect(request, folder, store)
    lock, python = "", ""
    if inputs.environment is not None:
        from mldeploy_jupyter import environments

        made = environments.lock(inputs.environment, kernel_python=request.kernel_python)
        lock, python = made.text, made.python_version
    elif revision.environment.get("python") != request.kernel_python:
        return False
    return builder.compute_digest(content_of(inputs, lock=lock, python=python)) == revision.bundle_digest


def _same_settings(service: ServiceRecord, revision: RevisionRecord, request: DeploymentRequest) -> bool:
    asked, serves = (DeployConfig.from_dict(data) for data in (request.deploy_config, revision.deploy_config))
    said = {"tags": service.tags, "description": service.description}
    texts = all(asked.passed.get(name) in (None, value) for name, value in said.items())
    properties = (asked.passed.get("properties") or {}).items() <= service.properties.items()
    return texts and properties and asked.without_metadata() == serves.without_metadata()


def server_settings(
    made: builder.Bundle,
    revision: RevisionRecord,
    config: dict[str, Any],
    *,
    python: str,
    variables: dict[str, str],
    models: Iterable[ModelRecord] = (),
) -> dict[str, Any]:
    """What the scoring server of this revision is told (`serving/settings.py`)."""
    source = made.manifest["source_directory"]
    inside = [name for name in made.manifest["files"] if name.startswith(f"app/{source}/")]
    return {
        "service": revision.service,
        "revision": revision.number,
        "revision_label": f"{revision.number}-{made.digest[:8]}",
        "python": python,
        "server_path": str(made.server),
        "server_digest": made.server_digest,
        "app_root": str(made.app),
        "source_directory": made.manifest["source_directory"],
        "entry_script": made.entry_script,
        "model_dir": str(made.model_dir),
        "env": {**variables, **(config.get("environment_variables") or {})},
        "workers": config.get("worker_count") or 1,
        "init_timeout": float(config.get("init_timeout") or 300),
        "scoring_timeout_ms": config.get("scoring_timeout_ms") or 60_000,
        "max_body_bytes": int((config.get("max_request_body_mb") or 100) * 1024 * 1024),
        "max_queue": config.get("max_queue_length") or 500,
        "max_queue_wait_ms": config.get("max_request_wait_time") or 30_000,
        "max_batch_size": config.get("max_batch_size") or 0,
        "memory_limit_mb": math.ceil((config.get("memory_gb_limit") or 0) * 1000),
        "max_requests": config.get("max_requests_per_worker") or 0,
        "tracing": config.get("tracing", "off").removeprefix("off"),
        "auth_enabled": config.get("auth_enabled", True) is not False and config.get("token_auth_enabled") is not True,
        "token_auth_enabled": config.get("token_auth_enabled") is True,
        "cors_origins": list(config.get("cors_origins") or []),
        "preload": [
            *imported_modules({name.split("/", 2)[2]: made.path / name for name in inside}),
            *modules_of(models),
        ],
        "title": revision.service,
        "description": config.get("description") or "",
    }


def _with_tracing(environment: EnvironmentSpec | None, config: DeployConfig) -> EnvironmentSpec | None:
    """The environment with what tracing needs, where it is asked for and something is installed."""
    from mldeploy_jupyter.serving.requirements import TRACING

    if environment is None or environment.interpreter or config.passed.get("tracing") in (None, "", "off"):
        return environment
    return replace(environment, pip=[*environment.pip, *TRACING])


def _model(reference: str, folder: WorkspaceFolder, store: Store) -> tuple[builder.BundleModel, ModelRecord | None]:
    name, _, version = reference.rpartition(":")
    record = store.get_model(name, int(version)) if name and version.isdigit() else None
    if record is not None:
        artifacts = folder.open_artifacts()
        files = record.files
        return builder.BundleModel(
            record.name, record.version, files, lambda target: artifacts.materialize(files, target)
        ), record
    path = Path(reference)
    if path.is_absolute() and path.exists():
        return _local_model(path), None
    raise ModelNotFoundException(
        f"there is no model {reference}",
        why="it was deleted, or never registered in this workspace",
        hint="see what there is with `mldeploy model list`",
    )


def _local_model(path: Path) -> builder.BundleModel:
    """A path that was never registered: it stands under version 0, as in v1."""
    found = {path.name: path} if path.is_file() else {f"{path.name}/{p.relative_to(path)}": p for p in _files(path)}

    def place(target: Path) -> None:
        import shutil

        for relative, source in found.items():
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / relative)

    manifest: dict[str, list[Any]] = {}
    for relative, source in found.items():
        with source.open("rb") as file:
            manifest[relative] = [hashlib.file_digest(file, "sha256").hexdigest(), source.stat().st_size]
    return builder.BundleModel(path.name, 0, manifest, place)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def registered(references: list[str], store: Store) -> list[ModelRecord]:
    """The registered ones among a request's models."""
    pairs = [reference.rpartition(":") for reference in references]
    found = [store.get_model(name, int(version)) for name, _, version in pairs if name and version.isdigit()]
    return [record for record in found if record is not None]


def _bundle_of(service: str, number: int, folder: WorkspaceFolder, store: Store) -> builder.Bundle:
    revision = store.get_revision(service, number)
    path = folder.bundles / revision.bundle_digest if revision and revision.bundle_digest else None
    if path is None or not (path / "bundle.json").exists():
        raise WebserviceException(
            f"revision {number} of {service} cannot be used",
            why="its bundle is not on this machine (any more)" if revision else "there is no such revision",
            hint=f"deploy again, or choose a revision that `mldeploy service show -n {service}` lists",
        )
    return builder.load(path)


def target_context(folder: WorkspaceFolder, clients: dict[str, Any] | None = None) -> TargetContext:
    return TargetContext(folder.id, folder.services, clients or {})
