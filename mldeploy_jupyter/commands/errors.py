"""Errors of the grammar itself. Each has an exit code of its own."""

from __future__ import annotations

from typing import Any

from mldeploy_jupyter.core.errors import MldeployError, UserErrorException


class UsageError(UserErrorException):
    """An unknown command, option or value. Exit code 2."""

    code = "Usage"


class WaitInterrupted(MldeployError):
    """The user interrupted a wait; the deployment goes on. `value` is the service. Exit code 130."""

    code = "Interrupted"

    def __init__(self, what: str, *, why: str, hint: str, value: Any = None) -> None:
        super().__init__(what, why=why, hint=hint)
        self.value = value
