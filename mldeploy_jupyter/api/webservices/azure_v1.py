"""v1's older ways to make a service, each of which leads to `deployments.deploy`, and what needs Azure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mldeploy_jupyter import deployment
from mldeploy_jupyter.api.arguments import ModelLike, WorkspaceLike, check_path, check_workspace, find_source
from mldeploy_jupyter.api.webservices.container_image import Image
from mldeploy_jupyter.api.webservices.deploy_arguments import (
    Configuration,
    choose_config,
    make_request,
)
from mldeploy_jupyter.api.webservices.deployments import deploy, deploy_image
from mldeploy_jupyter.core.configs import DeployConfig
from mldeploy_jupyter.core.errors import TargetNotAvailable, UserErrorException
from mldeploy_jupyter.core.name_rules import check_model_name
from mldeploy_jupyter.core.records import DeploymentRecord

if TYPE_CHECKING:
    from mldeploy_jupyter.api.webservices.inference_config import InferenceConfig


class OlderDeployMethods:
    """The methods of `Webservice` that deploy. `image_config` is an InferenceConfig, as that of v1's images is.

    They raise as `Model.deploy` does.
    """

    @classmethod
    def from_deployment(cls, workspace: WorkspaceLike, record: DeploymentRecord, wait: bool = False) -> Self:
        """The service of a deployment that was begun; `wait` waits for it. Defined by `Webservice`."""
        raise NotImplementedError

    @staticmethod
    def check_for_existing_webservice(
        workspace: WorkspaceLike, name: str, overwrite: bool = False, request_func: Any = None, check_func: Any = None
    ) -> None:
        """Raises `NameInUse` for a name that a service has, unless `overwrite`. The others are v1's."""
        deployment.check_can_start(check_workspace(workspace).folder, name, "local", overwrite=overwrite)

    @classmethod
    def deploy(
        cls,
        workspace: WorkspaceLike,
        name: str,
        model_paths: list[str],
        image_config: InferenceConfig,
        deployment_config: Configuration | None = None,
        deployment_target: Any = None,
        overwrite: bool = False,
    ) -> Self:
        """Registers each path under its file's name, then deploys them. `image_config` is an InferenceConfig.

        Raises as `Model.deploy` does, before anything is registered; `ModelFileNotFound` for a missing path.
        """
        if isinstance(model_paths, (str, Path)) or not isinstance(model_paths, Iterable):
            raise UserErrorException(
                f"model_paths is {model_paths!r}", why="it must be a list of paths", hint='such as ["model.pkl"]'
            )
        paths = [check_path("a path of model_paths", path, "'model.pkl'") for path in model_paths]
        # Whatever `deploy` would refuse must be refused before a model version is made.
        config, _ = choose_config(deployment_config, deployment_target)
        request = make_request(check_workspace(workspace), name, [], image_config, config)
        deployment.check_can_start(workspace.folder, name, request.target, overwrite=overwrite)
        for path in paths:
            check_model_name(Path(path).name[:30])
            if not path.startswith(("models:", "runs:")):
                find_source(path)
        models = [workspace.register_model(path, Path(path).name[:30]) for path in paths]
        record = deploy(workspace, name, models, image_config, deployment_config, deployment_target, overwrite)
        return cls.from_deployment(workspace, record)

    @classmethod
    def deploy_from_model(
        cls,
        workspace: WorkspaceLike,
        name: str,
        models: list[ModelLike | str | Path],
        image_config: InferenceConfig,
        deployment_config: Configuration | None = None,
        deployment_target: Any = None,
        overwrite: bool = False,
    ) -> Self:
        """As `Model.deploy`. `image_config` is an InferenceConfig, as that of v1's images is."""
        record = deploy(workspace, name, models, image_config, deployment_config, deployment_target, overwrite)
        return cls.from_deployment(workspace, record)

    @classmethod
    def deploy_local_from_model(
        cls,
        workspace: WorkspaceLike,
        name: str,
        models: list[ModelLike | str | Path],
        image_config: InferenceConfig,
        deployment_config: Configuration | None = None,
        wait: bool = False,
    ) -> Self:
        """As `Model.deploy` with a local configuration and `overwrite=True`."""
        record = deploy(workspace, name, models, image_config, deployment_config or DeployConfig(), overwrite=True)
        return cls.from_deployment(workspace, record, wait)

    @classmethod
    def deploy_from_image(
        cls,
        workspace: WorkspaceLike,
        name: str,
        image: Any,
        deployment_config: Configuration | None = None,
        deployment_target: Any = None,
        overwrite: bool = False,
    ) -> Self:
        """Deploys an image as it is, in a container: one that `Model.package`, another service or machine made.

        `image` is its name, a `ModelPackage`, or what has a `location`; or what `Image.create` returned, whose models
        and script are deployed as by `Model.deploy`. Raises `UserErrorException` for anything else,
        and as `Model.deploy` does. An image that this package did not make is refused by the deployment.
        """
        if isinstance(image, Image):
            return cls.deploy_from_model(
                workspace, name, image.models, image.image_config, deployment_config, deployment_target, overwrite
            )
        record = deploy_image(check_workspace(workspace), name, image, deployment_config, deployment_target, overwrite)
        return cls.from_deployment(workspace, record)


def images_error(call: str) -> UserErrorException:
    """The error for a call with one of v1's images."""
    return UserErrorException(
        f"{call} with an image is not supported",
        why="a service is updated from models and an InferenceConfig",
        hint="call Webservice.deploy_from_image(ws, name, image, overwrite=True), or pass inference_config=",
    )


def target_error(call: str, target: str) -> TargetNotAvailable:
    """The error for a call that needs a target which this version does not have."""
    return TargetNotAvailable(
        f"{call} is not in this version",
        why=f"it needs the target {target}; this version deploys to this machine only",
        hint="deploy here: Model.deploy(ws, name, models, inference_config)",
    )
