"""The places where services run, found by name through the entry points `mldeploy_jupyter.targets`."""

from __future__ import annotations

from mldeploy_jupyter.core.errors import TargetNotAvailable
from mldeploy_jupyter.targets.base import (
    Action,
    Cancel,
    Capabilities,
    Emit,
    Endpoint,
    Finding,
    LogLine,
    Plan,
    ServiceStatus,
    Strategy,
    Target,
    TargetContext,
    TargetFailure,
)

__all__ = [
    "Action",
    "Cancel",
    "Capabilities",
    "Emit",
    "Endpoint",
    "Finding",
    "LogLine",
    "Plan",
    "ServiceStatus",
    "Strategy",
    "Target",
    "TargetContext",
    "TargetFailure",
    "available",
    "open_target",
]

GROUP = "mldeploy_jupyter.targets"

# v1's compute types and the target that runs them. Those that no installed package offers are refused by name.
TARGET_OF = {"Local": "local", "ACI": "aci", "AKS": "aks", "AKSENDPOINT": "aks"}
_TITLES = {"aci": "Azure Container Instances", "aks": "Kubernetes (AKS)"}


def available() -> list[str]:
    from importlib.metadata import entry_points

    return sorted({"local", *(point.name for point in entry_points(group=GROUP))})


def open_target(name: str, context: TargetContext) -> Target:
    """The target of that name.

    Raises:
        TargetNotAvailable: no installed package offers it.
    """
    if name == "local":  # the common case does not read the metadata of every installed package
        from mldeploy_jupyter.targets.process import ProcessTarget

        return ProcessTarget(context)
    from importlib.metadata import entry_points

    for point in entry_points(group=GROUP):
        if point.name == name:
            target: Target = point.load()(context)
            return target
    raise TargetNotAvailable(
        f"the target {_TITLES.get(name, name)} is not in this version",
        why=f"this version deploys to: {', '.join(available())}",
        hint="deploy here with LocalWebservice.deploy_configuration() (--target local); your settings stay valid",
    )
