"""Begins deployments: first ones and overwrites, updates, rollbacks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter import deployment
from mldeploy_jupyter.api.arguments import WorkspaceLike, check_workspace
from mldeploy_jupyter.api.webservices import details, metadata, migrated
from mldeploy_jupyter.api.webservices.deploy_arguments import (
    Configuration,
    Models,
    choose_config,
    digest_script,
    image_secrets,
    make_request,
    print_configuration,
    resolve_models,
    to_deploy_config,
    to_inference_data,
)
from mldeploy_jupyter.core import migration
from mldeploy_jupyter.core.configs import DeployConfig
from mldeploy_jupyter.core.errors import UserErrorException, WebserviceException
from mldeploy_jupyter.core.name_rules import check_service_name
from mldeploy_jupyter.core.records import DeploymentRecord, DeploymentRequest, RevisionRecord, ServiceRecord
from mldeploy_jupyter.deployment import LaunchSpec

if TYPE_CHECKING:
    from mldeploy_jupyter.api.webservices.inference_config import InferenceConfig
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

begun: list[str] = []  # ids of the deployments that this process began, in order
unreported: set[str] = set()  # those whose outcome no call of this process has returned or raised yet


@dataclass(frozen=True)
class ServiceUpdate:
    """What an update changes; everything that is None or empty stays as the live revision has it."""

    models: Models | None = None
    inference_config: InferenceConfig | None = None
    deployment_config: Configuration | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)  # single settings of the deploy configuration
    metadata: Mapping[str, Any] = field(default_factory=dict)  # tags, properties, description
    reload: bool = False  # reads the script and its helpers again
    replay: bool = False  # scores the live revision's last request before the switch


def deploy(
    workspace: WorkspaceLike,
    name: str,
    models: Models,
    inference_config: InferenceConfig | None = None,
    deployment_config: Configuration | None = None,
    deployment_target: Any = None,
    overwrite: bool = False,
    show_output: bool = False,
    *,
    clients: dict[str, Any] | None = None,
    on_recorded: Callable[[DeploymentRecord], object] = lambda record: None,
) -> DeploymentRecord:
    """The body of `Model.deploy`, which documents it and names the errors.

    `clients` are client objects for the target; with any the deployment runs in this process. `on_recorded` is called
    before anything is started for the deployment, as for one who shows it.
    """
    check_workspace(workspace)
    config, describe = choose_config(deployment_config, deployment_target)
    if isinstance(models, Iterable) and not isinstance(models, (str, Path)):
        models = list(models)  # read twice
    if show_output:
        print_configuration(models, inference_config, config)
    request = make_request(workspace, name, models, inference_config, config)
    spec = LaunchSpec(
        name,
        config.compute_type,
        lambda service, revision: request,
        secrets={**config.secrets(), **image_secrets(inference_config)},
        clients=clients or {},
        on_recorded=on_recorded,
        overwrite=overwrite,
        describe=metadata.replace_with(metadata.check(config.passed)),
        target=request.target,
    )
    return _start_and_say(workspace.folder, spec, describe(name))


def deploy_image(
    workspace: WorkspaceLike,
    name: str,
    image: Any,
    deployment_config: Configuration | None = None,
    deployment_target: Any = None,
    overwrite: bool = False,
) -> DeploymentRecord:
    """The body of `Webservice.deploy_from_image`, which documents it and names the errors."""
    config, describe = choose_config(deployment_config, deployment_target)
    reference = image if isinstance(image, str) else getattr(image, "location", None)
    if not isinstance(reference, str) or not reference or reference.startswith("oci:"):
        raise UserErrorException(
            f"{reference or image!r} cannot be deployed as an image",
            why="an image is named as for `docker pull`, or is a package that was made",
            hint="load it first: mldeploy image export ID -f image.tar && docker load -i image.tar"
            if isinstance(reference, str) and reference
            else "pass its name, or what Model.package(...) returned once it is made",
        )
    if config.passed.get("engine") in (None, "auto"):
        config = config.with_settings(engine="docker") if config.compute_type == "Local" else config
    check_service_name(name)
    config.validate()
    if config.target == "local":
        raise UserErrorException(
            f"an image cannot be deployed with the engine {config.passed['engine']}",
            why="only a container runs an image",
            hint="leave engine out, or pass engine='docker'",
        )
    request = DeploymentRequest(
        name, config.target, deploy_config=config.to_dict(), image=reference, kernel_python=sys.executable
    )
    spec = LaunchSpec(
        name,
        config.compute_type,
        lambda service, revision: request,
        secrets=config.secrets(),
        overwrite=overwrite,
        describe=metadata.replace_with(metadata.check(config.passed)),
        target=request.target,
    )
    return _start_and_say(workspace.folder, spec, describe(name))


def update(
    workspace: WorkspaceLike, name: str, changes: ServiceUpdate, *, detached: bool = False
) -> DeploymentRecord | None:
    """Begins an update and returns its deployment; None when only the metadata changes, which needs none.

    Raises `UserErrorException` when nothing changes, and as `begin_update` does.
    """
    parts = (changes.models, changes.inference_config, changes.deployment_config)
    if changes.settings or changes.reload or any(part is not None for part in parts):
        return begin_update(workspace, name, changes, detached=detached)
    if not changes.metadata:
        raise UserErrorException(
            f"nothing to update in {name}",
            why="every parameter is None",
            hint="pass models=, inference_config=, deployment_config= or a setting such as auth_enabled=",
        )
    metadata.change(workspace.folder, name, metadata.merge(changes.metadata))
    return None


def begin_update(
    workspace: WorkspaceLike, name: str, changes: ServiceUpdate, *, detached: bool = False
) -> DeploymentRecord:
    """Begins an update. Unless the script is given or reloaded, the bundle's copy of it is used again.

    Raises:
        WebserviceException: the service has no live revision.
        UserErrorException: models, configurations or properties that cannot be used.
        ConfigError: the settings break a rule.
        DeploymentInProgress: another operation holds the service.
    """
    given = to_deploy_config(changes.deployment_config) if changes.deployment_config is not None else None
    models = resolve_models(workspace, changes.models) if changes.models is not None else None
    inference = to_inference_data(changes.inference_config) if changes.inference_config is not None else None
    reads_source = bool(inference) or changes.reload

    def build(service: ServiceRecord | None, revision: RevisionRecord | None) -> DeploymentRequest:
        if service is None or revision is None:
            raise WebserviceException(
                f"{name} has no revision to update",
                why="no deployment of it has become live" if service else "there is no such service",
                hint=f"deploy it with Model.deploy(ws, {name!r}, ...)",
            )
        python = sys.executable if reads_source else revision.environment.get("python", sys.executable)
        return DeploymentRequest(
            name,
            service.target,
            operation="update",
            models=revision.models if models is None else models,
            inference_config=inference or revision.inference_config,
            deploy_config=_merge_config(revision, given, changes.settings).to_dict(),
            kernel_python=python,
            keep_source=0 if reads_source else revision.number,
            script_digest=digest_script(inference or revision.inference_config) if reads_source else "",
            replay=changes.replay,
            reload=changes.reload and models is None and not inference,
        )

    folder = workspace.folder
    service, revision = _find_live(folder, name)
    deployment.refuse_other_engine(service, {**(given.passed if given else {}), **changes.settings})
    request = build(service, revision)  # raises before anything is begun
    described = {**metadata.check(given.passed if given else {}), **changes.metadata}
    if service is not None:
        metadata.check_properties(service, described.get("properties", {}))
    config = _merge_config(revision, given, changes.settings)
    spec = LaunchSpec(
        name,
        config.compute_type,
        build,
        secrets={
            **config.secrets(),
            **(given.secrets() if given else {}),
            **image_secrets(changes.inference_config),
        },
        detached=_needs_runner(request, detached, revision),
        describe=metadata.merge(described),
        target=request.target,
    )
    named = {**(given.passed if given else {}), **changes.settings}
    return _start_and_say(folder, spec, migrated.describe_kept(name, config, named))


def begin_rollback(
    folder: WorkspaceFolder, name: str, number: int | None, *, detached: bool = False
) -> DeploymentRecord:
    """Begins to serve revision `number` again; by default the newest that was live before the present one.

    Raises:
        WebserviceException: there is no such revision.
        DeploymentInProgress: another operation holds the service.
    """

    def build(service: ServiceRecord | None, revision: RevisionRecord | None) -> DeploymentRequest:
        target = _find_rollback(folder, name, service, revision, number)
        return DeploymentRequest(
            name,
            service.target if service else "",
            operation="rollback",
            models=target.models,
            inference_config=target.inference_config,
            deploy_config=DeployConfig.from_dict(target.deploy_config).without_metadata().to_dict(),
            revision=target.rolled_back_to or target.number,
            kernel_python=target.environment.get("python", sys.executable),
        )

    request = build(*_find_live(folder, name))  # raises before anything is begun
    config = DeployConfig.from_dict(request.deploy_config)
    spec = LaunchSpec(
        name,
        config.compute_type,
        build,
        secrets=config.secrets(),
        detached=_needs_runner(request, detached),
        target=request.target,
    )
    return _start(folder, spec)


def begin_retry(folder: WorkspaceFolder, deployment_id: str, *, detached: bool = False) -> DeploymentRecord:
    """Begins a deployment again that did not become live: the same request, with the script as it is now.

    Keys that were passed to the first one were stored nowhere; the service keeps those that it has.

    Raises:
        WebserviceException: it became live, runs, is not known, or is not the last one of its service.
        DeploymentInProgress: another operation holds the service.
    """
    store = folder.open_store()
    record = store.get_deployment(deployment_id)
    service = store.get_service(record.service) if record is not None else None
    if record is None or record.state in ("running", "live") or (service and service.deployment_id != record.id):
        running = record is not None and record.state == "running"
        live = record is not None and record.state == "live"
        raise WebserviceException(
            f"the deployment {deployment_id} cannot be tried again",
            why="there is no record of it" if record is None else "it still runs" if running
            else "it became live" if live else f"{record.service} was deployed again since",
            hint=f"see what there is: mldeploy service show {record.service}" if record else "mldeploy service list",
        )  # fmt: skip
    request = DeploymentRequest.from_dict(record.request)

    def build(service: ServiceRecord | None, revision: RevisionRecord | None) -> DeploymentRequest:
        digest = digest_script(request.inference_config) if request.script_digest else ""
        return replace(request, script_digest=digest)

    config = DeployConfig.from_dict(request.deploy_config)
    spec = LaunchSpec(
        record.service,
        config.compute_type,
        build,
        detached=request.operation == "deploy" or _needs_runner(request, detached),
        target=request.target,
    )
    return _start(folder, spec)


def needs_process(detached: bool | None, wait: bool) -> bool:
    """Whether an update runs in a process of its own: `detached`, by default unless the caller waits or is interactive.

    This process might end before the update does. A thread cannot outlive it: since Python 3.12 none can be started
    once the main thread has ended.
    """
    return not (wait or hasattr(sys, "ps1")) if detached is None else detached


def _needs_runner(request: DeploymentRequest, detached: bool, live: RevisionRecord | None = None) -> bool:
    # The supervisor of a local service finishes an update that was handed to it, so a thread is enough here. It is for
    # an update that changes a container's code, too: nothing in it takes long, and a runner would import for a second.
    return detached or not (request.target == "local" or _changes_only_code(request, live))


def _changes_only_code(request: DeploymentRequest, live: RevisionRecord | None) -> bool:
    """Whether an update in containers makes no layer of an image but the last one, with the code."""
    if live is None or request.target != "docker" or request.models != live.models:
        return False
    if request.reload:
        return True
    before, after = live.inference_config, request.inference_config
    docker = (after.get("environment_definition") or {}).get("docker") or {}
    # Without an environment, one is made of what the script imports. The content of files of a build is not known here.
    if not after.get("environment") or after.get("extra_docker_file_steps") or docker.get("buildContext"):
        return False
    names = (before.keys() | after.keys()) - {"entry_script", "entry_path", "source_directory", "description"}
    return all(before.get(name) == after.get(name) for name in names)


def _start_and_say(folder: WorkspaceFolder, spec: LaunchSpec, note: str) -> DeploymentRecord:
    """Starts a deployment and tells the note about it, unless it is "": a notebook as output, a command beside it."""
    record = _start(folder, spec)
    if note and migration.current() is not None:
        print(note)
    elif note:
        details.print_note(note)
    return record


def _start(folder: WorkspaceFolder, spec: LaunchSpec) -> DeploymentRecord:
    record = deployment.start_deployment(folder, spec)
    unreported.add(record.id)
    begun.append(record.id)
    return record


def _find_live(folder: WorkspaceFolder, name: str) -> tuple[ServiceRecord | None, RevisionRecord | None]:
    service = deployment.refresh_service(folder, name, details.print_note)
    return service, details.live_revision(folder, service) if service else None


def _find_rollback(
    folder: WorkspaceFolder,
    name: str,
    service: ServiceRecord | None,
    revision: RevisionRecord | None,
    number: int | None,
) -> RevisionRecord:
    kept = [r for r in folder.open_store().list_revisions(name) if r.outcome == "kept"]
    # Revision 4 that went back to 2 counts as 2: going back once more leads to 1, not to the discarded 3.
    serving = (revision.rolled_back_to or revision.number) if revision else 0
    candidates = [r for r in kept if (r.number == number if number else r.number < serving)]
    if service is None or not candidates:
        kept.sort(key=lambda r: r.number)
        shown = [f"{r.number} (what {r.rolled_back_to} was)" if r.rolled_back_to else str(r.number) for r in kept]
        what = f"{name} has no revision {number} to go back to" if number else f"{name} has no older revision"
        if not number and revision and revision.rolled_back_to:
            what = f"{name} has no revision older than {serving}, and revision {revision.number} is what that was"
        others = [r.number for r in kept if (r.rolled_back_to or r.number) != serving]
        hint = f"choose one of them: `mldeploy service rollback {name} --revision {others[-1]}`" if others else ""
        raise WebserviceException(
            what,
            why=f"revisions that were live before: {', '.join(shown)}"
            if shown
            else "no other revision was live before",
            hint=hint or f"only an update makes a new revision: `mldeploy service update {name}`",
        )
    return max(candidates, key=lambda r: r.number)


def _merge_config(
    revision: RevisionRecord | None, given: DeployConfig | None, settings: Mapping[str, Any]
) -> DeployConfig:
    """The revision's settings, changed by a configuration and by single settings. Raises `ConfigError`."""
    base = DeployConfig.from_dict(revision.deploy_config).without_metadata() if revision else DeployConfig()
    if given is not None:
        if given.compute_type not in (base.compute_type, base.in_place_of):
            raise UserErrorException(
                "an update cannot move a service to another target",
                why=f"it runs on {base.compute_type}, the configuration is for {given.compute_type}",
                hint="deploy it there under a name of its own with Model.deploy",
            )
        base = migrated.replace_settings(base, given.without_metadata())
    merged = migrated.change_settings(base, settings)
    merged.validate()
    return merged
