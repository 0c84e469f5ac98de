"""`Model.deploy`'s body, and the older ways of v1 to make a service, which lead to it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mldeploy_jupyter import deployment
from mldeploy_jupyter.api.arguments import ModelLike, WorkspaceLike, check_path, check_workspace, find_source
from mldeploy_jupyter.api.webservices import deployments
from mldeploy_jupyter.api.webservices.deployments import deploy, refuse_target
from mldeploy_jupyter.core.configs import check_model_name
from mldeploy_jupyter.core.errors import TargetNotAvailable, UserErrorException

if TYPE_CHECKING:
    from mldeploy_jupyter.api.webservices.webservice import Webservice


def deploy_paths(
    workspace: WorkspaceLike,
    name: str,
    model_paths: list[str],
    image_config: Any,
    deployment_config: Any = None,
    deployment_target: Any = None,
    overwrite: bool = False,
) -> Webservice:
    """Registers each path under its file's name, then deploys them. `image_config` is an InferenceConfig.

    Raises `UserErrorException` before anything is registered.
    """
    if isinstance(model_paths, (str, Path)) or not isinstance(model_paths, Iterable):
        raise UserErrorException(
            f"model_paths is {model_paths!r}", why="it must be a list of paths", hint='such as ["model.pkl"]'
        )
    paths = [check_path("a path of model_paths", path, "'model.pkl'") for path in model_paths]
    refuse_target(deployment_target)
    # What `deploy` would refuse is refused before a version is made.
    config = deployments.as_config(deployment_config)
    deployments.make_request(check_workspace(workspace), name, [], image_config, config)
    deployment.check_can_start(workspace.folder, name, config.compute_type, overwrite=overwrite)
    for path in paths:
        check_model_name(Path(path).name[:30])
        if not path.startswith(("models:", "runs:")):
            find_source(path)
    models = [workspace.register_model(path, Path(path).name[:30]) for path in paths]
    return deploy(workspace, name, models, image_config, deployment_config, deployment_target, overwrite)


def deploy_from_model(
    workspace: WorkspaceLike,
    name: str,
    models: list[ModelLike],
    image_config: Any,
    deployment_config: Any = None,
    deployment_target: Any = None,
    overwrite: bool = False,
) -> Webservice:
    """As `Model.deploy`. `image_config` is an InferenceConfig: there are no v1 images here."""
    return deploy(workspace, name, models, image_config, deployment_config, deployment_target, overwrite)


def deploy_local_from_model(
    workspace: WorkspaceLike,
    name: str,
    models: list[ModelLike],
    image_config: Any,
    deployment_config: Any = None,
    wait: bool = False,
) -> Webservice:
    """As `Model.deploy` with a local configuration and `overwrite=True`."""
    service = deploy(workspace, name, models, image_config, deployment_config, overwrite=True)
    if wait:
        service.wait_for_deployment()
    return service


def deploy_from_image(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises: there are no v1 images here."""
    raise no_images("deploy_from_image")


def no_images(call: str) -> UserErrorException:
    return UserErrorException(
        f"{call} with an image is not supported",
        why="v1 had deprecated its images; a service is made from models and an InferenceConfig",
        hint="pass inference_config=InferenceConfig(entry_script=...) to Model.deploy or update",
    )


def not_in_this_version(call: str, target: str) -> TargetNotAvailable:
    """The error for a call that needs a target which has not landed."""
    return TargetNotAvailable(
        f"{call} is not in this version",
        why=f"it needs the target {target}; this version deploys to this machine only",
        hint="deploy here: Model.deploy(ws, name, models, inference_config)",
    )
