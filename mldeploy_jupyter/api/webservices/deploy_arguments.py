"""What a caller passes to `deploy` and `update`: checked, and turned into a request's plain data."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter import deployment
from mldeploy_jupyter.api.arguments import ModelLike, WorkspaceLike
from mldeploy_jupyter.api.webservices import migrated
from mldeploy_jupyter.api.webservices.deploy_configuration import WebserviceDeploymentConfiguration, from_data
from mldeploy_jupyter.core import migration
from mldeploy_jupyter.core.configs import DeployConfig
from mldeploy_jupyter.core.errors import TargetNotAvailable, UserErrorException
from mldeploy_jupyter.core.name_rules import check_service_name
from mldeploy_jupyter.core.records import DeploymentRequest, ModelRecord
from mldeploy_jupyter.core.script.notebook_cells import script_digest
from mldeploy_jupyter.core.text import format_versions
from mldeploy_jupyter.deployment.source.mlflow_models import find_script

if TYPE_CHECKING:
    from mldeploy_jupyter.api.webservices.inference_config import InferenceConfig
    from mldeploy_jupyter.core.store.store import Store

Models = Iterable[ModelLike | str | Path]
Configuration = WebserviceDeploymentConfiguration | DeployConfig

_MODEL_FORMS = "models are Model objects, ids such as 'churn:3', or paths"


def make_request(
    workspace: WorkspaceLike,
    name: str,
    models: Models,
    inference_config: InferenceConfig | None,
    config: DeployConfig,
) -> DeploymentRequest:
    """The request for a first deployment or an overwrite. Creates no workspace.

    Raises:
        UserErrorException: a bad name, no entry script, models of another workspace.
        ConfigError: the settings break a rule.
    """
    check_service_name(name)
    config.validate()
    target = deployment.choose_target(workspace.find_folder(), name, config)
    references = resolve_models(workspace, models)
    inference = to_inference_data(inference_config or default_inference(workspace, references))
    return DeploymentRequest(
        name,
        target,
        models=references,
        inference_config=inference,
        deploy_config=config.to_dict(),
        kernel_python=sys.executable,
        script_digest=digest_script(inference),
    )


def digest_script(inference: dict[str, Any]) -> str:
    """The SHA-256 of the entry script as it is now; "" when it cannot be read, which the deployment reports."""
    try:
        return script_digest(Path(inference["entry_path"]).read_bytes())
    except (OSError, KeyError, TypeError):
        return ""


def is_unchanged(workspace: WorkspaceLike, request: DeploymentRequest) -> bool:
    """Whether the service's live revision already is what the request would make."""
    folder = workspace.folder
    return deployment.is_unchanged(request, folder, folder.open_store())


def print_configuration(
    models: Any, inference_config: Any, deployment_config: Any, print_: Callable[[str], object] = print
) -> None:
    """The body of `Model.print_configuration`, which documents it. Raises `UserErrorException`."""
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
    from_data(to_deploy_config(deployment_config)).print_deploy_configuration(print_)


def check_target(deployment_target: Any) -> None:
    """Raises `TargetNotAvailable` for v1's `deployment_target`, a cluster, unless this machine stands in for it."""
    if deployment_target is not None and not migration.is_local():
        raise TargetNotAvailable(
            "deployment_target is not in this version",
            why="clusters come with the Kubernetes target",
            hint="call migrate(local=True) to deploy to this machine instead, or leave it out and pass "
            "LocalWebservice.deploy_configuration()",
        )


def choose_config(
    given: Configuration | None, deployment_target: Any = None
) -> tuple[DeployConfig, Callable[..., str]]:
    """The configuration of a first deployment or an overwrite, and what tells a user about it.

    That takes the service's name and returns a line, or "". Raises as `check_target` and `to_deploy_config` do, and
    `ConfigError` for settings of ACI or AKS that break a rule.
    """
    check_target(deployment_target)
    config = to_deploy_config(given) if given is not None else None
    used = migrated.with_v1_defaults(config, deployment_target)
    return used, lambda name: migrated.describe(name, config, used)


def to_deploy_config(given: Configuration | None) -> DeployConfig:
    """The configuration as data; None is the local target with its defaults. Raises `UserErrorException`."""
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


def default_inference(workspace: WorkspaceLike, references: list[str]) -> InferenceConfig | None:
    """The inference config of a deployment without one: that of MLflow's model among the models, or None."""
    from mldeploy_jupyter.api.webservices.inference_config import InferenceConfig

    script = mlflow_script(workspace, references)
    return InferenceConfig(entry_script=script) if script is not None else None


def mlflow_script(workspace: WorkspaceLike, references: list[str]) -> Path | None:
    """The entry script for the model of MLflow among what `resolve_models` returned; None without exactly one."""
    folder = workspace.find_folder()
    store = folder.open_store() if folder else None
    found = [(_find_model(store, text) if store else None) or Path(text) for text in references]
    return find_script(found)


def to_inference_data(config: InferenceConfig | None) -> dict[str, Any]:
    """The inference config as data. Raises `UserErrorException` without one, `ConfigError` when it is wrong."""
    if config is None:
        raise UserErrorException(
            "an inference_config is needed",
            why="it names the entry script; v1's deployment without code is here for models of MLflow only",
            hint='write score.py, whose run(data) calls the model, and pass InferenceConfig(entry_script="score.py")',
        )
    if not hasattr(config, "to_data"):
        raise UserErrorException(
            "the inference_config is not one",
            why=f"it is of type {type(config).__name__}",
            hint='make it with InferenceConfig(entry_script="score.py")',
        )
    return config.to_data()


def image_secrets(config: InferenceConfig | None) -> dict[str, str]:
    """The password of the base image's registry, which `to_inference_data` leaves out."""
    from mldeploy_jupyter.deployment.images.image import REGISTRY_PASSWORD

    registry = getattr(config, "base_image_registry", None)
    docker = getattr(getattr(config, "environment", None), "docker", None)
    found = [getattr(one, "password", None) for one in (registry, getattr(docker, "base_image_registry", None))]
    password = next(filter(None, found), None)
    return {REGISTRY_PASSWORD: password} if password else {}


def resolve_models(workspace: WorkspaceLike, models: Models) -> list[str]:
    """Ids of registered models (`name:version`), and absolute paths of files that are not registered.

    Raises `UserErrorException` for anything else, and for a model of another workspace.
    """
    if isinstance(models, (str, Path)) or not isinstance(models, Iterable):
        raise UserErrorException(
            "models must be a list",
            why=f"it is of type {type(models).__name__}",
            hint="write models=[model]",
        )
    references = [_resolve_model(workspace, model) for model in models]
    return list(dict.fromkeys(references))


def _resolve_model(workspace: WorkspaceLike, model: Any) -> str:
    if model == "":
        raise UserErrorException("'' is not a model", why=_MODEL_FORMS, hint="remove it")
    if isinstance(model, (str, Path)):
        return _resolve_name(workspace, model)
    if not (hasattr(model, "id") and hasattr(model, "version")):
        raise UserErrorException(
            f"{type(model).__name__} is not a model",
            why=_MODEL_FORMS,
            hint="register it first with Model.register(...)",
        )
    folder = workspace.find_folder()
    if model.workspace is not None and model.workspace.folder.id != (folder.id if folder else ""):
        raise UserErrorException(
            f"the model {model.id} belongs to another workspace",
            why=f"it is registered in {model.workspace.name}, the service goes to {workspace.name}",
            hint="register it here with Model.register(workspace, ...)",
        )
    return str(model.id)


def _resolve_name(workspace: WorkspaceLike, text: str | Path) -> str:
    """The id of the registered model `name:version` or `name` (its newest version), else the absolute path."""
    folder = workspace.find_folder()
    store = folder.open_store() if folder else None
    record = _find_model(store, str(text)) if store else None
    if record is not None:
        return record.id
    path = Path(text).expanduser().absolute()
    if path.exists():
        return str(path)
    name = str(text).rpartition(":")[0]
    registered = store.list_models() if store else []
    versions = [str(model.version) for model in registered if model.name == name]
    near = get_close_matches(name or str(text), {model.name for model in registered}, n=1)
    why = f"no model of that name or id is registered in {workspace.name}, and there is no file {path}"
    hint = f"did you mean {near[0]}?" if near else "see what there is with `mldeploy model list`"
    if versions:
        why = f"{name} has {format_versions(versions)}"
        hint = f"name one of them, or {name} for the newest"
    raise UserErrorException(f"there is no model {str(text)!r}", why=why, hint=hint, code="ModelNotFound")


def _find_model(store: Store, text: str) -> ModelRecord | None:
    name, _, version = text.rpartition(":")
    if name and version.isdigit():
        return store.get_model(name, int(version))
    return None if ":" in text or "/" in text else store.get_model(text)
