"""Targets, which run services; found by name through the entry-point group `mldeploy_jupyter.targets`.

Imports only `core` and `serving`.
"""

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
    NumberedLog,
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
    "NumberedLog",
    "Plan",
    "ServiceStatus",
    "Strategy",
    "Target",
    "TargetContext",
    "TargetFailure",
    "available_targets",
    "open_target",
    "target_of",
]

GROUP = "mldeploy_jupyter.targets"

# Names of targets by v1's compute type. A target that no installed package provides is refused when it is opened.
_TARGETS = {"Local": "local", "ACI": "aci", "AKS": "aks", "AKSENDPOINT": "aks"}
_TITLES = {"aci": "Azure Container Instances", "aks": "Kubernetes (AKS)"}


def target_of(compute_type: str) -> str:
    """The name of the target for one of v1's compute types; any other text is a target's name already."""
    return _TARGETS.get(compute_type, compute_type)


def available_targets() -> list[str]:
    from importlib.metadata import entry_points

    return sorted({"local", "docker", *(point.name for point in entry_points(group=GROUP))})


def open_target(name: str, context: TargetContext) -> Target:
    """The target of that name.

    Raises:
        TargetNotAvailable: no installed package provides it.
    """
    if name == "local":  # the common case need not read the metadata of every installed package
        from mldeploy_jupyter.targets.process import ProcessTarget

        return ProcessTarget(context)
    if name == "docker":
        from mldeploy_jupyter.targets.docker.target import DockerTarget

        return DockerTarget(context)
    from importlib.metadata import entry_points

    for point in entry_points(group=GROUP):
        if point.name == name:
            target: Target = point.load()(context)
            return target
    raise TargetNotAvailable(
        f"the target {_TITLES.get(name, name)} is not in this version",
        why=f"this version deploys to: {', '.join(available_targets())}",
        hint="deploy here with LocalWebservice.deploy_configuration(), in a command with --target local, in a notebook "
        "of v1 after migrate(local=True); your settings stay valid",
    )
