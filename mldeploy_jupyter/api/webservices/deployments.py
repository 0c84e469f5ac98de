"""Turns what a user passes to `Model.deploy`, `update` and `rollback` into a request, and starts it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter import deployment
from mldeploy_jupyter.api.arguments import ModelLike, WorkspaceLike
from mldeploy_jupyter.api.webservices import metadata
from mldeploy_jupyter.core.configs import DeployConfig, check_service_name
from mldeploy_jupyter.core.errors import TargetNotAvailable, UserErrorException, WebserviceException
from mldeploy_jupyter.core.records import DeploymentRecord, DeploymentRequest, RevisionRecord, ServiceRecord

if TYPE_CHECKING:
    from mldeploy_jupyter.api.webservices.deploy_configuration import WebserviceDeploymentConfiguration
    from mldeploy_jupyter.api.webservices.inference_config import InferenceConfig
    from mldeploy_jupyter.api.webservices.webservice import Webservice
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


Models = Iterable[ModelLike | str | Path]

# Deployments this process began and whose end nobody here has been told of yet.
unreported: set[str] = set()

begun: list[str] = []  # every deployment this process began


def begin_deploy(
    workspace: WorkspaceLike,
    name: str,
    models: Models,
    inference_config: InferenceConfig | None,
    deployment_config: WebserviceDeploymentConfiguration | DeployConfig | None,
    *,
    overwrite: bool = False,
    clients: dict[str, Any] | None = None,
) -> DeploymentRecord:
    """Begins the deployment of a service; see `Model.deploy`."""
    config = as_config(deployment_config)
    request = make_request(workspace, name, models, inference_config, config)
    return _start(
        workspace.folder,
        request,
        config,
        lambda service, revision: request,
        overwrite=overwrite,
        clients=clients,
        describe=metadata.replacing(metadata.checked(config.passed)),
    )


def make_request(
    workspace: WorkspaceLike,
    name: str,
    models: Models,
    inference_config: InferenceConfig | None,
    config: DeployConfig,
) -> DeploymentRequest:
    """The request for a first deployment or an overwrite.

    Raises:
        UserErrorException: a bad name, no entry script, models of another workspace.
        ConfigError: the settings break a rule.
    """
    check_service_name(name)
    config.validate()
    return DeploymentRequest(
        name,
        config.target,
        models=references(workspace, models),
        inference_config=_inference(inference_config),
        deploy_config=config.to_dict(),
        kernel_python=sys.executable,
    )


def is_unchanged(workspace: WorkspaceLike, request: DeploymentRequest) -> bool:
    """True when the service serves just this already."""
    return deployment.is_unchanged(request, workspace.folder, workspace.folder.open_store())


def begin_update(
    workspace: WorkspaceLike,
    name: str,
    *,
    models: Models | None = None,
    inference_config: InferenceConfig | None = None,
    deployment_config: WebserviceDeploymentConfiguration | DeployConfig | None = None,
    settings: dict[str, Any] | None = None,
    texts: dict[str, Any] | None = None,
    reload: bool = False,
    detached: bool = False,
) -> DeploymentRecord:
    """Begins an update. What is None stays as the live revision has it; its script is then not read again.

    `settings` are single settings of the deploy configuration, `texts` tags, properties and description; `reload`
    reads script and helpers again.
    """
    given = as_config(deployment_config) if deployment_config is not None else None
    changed = references(workspace, models) if models is not None else None
    inference = _inference(inference_config) if inference_config is not None else None

    def build(service: ServiceRecord | None, revision: RevisionRecord | None) -> DeploymentRequest:
        if service is None or revision is None:
            raise WebserviceException(
                f"{name} has no revision to update",
                why="no deployment of it has become live" if service else "there is no such service",
                hint=f"deploy it with Model.deploy(ws, {name!r}, ...)",
            )
        return DeploymentRequest(
            name,
            service.target,
            operation="update",
            models=changed if changed is not None else revision.models,
            inference_config=inference or revision.inference_config,
            deploy_config=_merged(revision, given, settings).to_dict(),
            kernel_python=sys.executable if inference or reload else revision.environment.get("python", sys.executable),
            keep_source=0 if inference or reload else revision.number,
        )

    store = workspace.folder.open_store()
    service = store.get_service(name)
    revision = store.get_revision(name, service.revision) if service else None
    config = _merged(revision, given, settings) if revision is not None else given or DeployConfig()
    texts = {**metadata.checked(given.passed if given else {}), **(texts or {})}
    if service is not None:
        metadata.check_properties(service, texts.get("properties", {}))
    request = build(service, revision)
    secrets = {**config.secrets(), **(given.secrets() if given else {})}
    describe = metadata.merging(texts)
    return _start(
        workspace.folder, request, replace(config), build, secrets=secrets, detached=detached, describe=describe
    )


def begin_rollback(
    workspace: WorkspaceLike, name: str, number: int | None, *, detached: bool = False
) -> DeploymentRecord:
    """Begins to serve an older revision again; by default the one that was live before this one.

    Raises:
        WebserviceException: there is none to go back to.
    """
    folder = workspace.folder

    def build(service: ServiceRecord | None, revision: RevisionRecord | None) -> DeploymentRequest:
        store = folder.open_store()
        kept = [r for r in store.list_revisions(name) if r.outcome == "kept"]
        # Revision 4 that went back to 2 counts as 2: going back again then goes to 1, not to the discarded 3.
        serving = (revision.rolled_back_to or revision.number) if revision else 0
        wanted = [r for r in kept if (r.number == number if number else r.number < serving)]
        if service is None or not wanted:
            numbers = ", ".join(str(r.number) for r in sorted(kept, key=lambda r: r.number))
            raise WebserviceException(
                f"{name} has no revision {number} to go back to" if number else f"{name} has no older revision",
                why=f"revisions that were live before: {numbers or 'none'}",
                hint=f"see them with `mldeploy service show -n {name}`",
            )
        old = max(wanted, key=lambda r: r.number)
        return DeploymentRequest(
            name,
            service.target,
            operation="rollback",
            models=old.models,
            inference_config=old.inference_config,
            deploy_config=DeployConfig.from_dict(old.deploy_config).without_metadata().to_dict(),
            revision=old.rolled_back_to or old.number,
            kernel_python=old.environment.get("python", sys.executable),
        )

    store = folder.open_store()
    service = store.get_service(name)
    revision = store.get_revision(name, service.revision) if service else None
    request = build(service, revision)
    return _start(folder, request, DeployConfig.from_dict(request.deploy_config), build, detached=detached)


def references(workspace: WorkspaceLike, models: Models) -> list[str]:
    """Ids of registered models (`name:version`), absolute paths for files that are not registered.

    Raises:
        UserErrorException: something else, or neither a registered model nor a file.
    """
    if isinstance(models, (str, Path)) or not isinstance(models, Iterable):
        raise UserErrorException(
            "models must be a list",
            why=f"it is of type {type(models).__name__}",
            hint="write models=[model]",
        )
    found = []
    for model in models:
        if model == "":
            raise UserErrorException(
                "'' is not a model", why="models are Model objects, ids such as 'churn:3', or paths", hint="remove it"
            )
        if isinstance(model, (str, Path)):
            found.append(_reference(workspace, model))
        elif hasattr(model, "id") and hasattr(model, "version"):
            if model.workspace is not None and model.workspace.folder.id != _id(workspace):
                raise UserErrorException(
                    f"the model {model.id} belongs to another workspace",
                    why=f"it is registered in {model.workspace.name}, the service goes to {workspace.name}",
                    hint="register it here with Model.register(workspace, ...)",
                )
            found.append(str(model.id))
        else:
            raise UserErrorException(
                f"{type(model).__name__} is not a model",
                why="models are Model objects, ids such as 'churn:3', or paths",
                hint="register it first with Model.register(...)",
            )
    return list(dict.fromkeys(found))


def _reference(workspace: WorkspaceLike, text: str | Path) -> str:
    folder = workspace.find_folder()
    store = folder.open_store() if folder else None
    name, _, version = str(text).rpartition(":")
    if store and name and version.isdigit() and store.get_model(name, int(version)) is not None:
        return str(text)
    latest = store.get_model(str(text)) if store and ":" not in str(text) and "/" not in str(text) else None
    if latest is not None:
        return latest.id
    path = Path(text).expanduser().absolute()
    if path.exists():
        return str(path)
    why = f"no model of that name or id is registered in {workspace.name}, and there is no file {path}"
    hint = "see what there is with `mldeploy model list`"
    models = store.list_models() if store else []
    versions = [str(model.version) for model in models if model.name == name]
    near = get_close_matches(name or str(text), {model.name for model in models}, n=1)
    if versions:
        why = f"{name} has the versions {', '.join(reversed(versions))}"
        hint = f"name one of them, or {name} for the newest"
    elif near:
        hint = f"did you mean {near[0]}?"
    raise UserErrorException(f"there is no model {str(text)!r}", why=why, hint=hint, code="ModelNotFound")


def _id(workspace: WorkspaceLike) -> str:
    folder = workspace.find_folder()
    return folder.id if folder else ""


def as_config(given: WebserviceDeploymentConfiguration | DeployConfig | None) -> DeployConfig:
    """The configuration as data; None is the local target with its defaults."""
    if given is None:
        return DeployConfig()
    config = getattr(given, "config", given)
    if not isinstance(config, DeployConfig):
        raise UserErrorException(
            "the deployment configuration is not one",
            why=f"it is of type {type(given).__name__}",
            hint="make it with LocalWebservice.deploy_configuration(...)",
        )
    return config


def _merged(
    revision: RevisionRecord | None, given: DeployConfig | None, settings: dict[str, Any] | None
) -> DeployConfig:
    base = DeployConfig.from_dict(revision.deploy_config).without_metadata() if revision else DeployConfig()
    if given is not None:
        if given.compute_type != base.compute_type:
            raise UserErrorException(
                "an update cannot move a service to another target",
                why=f"it runs on {base.compute_type}, the configuration is for {given.compute_type}",
                hint="deploy it there under a name of its own with Model.deploy",
            )
        base = base.changed(**given.without_metadata().passed)
    merged = base.changed(**(settings or {}))
    merged.validate()
    return merged


def _inference(config: InferenceConfig | None) -> dict[str, Any]:
    if config is None:
        raise UserErrorException(
            "an inference_config is needed",
            why="it names the entry script, which has the service's init() and run()",
            hint='pass inference_config=InferenceConfig(entry_script="score.py")',
        )
    if not hasattr(config, "to_data"):
        raise UserErrorException(
            "the inference_config is not one",
            why=f"it is of type {type(config).__name__}",
            hint='make it with InferenceConfig(entry_script="score.py")',
        )
    return config.to_data()


def _start(
    folder: WorkspaceFolder,
    request: DeploymentRequest,
    config: DeployConfig,
    build: Any,
    *,
    secrets: dict[str, str] | None = None,
    overwrite: bool = True,
    clients: dict[str, Any] | None = None,
    detached: bool | None = None,
    describe: metadata.Change = lambda present: {},
) -> DeploymentRecord:
    # The update of a local service needs no process of its own: its supervisor finishes what it began.
    here = request.target == "local" and request.operation != "deploy" and not detached
    spec = deployment.LaunchSpec(
        request.service,
        config.compute_type,
        build,
        secrets=secrets if secrets is not None else config.secrets(),
        clients=clients or {},
        detached=not here,
        overwrite=overwrite,
        describe=describe,
    )
    record = deployment.start_deployment(folder, spec)
    unreported.add(record.id)
    begun.append(record.id)
    return record


def update(
    service: Webservice,
    changed: dict[str, Any],
    settings: dict[str, Any],
    texts: dict[str, Any],
    *,
    detached: bool,
) -> DeploymentRecord | None:
    """Begins an update and returns its deployment; None when only texts change, which needs none.

    `changed` has models, inference_config and deployment_config; what is None stays. Raises `UserErrorException`
    when everything is None.
    """
    changed, settings, texts = _given(changed), _given(settings), metadata.checked(texts)
    if changed or settings:
        return begin_update(
            service.workspace, service.name, **changed, settings=settings, texts=texts, detached=detached
        )
    if not texts:
        raise UserErrorException(
            f"nothing to update in {service.name}",
            why="every parameter is None",
            hint="pass models=, inference_config=, deployment_config= or a setting such as auth_enabled=",
        )
    metadata.change(service, texts)
    return None


def _given(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def deploy(
    workspace: WorkspaceLike,
    name: str,
    models: Any,
    inference_config: Any = None,
    deployment_config: Any = None,
    deployment_target: Any = None,
    overwrite: bool = False,
    show_output: bool = False,
    *,
    clients: dict[str, Any] | None = None,
) -> Webservice:
    """The body of `Model.deploy`, which has its documentation."""
    from mldeploy_jupyter.api.webservices.webservice import Webservice

    refuse_target(deployment_target)
    if isinstance(models, Iterable) and not isinstance(models, (str, Path)):
        models = list(models)  # it is read twice
    if show_output:
        print_configuration(models, inference_config, deployment_config)
    record = begin_deploy(
        workspace, name, models, inference_config, deployment_config, overwrite=overwrite, clients=clients
    )
    service = Webservice(workspace, name)
    service._began(record, False)
    return service


def print_configuration(
    models: Any, inference_config: Any, deployment_config: Any, print_: Callable[[str], object] = print
) -> None:
    """The body of `Model.print_configuration`, which has its documentation."""
    from mldeploy_jupyter.api.webservices.deploy_configuration import from_data

    if not isinstance(models, (list, tuple)):
        raise UserErrorException(f"models is {models!r}", why="it must be a list", hint="pass models=[model]")
    if inference_config is not None and not hasattr(inference_config, "print_configuration"):
        raise UserErrorException(
            f"inference_config is {inference_config!r}",
            why="it must be an InferenceConfig",
            hint='make it with InferenceConfig(entry_script="score.py")',
        )
    print_(f"Models: {', '.join(str(getattr(model, 'id', model)) for model in models) or 'none'}")
    if inference_config is not None:
        inference_config.print_configuration(print_)
    from_data(as_config(deployment_config)).print_deploy_configuration(print_)


def refuse_target(deployment_target: Any) -> None:
    if deployment_target is not None:
        raise TargetNotAvailable(
            "deployment_target is not in this version",
            why="clusters come with the Kubernetes target",
            hint="leave it out and pass LocalWebservice.deploy_configuration()",
        )
