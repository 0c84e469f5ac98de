"""Carries deployments out. The only room that joins environments, images and targets."""

from mldeploy_jupyter.engine.carry_out import CANCEL_MARK, JOURNAL, carry_out, target_context
from mldeploy_jupyter.engine.operate import cancel, control, delete, logs
from mldeploy_jupyter.engine.start import start
from mldeploy_jupyter.engine.watcher import look, look_at_target, shown_state

__all__ = [
    "CANCEL_MARK",
    "JOURNAL",
    "cancel",
    "carry_out",
    "control",
    "delete",
    "logs",
    "look",
    "look_at_target",
    "shown_state",
    "start",
    "target_context",
]
