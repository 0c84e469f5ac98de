"""Carries deployments out. The only room that joins environments, images and targets."""

from __future__ import annotations

from mldeploy_jupyter.deployment.execute import CANCEL_MARK, JOURNAL, carry_out, ended
from mldeploy_jupyter.deployment.launch import check_start, start
from mldeploy_jupyter.deployment.operations import (
    asks_for_tokens,
    cancel,
    control,
    delete,
    get_keys,
    get_token,
    logs,
    of_request,
    regen_key,
)
from mldeploy_jupyter.deployment.plan import is_unchanged, target_context
from mldeploy_jupyter.deployment.recovery import elsewhere, look, look_at_target, require_here, shown_state

__all__ = [
    "CANCEL_MARK",
    "JOURNAL",
    "asks_for_tokens",
    "cancel",
    "carry_out",
    "check_start",
    "control",
    "delete",
    "elsewhere",
    "ended",
    "get_keys",
    "get_token",
    "is_unchanged",
    "logs",
    "look",
    "look_at_target",
    "of_request",
    "regen_key",
    "require_here",
    "shown_state",
    "start",
    "target_context",
]
