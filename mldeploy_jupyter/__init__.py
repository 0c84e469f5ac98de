"""From a model in a notebook to a live, tested, measured web service.

The public names are loaded when they are first used, so that `import mldeploy_jupyter` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mldeploy_jupyter.api.environments import CondaDependencies, ContainerRegistry, Environment
    from mldeploy_jupyter.api.models import Model, ResourceConfiguration
    from mldeploy_jupyter.api.runs import Run
    from mldeploy_jupyter.api.webservices import (
        AciWebservice,
        AksEndpoint,
        AksWebservice,
        InferenceConfig,
        LocalWebservice,
        Webservice,
    )
    from mldeploy_jupyter.api.workspace import Workspace, prune
    from mldeploy_jupyter.azureml import migrate
    from mldeploy_jupyter.core.errors import MldeployError, WebserviceException

# Public name -> the module that defines it, below this package.
_HOMES = {
    "AciWebservice": "api.webservices",
    "AksEndpoint": "api.webservices",
    "AksWebservice": "api.webservices",
    "CondaDependencies": "api.environments",
    "ContainerRegistry": "api.environments",
    "Environment": "api.environments",
    "InferenceConfig": "api.webservices",
    "LocalWebservice": "api.webservices",
    "MldeployError": "core.errors",
    "Model": "api.models",
    "ResourceConfiguration": "api.models",
    "Run": "api.runs",
    "Webservice": "api.webservices",
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
    """`%load_ext mldeploy_jupyter`: loads the magics."""
    from mldeploy_jupyter.notebook import extension

    extension.load(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    """`%unload_ext mldeploy_jupyter`: removes the magics."""
    from mldeploy_jupyter.notebook import extension

    extension.unload(ipython)
