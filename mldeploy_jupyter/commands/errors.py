from __future__ import annotations

from typing import Any

from mldeploy_jupyter.core.errors import MldeployError, UserErrorException


class UsageError(UserErrorException):
    """The words of a command are wrong: an unknown command, option or value. Exit code 2."""

    code = "Usage"


class WaitInterrupted(MldeployError):
    """The user interrupted a wait. Only the waiting ended. `value` is the service. Exit code 130."""

    code = "Interrupted"

    def __init__(self, what: str, *, hint: str, value: Any = None) -> None:
        super().__init__(what, hint=hint)
        self.value = value
