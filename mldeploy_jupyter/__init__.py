"""Deploy a model from a notebook as a web service: checked, updated without downtime, measured.

In a notebook, `%load_ext mldeploy_jupyter` adds these magics; `%NAME?` shows the help of one:

    %register NAME MODEL            a file, folder or variable becomes the next version of a model
    %%entry_script                  the cell with init() and run() is written to score.py and checked
    %deploy NAME                    model and script become a live service
    %score NAME DATA                scores data with the service
    %update NAME                    changes the service while it serves
    %latency NAME                   measures the service's latency
    %services [NAME]                lists services, or shows one
    %logs NAME                      shows a service's log
    %rollback NAME                  goes back to an older revision
    %stop NAME, %start NAME         ends a service's processes, and starts them again
    %cancel NAME, %delete NAME      cancels a deployment, deletes a service
    %mldeploy                       lists all magics and commands, and runs any command

In Python: `Workspace`, `Model`, `Environment`, `InferenceConfig`, `LocalWebservice` and `Webservice`; `deploy_form()`
shows a form.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mldeploy_jupyter.api.environments import CondaDependencies, ContainerRegistry, Environment
    from mldeploy_jupyter.api.models import Model, ResourceConfiguration
    from mldeploy_jupyter.api.models.profile import ModelProfile
    from mldeploy_jupyter.api.prune import prune
    from mldeploy_jupyter.api.runs import Run
    from mldeploy_jupyter.api.webservices import (
        AciWebservice,
        AksEndpoint,
        AksWebservice,
        InferenceConfig,
        LocalWebservice,
        Webservice,
    )
    from mldeploy_jupyter.api.webservices.latency.measure import measure_latency
    from mldeploy_jupyter.api.workspace import Workspace
    from mldeploy_jupyter.azureml import migrate
    from mldeploy_jupyter.core.errors import MldeployError, ScoringError, WebserviceException
    from mldeploy_jupyter.latency.result import LatencyResult
    from mldeploy_jupyter.notebook.deploy_form import deploy_form

# The names are loaded when they are first used, so that `import mldeploy_jupyter` costs next to nothing.
# Public name -> the module that defines it, below this package.
_HOMES = {
    "AciWebservice": "api.webservices",
    "AksEndpoint": "api.webservices",
    "AksWebservice": "api.webservices",
    "CondaDependencies": "api.environments",
    "ContainerRegistry": "api.environments",
    "Environment": "api.environments",
    "InferenceConfig": "api.webservices",
    "LatencyResult": "latency.result",
    "LocalWebservice": "api.webservices",
    "MldeployError": "core.errors",
    "Model": "api.models",
    "ModelPackage": "api.models.package",
    "ModelProfile": "api.models.profile",
    "ResourceConfiguration": "api.models",
    "Run": "api.runs",
    "ScoringError": "core.errors",
    "Webservice": "api.webservices",
    "WebserviceException": "core.errors",
    "Workspace": "api.workspace",
    "deploy_form": "notebook.deploy_form",
    "measure_latency": "api.webservices.latency.measure",
    "migrate": "azureml",
    "prune": "api.prune",
}

__all__ = [
    "AciWebservice",
    "AksEndpoint",
    "AksWebservice",
    "CondaDependencies",
    "ContainerRegistry",
    "Environment",
    "InferenceConfig",
    "LatencyResult",
    "LocalWebservice",
    "MldeployError",
    "Model",
    "ModelPackage",
    "ModelProfile",
    "ResourceConfiguration",
    "Run",
    "ScoringError",
    "Webservice",
    "WebserviceException",
    "Workspace",
    "deploy_form",
    "measure_latency",
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
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])


def load_ipython_extension(ipython: Any) -> None:
    """`%load_ext mldeploy_jupyter`: adds the magics, from %register to %delete. `%mldeploy` lists them."""
    from mldeploy_jupyter.notebook import extension

    extension.load(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    """`%unload_ext mldeploy_jupyter`: removes the magics."""
    from mldeploy_jupyter.notebook import extension

    extension.unload(ipython)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Tells `jupyter labextension develop` where the built extension is, in a checkout."""
    return [{"src": "labextension", "dest": "mldeploy-jupyter"}]


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    """Tells a Jupyter server what to load: this package."""
    return [{"module": "mldeploy_jupyter"}]


def _load_jupyter_server_extension(server: Any) -> None:
    """Adds the routes of the JupyterLab extension to a Jupyter server."""
    from mldeploy_jupyter.lab import extension

    extension.load(server)
