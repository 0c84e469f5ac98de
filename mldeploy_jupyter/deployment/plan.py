"""Turns a request into a plan: finds its models and source, builds its bundle, derives its server's settings."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.bundle import builder
from mldeploy_jupyter.core.configs import DeployConfig
from mldeploy_jupyter.core.configs.local import is_passable
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.core.errors import (
    ConfigError,
    EntryScriptError,
    ModelNotFoundException,
    TargetNotAvailable,
    WebserviceException,
)
from mldeploy_jupyter.core.records import DeploymentRequest, ModelRecord, RevisionRecord, ServiceRecord
from mldeploy_jupyter.core.script import name_check
from mldeploy_jupyter.core.script.imports import modules_to_preload
from mldeploy_jupyter.core.storage_errors import require_files
from mldeploy_jupyter.deployment.images import image
from mldeploy_jupyter.deployment.server_variables import settings_from_variables
from mldeploy_jupyter.deployment.source import imported_files, mlflow_models
from mldeploy_jupyter.deployment.source.snapshot import list_source, script_name
from mldeploy_jupyter.serving.system import caller_environment
from mldeploy_jupyter.targets import Target, TargetContext, open_target

if TYPE_CHECKING:
    from mldeploy_jupyter.core.store.store import Store
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


@dataclass(frozen=True)
class Inputs:
    """What a request refers to, found and checked.

    `source` maps paths below the source folder to files, `entry_script` is such a path. A rollback has
    `existing_bundle` and needs no models, source or new environment. `image` is what the image's build needs beside
    (`ImageInputs.to_dict`), `lock` and `python` those of the revision that is kept, where there are any.
    """

    models: list[builder.BundleModel] = field(default_factory=list)
    records: list[ModelRecord] = field(default_factory=list)
    source: dict[str, Path] = field(default_factory=dict)
    source_name: str = "source"
    entry_script: str = "score.py"
    environment: EnvironmentSpec | None = None
    config: DeployConfig = field(default_factory=DeployConfig)
    existing_bundle: builder.Bundle | None = None
    image: dict[str, str] = field(default_factory=dict)
    lock: str = ""
    python: str = ""


def collect_inputs(
    request: DeploymentRequest,
    folder: WorkspaceFolder,
    store: Store,
    source: dict[str, Path] | None = None,
    *,
    needs_image: bool = False,
) -> Inputs:
    """Finds everything the request refers to and checks the entry script. Reads only.

    `source` are the source files by their path below the source folder; by default they are those of now. With
    `needs_image`, a request without an environment gets one: that of the model that MLflow scores with, else what it
    imports, as the caller's interpreter has it.

    Raises:
        ModelNotFoundException: a model is not registered or was deleted, or a path does not exist.
        EntryScriptError: the script cannot serve.
        WebserviceException: the bundle of the revision to return to was pruned.
        EnvironmentBuildError: the caller's interpreter has packages that no image can have.
    """
    inputs = _collect_inputs(request, folder, store, source)
    return _with_image(inputs, request, folder) if needs_image and not request.image else inputs


def _with_image(inputs: Inputs, request: DeploymentRequest, folder: WorkspaceFolder) -> Inputs:
    """The inputs with what an image needs: its own settings, and an environment that can be installed elsewhere."""
    environment, config = inputs.environment, inputs.config
    base = image.read_image_inputs(request.inference_config)
    if environment is not None and environment.interpreter and (base.base or base.base_dockerfile):
        # v1's meaning of user_managed_dependencies with an image of one's own: that image has the packages.
        _refuse_interpreter(request.inference_config)
        environment = _with_tracing(replace(environment, interpreter=None, base_packages=True), config)
    if environment is None and not inputs.lock:
        script = inputs.source.get(inputs.entry_script)
        environment = mlflow_models.read_environment(script, inputs.models, folder.open_artifacts())
        environment = _with_tracing(environment, config)
    if (environment is None or environment.interpreter) and not inputs.lock:
        source = inputs.source
        if inputs.existing_bundle is not None:
            source = _bundled_source(inputs.existing_bundle)[0]
        python = environment.interpreter if environment is not None and environment.interpreter else None
        pinned = image.pin_environment(
            replace(request, kernel_python=python or request.kernel_python), source, inputs.records
        )
        variables = environment.environment_variables if environment is not None else {}
        environment = _with_tracing(replace(pinned, environment_variables=variables), config)
    return replace(inputs, environment=environment, image=base.to_dict())


def _collect_inputs(
    request: DeploymentRequest, folder: WorkspaceFolder, store: Store, source: dict[str, Path] | None
) -> Inputs:
    config = DeployConfig.from_dict(request.deploy_config)
    if request.image:
        return Inputs(config=config)
    data = request.inference_config
    environment = EnvironmentSpec.from_dict(data["environment"]) if data.get("environment") else None
    _check_variables(environment)
    variables = {**(environment.environment_variables if environment else {})}
    settings_from_variables({**variables, **(config.passed.get("environment_variables") or {})}, config.passed)
    environment = _with_tracing(environment, config)
    if request.operation == "rollback":
        bundle = _load_bundle(request.service, request.revision, folder, store)
        records = registered_models(request.models, store)
        return Inputs(
            records=records,
            environment=environment,
            config=config,
            existing_bundle=bundle,
            lock=_kept_lock(bundle),
            python=str(bundle.manifest.get("python") or ""),
        )
    found = [_find_model(reference, store) for reference in request.models]
    models, records = [model for model, _ in found], [record for _, record in found if record is not None]
    if request.keep_source:
        bundle = _load_bundle(request.service, request.keep_source, folder, store)
        files, name, script = _bundled_source(bundle)
        inputs = Inputs(models, records, files, name, script, environment, config)
        if environment is not None:
            return inputs
        return replace(inputs, lock=_kept_lock(bundle), python=str(bundle.manifest.get("python") or ""))
    directory = data.get("source_directory")
    script = script_name(request)
    files = source if source and script in source else list_source(request)
    if request.script_digest and not builder.has_digest(files[script], request.script_digest):
        raise EntryScriptError(
            f"{script} was changed after the deployment had begun",
            why=f"{files[script]} is not the file that was to be deployed",
            hint="deploy it again",
            code="ScriptChanged",
        )
    name_check.check_source(files[script].read_text("utf-8", "replace"), script)
    return Inputs(models, records, files, Path(directory).name if directory else "source", script, environment, config)


def make_bundle(
    inputs: Inputs, folder: WorkspaceFolder, *, lock: str, python: str, check: Callable[[], None]
) -> builder.Bundle:
    """Builds the bundle, or finds one with the same content. `check` is called between files and may raise.

    One that is there is verified, and repaired. Raises `StorageError` when it cannot be.
    """
    if inputs.existing_bundle is not None:
        builder.repair(inputs.existing_bundle)
        return inputs.existing_bundle
    return builder.build(_bundle_content(inputs, lock=lock, python=python), folder.bundles, check=check)


def is_unchanged(request: DeploymentRequest, folder: WorkspaceFolder, store: Store) -> bool:
    """Whether the service's live revision already is what the request would make.

    That counts everything that the service imports or finds: models, script and helper modules, the lock or the
    packages of the interpreter, the user's own packages outside of the bundle, the environment variables.

    Raises what `collect_inputs` raises: a request that cannot be carried out is not "unchanged".
    """
    service = store.get_service(request.service)
    revision = store.get_revision(request.service, service.revision) if service and service.revision else None
    if service is None or revision is None or service.state != "Live":
        return False
    if not _same_settings(service, revision, request) or service.target != request.target:
        return False
    from mldeploy_jupyter import environments

    if request.image:
        return False
    needs_image = open_service_target(folder, service).capabilities.needs_image
    inputs = collect_inputs(request, folder, store, needs_image=needs_image)
    lock, python = "", ""
    if inputs.environment is not None:
        locked = environments.lock(inputs.environment, kernel_python=request.kernel_python)
        lock, python = locked.text, locked.python_version
    else:
        interpreter = (request.kernel_python, environments.lock_current(request.kernel_python).digest)
        if (revision.environment.get("python"), revision.environment.get("digest")) != interpreter:
            return False
    if builder.compute_digest(_bundle_content(inputs, lock=lock, python=python)) != revision.bundle_digest:
        return False
    if needs_image:  # it has nothing but its image
        return True
    imported = revision.environment.get("imported")
    if imported is None or imported_files.find_changed(imported):  # None: unknown, as in revisions of earlier versions
        return False
    # A target that does not tell has variables that a caller cannot change.
    environment = open_service_target(folder, service).status(service).details.get("environment")
    return not environment or environment == caller_environment.digest(os.environ)


def server_settings(
    bundle: builder.Bundle | None,
    revision: RevisionRecord,
    config: dict[str, Any],
    *,
    python: str,
    variables: dict[str, str],
    models: Iterable[ModelRecord] = (),
    app: Path | None = None,
) -> dict[str, Any]:
    """The settings (`serving/settings.py`) of the scoring server of this revision.

    `config` is the deploy configuration with its defaults, `variables` are those of the environment, `app` is the
    working folder (default: that of the bundle). Without a bundle, what the server runs is not said. Variables that set
    v1's server stand in for settings that the deployment did not pass.

    Raises `ConfigError` where such a variable has a wrong value.
    """
    variables = {**variables, **(config.get("environment_variables") or {})}
    passed = DeployConfig.from_dict(revision.deploy_config).passed
    config = {**config, **settings_from_variables(variables, passed)}
    runs: dict[str, Any] = {"env": variables}
    if bundle is not None:
        runs = bundle_settings(bundle, python=python, variables=variables, models=models, app=app)
    return {
        **runs,
        "service": revision.service,
        "revision": revision.number,
        "revision_label": f"{revision.number}-{bundle.digest[:8]}" if bundle is not None else str(revision.number),
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
        "allowed_hosts": list(config.get("allowed_hosts") or []),
        "keep_last_request": config.get("keep_last_request", True) is not False,
        "score_sample": config.get("no_probe") is not True,
        "sample_headers": dict(config.get("sample_headers") or {}),
        "title": revision.service,
        "description": config.get("description") or "",
    }


def bundle_settings(
    bundle: builder.Bundle,
    *,
    python: str,
    variables: dict[str, str],
    models: Iterable[ModelRecord],
    app: Path | None = None,
) -> dict[str, Any]:
    """The server's settings that say what it runs: the folders, the interpreter, what to import first."""
    app = bundle.app if app is None else app
    return {
        "python": python,
        "server_path": str(bundle.server),
        "server_digest": bundle.server_digest,
        "app_root": str(app),
        "source_directory": bundle.manifest["source_directory"],
        "entry_script": bundle.entry_script,
        "model_dir": str(app / bundle.model_folder),
        "env": variables,
        "preload": modules_to_preload(bundle.source_files(), models),
    }


def registered_models(references: list[str], store: Store) -> list[ModelRecord]:
    """The records of the references `name:version` that are registered; paths and others are left out."""
    found = [_find_registered(reference, store) for reference in references]
    return [record for record in found if record is not None]


def registered_model(record: ModelRecord) -> builder.BundleModel:
    """A registered model as a part of a bundle."""
    return builder.BundleModel(record.name, record.version, require_files(record))


def open_service_target(folder: WorkspaceFolder, service: ServiceRecord) -> Target:
    """The target of a service that exists. Raises `TargetNotAvailable`.

    A service whose folder is here is a local one, also when its damaged record names a target that there is not.
    """
    context = target_context(folder)
    try:
        return open_target(service.target, context)
    except TargetNotAvailable:
        if not os.path.lexists(folder.services / service.name):
            raise
        return open_target("local", context)


def target_context(folder: WorkspaceFolder, clients: dict[str, Any] | None = None) -> TargetContext:
    """What a target of this workspace is opened with; `clients` are the client objects the caller handed in."""
    return TargetContext(folder.id, folder.services, clients or {})


def image_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """The server's settings without those that an image brings along, and without limits that its container has."""
    own = ("python", "server_path", "server_digest", "app_root", "model_dir", "memory_limit_mb")
    return {name: value for name, value in settings.items() if name not in own}


def _kept_lock(bundle: builder.Bundle) -> str:
    """The lock of a bundle, "" where it has none."""
    try:
        return (bundle.path / "environment.lock").read_text("utf-8")
    except OSError:
        return ""


def _bundle_content(inputs: Inputs, *, lock: str, python: str) -> builder.BundleContent:
    variables = inputs.environment.environment_variables if inputs.environment else {}
    environment: dict[str, Any] = {"variables": dict(sorted(variables.items()))} if variables else {}
    return builder.BundleContent(
        inputs.source_name,
        inputs.source,
        inputs.entry_script,
        inputs.models,
        lock=lock,
        python=python,
        environment=environment | inputs.image,
    )


def _same_settings(service: ServiceRecord, revision: RevisionRecord, request: DeploymentRequest) -> bool:
    asked, live = (DeployConfig.from_dict(data) for data in (request.deploy_config, revision.deploy_config))
    # Tags, properties and description belong to the service; only those that the request names are compared.
    metadata = {"tags": service.tags, "description": service.description}
    same_metadata = all(asked.passed.get(name) in (None, value) for name, value in metadata.items())
    same_properties = (asked.passed.get("properties") or {}).items() <= service.properties.items()
    return same_metadata and same_properties and asked.without_metadata() == live.without_metadata()


def _check_variables(environment: EnvironmentSpec | None) -> None:
    """Raises `ConfigError` for a variable of the environment that a process cannot be given."""
    for name, value in (environment.environment_variables if environment else {}).items():
        if not name or "=" in name or not is_passable(name) or not is_passable(str(value)):
            raise ConfigError(
                f"the environment variable {name!r} cannot be passed to the service",
                why="its name or its value has a character that environment variables cannot have, such as NUL",
                hint="correct it in the environment's environment_variables",
            )


def _refuse_interpreter(inference: dict[str, Any]) -> None:
    python = (inference.get("environment_definition") or {}).get("python") or {}
    path = python.get("interpreterPath") or "python"
    if path != "python":
        raise ConfigError(
            f"the interpreter {path} cannot be chosen in a base image",
            why="with user_managed_dependencies an image has the Python that its base calls python3",
            hint="leave python.interpreter_path 'python', and put the one you want first on the PATH of the base image",
            where="environment.python.interpreterPath",
        )


def _with_tracing(environment: EnvironmentSpec | None, config: DeployConfig) -> EnvironmentSpec | None:
    """The environment with the packages that tracing needs, if tracing is on and packages are installed at all."""
    from mldeploy_jupyter.serving.requirements import TRACING

    if environment is None or environment.interpreter or config.passed.get("tracing") in (None, "", "off"):
        return environment
    return replace(environment, pip=[*environment.pip, *TRACING])


def _find_model(reference: str, store: Store) -> tuple[builder.BundleModel, ModelRecord | None]:
    record = _find_registered(reference, store)
    if record is not None:
        return registered_model(record), record
    path = Path(reference)
    if path.is_absolute() and path.exists():
        return _local_model(path), None
    raise ModelNotFoundException(
        f"there is no model {reference}",
        why="it was deleted, or never registered in this workspace",
        hint="see what there is with `mldeploy model list`",
    )


def _find_registered(reference: str, store: Store) -> ModelRecord | None:
    name, _, version = reference.rpartition(":")
    return store.get_model(name, int(version)) if name and version.isdigit() else None


def _local_model(path: Path) -> builder.BundleModel:
    """A file or folder that was never registered. As in v1, it gets version 0."""
    if path.is_file():
        found = {path.name: path}
    else:
        found = {f"{path.name}/{p.relative_to(path)}": p for p in sorted(path.rglob("*")) if p.is_file()}

    manifest: dict[str, list[Any]] = {}
    for relative, source in found.items():
        with source.open("rb") as file:
            manifest[relative] = [hashlib.file_digest(file, "sha256").hexdigest(), source.stat().st_size]
    return builder.BundleModel(path.name, 0, manifest, found)


def _load_bundle(service: str, number: int, folder: WorkspaceFolder, store: Store) -> builder.Bundle:
    revision = store.get_revision(service, number)
    path = folder.bundles / revision.bundle_digest if revision and revision.bundle_digest else None
    if path is None or not os.path.exists(path / "bundle.json"):
        raise WebserviceException(
            f"revision {number} of {service} cannot be used",
            why="its bundle is not on this machine, or was pruned" if revision else "there is no such revision",
            hint=f"deploy again, or choose a revision that `mldeploy service show -n {service}` lists",
        )
    try:
        return builder.load(path)
    except (OSError, ValueError) as error:
        raise builder.damaged_error(path, "bundle.json", str(error)) from None


def _bundled_source(bundle: builder.Bundle) -> tuple[dict[str, Path], str, str]:
    """The source files of a bundle by relative path, the name of their folder, and the entry script among them."""
    name = bundle.manifest["source_directory"]
    files = bundle.files_below(f"app/{name}/")
    paths = {file: bundle.app / name / file for file in files}
    damaged = [file for file, (digest, _) in files.items() if not builder.has_digest(paths[file], digest)]
    if damaged:
        raise builder.damaged_error(bundle, f"app/{name}/{damaged[0]}")
    return paths, name, Path(bundle.entry_script).relative_to(name).as_posix()
