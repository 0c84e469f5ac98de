"""Carries deployments out. The only room that joins environments, images and targets."""

from mldeploy_jupyter.engine.carry_out import CANCEL_MARK, JOURNAL, carry_out, ended, target_context
from mldeploy_jupyter.engine.explaining import of_request
from mldeploy_jupyter.engine.launch import check_start, start
from mldeploy_jupyter.engine.operate import (
    asks_for_tokens,
    cancel,
    control,
    delete,
    get_keys,
    get_token,
    logs,
    regen_key,
)
from mldeploy_jupyter.engine.plan import is_unchanged
from mldeploy_jupyter.engine.watcher import elsewhere, look, look_at_target, require_here, shown_state

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
