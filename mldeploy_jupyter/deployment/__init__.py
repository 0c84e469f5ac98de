"""Carries deployments out, and operates the services they made live.

Imports only `environments`, `targets`, `core` and `serving`. No other room joins environments and targets.
"""

from __future__ import annotations

from mldeploy_jupyter.deployment.completion import completion_events
from mldeploy_jupyter.deployment.files import journal_path
from mldeploy_jupyter.deployment.launch import LaunchSpec, check_can_start, start_deployment
from mldeploy_jupyter.deployment.operations import (
    cancel_deployment,
    control_service,
    delete_service,
    get_keys,
    get_token,
    open_log,
    read_logs,
    regenerate_key,
    uses_token_auth,
    wait_for_end,
)
from mldeploy_jupyter.deployment.plan import is_unchanged
from mldeploy_jupyter.deployment.recovery import recover_lost_deployments, refresh_deployment, refresh_service
from mldeploy_jupyter.deployment.services.engines import choose_target, engine_of, refuse_other_engine
from mldeploy_jupyter.deployment.services.events import read_service_events, record_service_event
from mldeploy_jupyter.deployment.services.glances import Glances
from mldeploy_jupyter.deployment.services.request_errors import find_request_error
from mldeploy_jupyter.deployment.services.status import (
    display_state,
    query_status,
    query_statuses,
    refuse_endpoint,
    remote_location,
    require_local,
    target_capabilities,
)
from mldeploy_jupyter.targets import ServiceStatus
from mldeploy_jupyter.targets.glance import Glance

__all__ = [
    "Glance",
    "Glances",
    "LaunchSpec",
    "ServiceStatus",
    "cancel_deployment",
    "check_can_start",
    "choose_target",
    "completion_events",
    "control_service",
    "delete_service",
    "display_state",
    "engine_of",
    "find_request_error",
    "get_keys",
    "get_token",
    "is_unchanged",
    "journal_path",
    "open_log",
    "query_status",
    "query_statuses",
    "read_logs",
    "read_service_events",
    "record_service_event",
    "recover_lost_deployments",
    "refresh_deployment",
    "refresh_service",
    "refuse_endpoint",
    "refuse_other_engine",
    "regenerate_key",
    "remote_location",
    "require_local",
    "start_deployment",
    "target_capabilities",
    "uses_token_auth",
    "wait_for_end",
]
