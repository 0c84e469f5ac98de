"""Errors as the protocol's `Failure`: three lines as data, in the words of the place that shows them."""

from __future__ import annotations

import re
from typing import Any

from mldeploy_jupyter.core.errors import MldeployError, UserErrorException
from mldeploy_jupyter.panel.context import PanelContext

Failure = dict[str, Any]

# Codes that views look for; any other is the error's own in lower case, such as `target-not-available`.
CODES = {
    "WebserviceNotFound": "not-found",
    "DeploymentNotFound": "not-found",
    "ModelNotFound": "not-found",
    "RevisionNotFound": "not-found",
    "WorkspaceNotFound": "not-found",
    "DeploymentInProgress": "in-progress",
}


def describe_error(error: BaseException, context: PanelContext) -> Failure:
    """The error as data. One that this package does not raise on purpose gets the code `internal` and its own text."""
    if not isinstance(error, MldeployError):
        return {
            "code": "internal",
            "error": "a defect of mldeploy stopped this",
            "cause": f"{type(error).__name__}: {error}",
            "hint": "try it again, and report it with these lines if it happens again",
        }
    parts = error.as_dict()
    why, where = parts.get("why", ""), parts.get("where", "")
    field = error.field if isinstance(error, FieldError) else ""
    return {
        "code": CODES.get(error.code) or kebab(error.code),
        "error": parts.get("what", ""),
        "cause": f"{why} ({where})" if why and where else why or where,
        "hint": context.words(parts.get("hint", "")),
        **({"field": field} if field else {}),
    }


def describe_cause(cause: dict[str, Any], context: PanelContext) -> Failure:
    """A cause as the store has it, as data."""
    why, where = str(cause.get("why") or ""), str(cause.get("where") or "")
    return {
        "code": kebab(str(cause.get("code") or "failed")),
        "error": str(cause.get("what") or ""),
        "cause": f"{why} ({where})" if why and where else why or where,
        "hint": context.words(str(cause.get("hint") or "")),
    }


class FieldError(UserErrorException):
    """What was typed into a field of a view cannot be used; `field` is the field's key."""

    def __init__(self, field: str, what: str, *, why: str, hint: str) -> None:
        super().__init__(what, why=why, hint=hint)
        self.field = field


def bad_request(what: str, why: str) -> UserErrorException:
    """The error of a request that a view of this version does not send."""
    return UserErrorException(what, why=why, hint="reload the page: the view may be older than this program",
                              code="bad-request")  # fmt: skip


def kebab(code: str) -> str:
    """`TargetNotAvailable` as `target-not-available`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", code).lower()
