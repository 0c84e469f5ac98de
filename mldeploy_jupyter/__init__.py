"""From a model in a notebook to a live, tested, measured web service.

The public names are loaded when they are first used, so that `import mldeploy_jupyter` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mldeploy_jupyter.api.environments.environment import CondaDependencies, Environment
    from mldeploy_jupyter.api.models.model import Model, ResourceConfiguration
    from mldeploy_jupyter.api.runs.run import Run
    from mldeploy_jupyter.api.webservices.inference_config import ContainerRegistry, InferenceConfig
    from mldeploy_jupyter.api.webservices.webservice import (
        AciWebservice,
        AksEndpoint,
        AksWebservice,
        LocalWebservice,
        Webservice,
    )
    from mldeploy_jupyter.api.workspace import Workspace, prune
    from mldeploy_jupyter.azureml import migrate
    from mldeploy_jupyter.core.errors import MldeployError, WebserviceException

_HOMES = {
    "AciWebservice": "api.webservices.webservice",
    "AksEndpoint": "api.webservices.webservice",
    "AksWebservice": "api.webservices.webservice",
    "CondaDependencies": "api.environments.environment",
    "ContainerRegistry": "api.webservices.inference_config",
    "Environment": "api.environments.environment",
    "InferenceConfig": "api.webservices.inference_config",
    "LocalWebservice": "api.webservices.webservice",
    "MldeployError": "core.errors",
    "Model": "api.models.model",
    "ResourceConfiguration": "api.models.model",
    "Run": "api.runs.run",
    "Webservice": "api.webservices.webservice",
    "WebserviceException": "core.errors",
    "Workspace": "api.workspace",
    "migrate": "azureml",
    "prune": "api.workspace",
}

__all__ = [
    "AciWebservice",
    "AksEndpoint",
    "AksWebservice",
    "CondaDependencies",
    "ContainerRegistry",
    "Environment",
    "InferenceConfig",
    "LocalWebservice",
    "MldeployError",
    "Model",
    "ResourceConfiguration",
    "Run",
    "Webservice",
    "WebserviceException",
    "Workspace",
    "migrate",
    "prune",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


def load_ipython_extension(ipython: Any) -> None:
    """`%load_ext mldeploy_jupyter`: the magics."""
    from mldeploy_jupyter.notebook import extension

    extension.load(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    from mldeploy_jupyter.notebook import extension

    extension.unload(ipython)
