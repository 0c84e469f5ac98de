"""The class of each target: `LocalWebservice`, `AciWebservice`, `AksWebservice`, `AksEndpoint`.

In v1 the parameters of `update` and `list` have another order on each of them.
"""

from __future__ import annotations

import inspect
from builtins import list as List  # `Webservice.list` hides the name inside the classes
from collections.abc import Callable
from typing import Any, NoReturn

from mldeploy_jupyter.api.arguments import WorkspaceLike
from mldeploy_jupyter.api.azure_names import ACI_SERVICE, AKS_SERVICE
from mldeploy_jupyter.api.webservices.azure_v1 import images_error, target_error
from mldeploy_jupyter.api.webservices.container_image import Image
from mldeploy_jupyter.api.webservices.deploy_configuration import (
    aci_configuration,
    aks_configuration,
    aks_endpoint_configuration,
    local_configuration,
)
from mldeploy_jupyter.api.webservices.overview import read_overviews
from mldeploy_jupyter.api.webservices.webservice import Webservice
from mldeploy_jupyter.core.errors import UserErrorException

# The parameters of v1's `update` in v1's order. Before them comes `image`, which is refused.
ACI_UPDATE = (
    *("tags", "properties", "description", "auth_enabled", "ssl_enabled", "ssl_cert_pem_file", "ssl_key_pem_file"),
    *("ssl_cname", "enable_app_insights", "models", "inference_config"),
)

AKS_UPDATE = (
    *("autoscale_enabled", "autoscale_min_replicas", "autoscale_max_replicas", "autoscale_refresh_seconds"),
    *("autoscale_target_utilization", "collect_model_data", "auth_enabled", "cpu_cores", "memory_gb"),
    *("enable_app_insights", "scoring_timeout_ms", "replica_max_concurrent_requests", "max_request_wait_time"),
    *("num_replicas", "tags", "properties", "description", "models", "inference_config", "gpu_cores"),
    *("period_seconds", "initial_delay_seconds", "timeout_seconds", "success_threshold", "failure_threshold"),
    *("namespace", "token_auth_enabled", "cpu_cores_limit", "memory_gb_limit"),
)

ENDPOINT_UPDATE = ("auth_enabled", "token_auth_enabled", "enable_app_insights", "description", "tags", "properties")

# Keyword-only parameters that v1 did not have.
_OURS = ("deployment_config", "wait", "replay", "detached")


def _update(*names: str) -> Callable[..., None]:
    """An `update` with the parameters `names`, which passes those that are given to `Webservice.update`.

    An `image` is what `Image.create` returned: its models and its script. Raises `UserErrorException` for a call that
    does not fit the signature or has another image.
    """
    positional, keyword = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    signature = inspect.Signature(
        [
            inspect.Parameter("self", positional),
            *(inspect.Parameter(name, positional, default=None) for name in names),
            *(inspect.Parameter(name, keyword, default=None) for name in _OURS),
        ]
    )

    def update(self: Webservice, *args: Any, **kwargs: Any) -> None:
        try:
            given = dict(signature.bind(self, *args, **kwargs).arguments)
        except TypeError as error:
            raise UserErrorException(
                f"{type(self).__name__}.update cannot be called so",
                why=str(error),
                hint=f"its parameters are {', '.join((*names, *_OURS))}",
            ) from None
        del given["self"]
        image = given.pop("image", None)
        if isinstance(image, Image):
            given = {"models": image.models, "inference_config": image.image_config, **given}
        elif image is not None:
            raise images_error("update")
        Webservice.update(self, **{name: value for name, value in given.items() if value is not None})

    update.__doc__ = f"As `Webservice.update`, with v1's parameters in v1's order: {', '.join(names)}."
    update.__signature__ = signature  # type: ignore[attr-defined]
    return update


class LocalWebservice(Webservice):
    """A service on this machine: a process that listens on 127.0.0.1.

    With `must_exist` False the service need not exist; attributes raise `WebserviceNotFound` until it is deployed.
    """

    _compute_type = "Local"
    deploy_configuration = staticmethod(local_configuration)

    @classmethod
    def list(  # type: ignore[override]  # v1's order on this class
        cls, workspace: WorkspaceLike, model_name: str | None = None, model_id: str | None = None, all: bool = False
    ) -> List[Webservice]:
        """The local services, oldest first. `all` includes stopped ones and those that were never live."""
        found = Webservice.list(workspace, cls._compute_type, model_name=model_name, model_id=model_id)
        if all:
            return found
        hidden = ("Stopped", "Failed", "Cancelled")
        return [read.service for read in read_overviews(found) if read.shown_state not in hidden]

    @property
    def port(self) -> int | None:
        """The port; None before the first revision is live."""
        return self.record.endpoint.get("port")

    def deploy_to_cloud(
        self, name: str | None = None, deployment_config: Any = None, deployment_target: Any = None
    ) -> NoReturn:
        """Not in this version: raises `TargetNotAvailable` naming the target."""
        target = getattr(deployment_config, "compute_type", "ACI" if deployment_target is None else "AKS")
        raise target_error("deploy_to_cloud", target)


class AciWebservice(Webservice):
    """A service on Azure Container Instances."""

    _azure_names = ACI_SERVICE
    _compute_type = "ACI"
    deploy_configuration = staticmethod(aci_configuration)
    update = _update("image", *ACI_UPDATE)


class AksWebservice(Webservice):
    """A service on Kubernetes."""

    _azure_names = AKS_SERVICE
    _compute_type = "AKS"
    deploy_configuration = staticmethod(aks_configuration)
    update = _update("image", *AKS_UPDATE)


class AksEndpoint(AksWebservice):
    """Versions of a service that share its traffic, on Kubernetes."""

    _compute_type = "AKSENDPOINT"
    deploy_configuration = staticmethod(aks_endpoint_configuration)
    update = _update(*ENDPOINT_UPDATE)

    def create_version(self, version_name: str, *args: Any, **kwargs: Any) -> NoReturn:
        """Not in this version: raises `TargetNotAvailable`."""
        raise target_error("AksEndpoint.create_version", self._compute_type)

    def update_version(self, version_name: str, *args: Any, **kwargs: Any) -> NoReturn:
        """Not in this version: raises `TargetNotAvailable`."""
        raise target_error("AksEndpoint.update_version", self._compute_type)

    def delete_version(self, version_name: str) -> NoReturn:
        """Not in this version: raises `TargetNotAvailable`."""
        raise target_error("AksEndpoint.delete_version", self._compute_type)
