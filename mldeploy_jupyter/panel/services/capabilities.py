"""What may be done with a service now: a view leaves out what its target cannot do or its state does not allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mldeploy_jupyter import deployment
from mldeploy_jupyter.core.configs import DeployConfig
from mldeploy_jupyter.core.errors import ConfigError, TargetNotAvailable
from mldeploy_jupyter.deployment import target_capabilities

if TYPE_CHECKING:
    from mldeploy_jupyter.core.records import ServiceRecord
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

_SERVING = ("live", "unhealthy", "updating")


def allowed_orders(folder: WorkspaceFolder, record: ServiceRecord, state: str, *, auth: str, kept: bool) -> list[str]:
    """The orders that the service takes now. `auth` is key, token or none, `kept` whether it can go back."""
    deploying = state in ("deploying", "updating")
    if deployment.remote_location(folder, record):
        return ["cancel"] if deploying else []  # a cancel crosses machines, nothing else does
    try:
        capabilities = target_capabilities(folder, record)
    except TargetNotAvailable:
        return []
    served = record.revision > 0
    secret = served and auth != "none"
    can = {
        "test": served and state in _SERVING,
        "keys": secret,
        "regen-key": secret,
        "update": served and not deploying,
        "scale": served and not deploying and _has_workers(record),
        "rollback": served and not deploying and kept,
        "reload": served and not deploying,
        "restart": served and state in ("live", "unhealthy"),
        "stop": capabilities.stop and served and state in ("live", "unhealthy"),
        "start": capabilities.stop and served and state in ("stopped", "unhealthy"),
        "delete": True,
        "cancel": deploying,
    }
    return [order for order, allowed in can.items() if allowed]


def shown_tabs(folder: WorkspaceFolder, record: ServiceRecord, state: str) -> list[str]:
    """The tabs of the service's panel."""
    here = not deployment.remote_location(folder, record)
    served = record.revision > 0
    tabs = {
        "test": here and served and state in _SERVING,
        "logs": here,
        "latency": here and served,
        "api": here and served,
        "code": here and served,
        "history": True,
        "settings": here,
    }
    return [tab for tab, shown in tabs.items() if shown]


def _has_workers(record: ServiceRecord) -> bool:
    try:
        return "worker_count" in DeployConfig(record.compute_type).spec.by_name
    except ConfigError:
        return False
