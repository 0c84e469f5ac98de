"""Every error this package raises on purpose.

    MldeployError                      anything below; prints as `error:`, `cause:`, `hint:`
    +-- UserErrorException             an argument is wrong
    |   +-- ConfigError                a name or a configuration is wrong; is a WebserviceException as well
    |   +-- EntryScriptError           the entry script cannot be used as written
    +-- WorkspaceError                 no workspace, or one that cannot be used
    |   +-- StoreError                 the store cannot be opened, or is newer than this program
    |   +-- StorageError               bytes could not be read or written (disk full, file vanished)
    +-- WebserviceException            v1's name: models, services, deployments
    |   +-- EnvironmentBuildError          a Python environment could not be made
    |   +-- ModelNotFoundException     no such model
    |   +-- ModelPathNotFoundException no such path inside a run or a model
    |   +-- ModelInUse                 a service still uses the model
    |   +-- WebserviceNotFound         no such service
    |   +-- NameInUse                  the service's name is taken
    |   +-- DeploymentInProgress       another operation holds the service
    |   +-- DeploymentFailed           a deployment ended failed; carries its `Cause`
    |   +-- DeploymentCancelled        a deployment was cancelled
    |   +-- DeploymentInterrupted      the runner of a deployment died
    |   +-- DeploymentTimeout          waiting took longer than `timeout_sec`; nothing was cancelled
    |   +-- ScoringError               the service answered with something other than 200
    |   +-- TargetNotAvailable         the target is not in this version, or its tool is missing
    +-- RunEnvironmentException        v1's name: no such run, or no tracking store

An error says what happened (`what`), why (`why`), what to do next (`hint`, naming the next command) and
where (`where`, such as "cell 3, line 7"). `.message` keeps v1's habit: one clean line, which starts with
the code where callers look for it (`ModelNotFound`, `WebserviceNotFound`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class MldeployError(Exception):
    """An error with what, why, hint and where. `code` is stable and made for machines."""

    code = "Error"
    prefix_message = False  # v1's callers search `.message` for a few codes
    # Lines of the cell or file around the place meant, each `{"line", "text", "guilty"}`; shown above the three lines.
    excerpt: Sequence[Mapping[str, Any]] = ()

    def __init__(self, what: str, *, why: str = "", hint: str = "", where: str = "", code: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint
        self.where = where
        if code is not None:
            self.code = code

    @property
    def message(self) -> str:
        """What happened and why, in one line (v1's attribute): `what: why`."""
        what = self.what.rstrip(" .:") if self.why else self.what
        lines = ": ".join(part for part in (what, self.why) if part).splitlines()
        text = "; ".join(line.strip() for line in lines)  # several violations have a line each
        return f"{self.code}: {text}" if self.prefix_message else text

    def as_dict(self) -> dict[str, Any]:
        """The error as JSON data; empty parts are left out."""
        parts = {
            "code": self.code,
            "what": self.what,
            "why": self.why,
            "hint": self.hint,
            "where": self.where,
        }
        return {key: value for key, value in parts.items() if value}

    def __str__(self) -> str:
        lines = [f"error: {self.what}"]
        if self.why:
            lines.append(f"cause: {self.why}" + (f" ({self.where})" if self.where else ""))
        elif self.where:
            lines.append(f"cause: {self.where}")
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)

    def _render_traceback_(self) -> list[str]:
        """IPython shows the three lines in place of a traceback: bad input is not a defect of ours."""
        from mldeploy_jupyter.core.text import clean

        shown = []
        for line in self.excerpt:
            text = clean(str(line.get("text", "")), colour=False).expandtabs(4)
            shown.append(f"{'>' if line.get('guilty') else ' '} {line.get('line', ''):>4}  {text}".rstrip())
        return [*shown, *([""] if shown else []), *str(self).splitlines()]


class UserErrorException(MldeployError):
    code = "UserError"


class WebserviceException(MldeployError):
    code = "WebserviceError"
    status_code: int | None = None


class ConfigError(UserErrorException, WebserviceException):
    """v1 raised one or the other for what is wrong in a configuration or a name; both catch it."""

    code = "InvalidConfiguration"


class EntryScriptError(UserErrorException):
    """`line` and `column` (both from 1, 0 when the script as a whole is meant) and `text`, that line, say where."""

    code = "InvalidEntryScript"

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        hint: str = "",
        where: str = "",
        code: str | None = None,
        line: int = 0,
        column: int = 0,
        text: str = "",
    ) -> None:
        super().__init__(what, why=why, hint=hint, where=where, code=code)
        self.line = line
        self.column = column
        self.text = text


class WorkspaceError(MldeployError):
    code = "WorkspaceError"


class StoreError(WorkspaceError):
    code = "StoreError"


class StorageError(WorkspaceError):
    code = "StorageError"


class EnvironmentBuildError(WebserviceException):
    code = "EnvironmentFailed"


class RunEnvironmentException(MldeployError):
    code = "RunNotFound"


class ModelNotFoundException(WebserviceException):
    code = "ModelNotFound"
    prefix_message = True


class ModelPathNotFoundException(WebserviceException):
    code = "ModelPathNotFound"
    prefix_message = True


class ModelInUse(WebserviceException):
    code = "ModelInUse"


class WebserviceNotFound(WebserviceException):
    code = "WebserviceNotFound"
    prefix_message = True


class NameInUse(WebserviceException):
    code = "NameInUse"


class DeploymentInProgress(WebserviceException):
    code = "DeploymentInProgress"

    def __init__(self, what: str, *, deployment_id: str, why: str = "", hint: str = "") -> None:
        super().__init__(what, why=why, hint=hint)
        self.deployment_id = deployment_id


class DeploymentFailed(WebserviceException):
    """`cause` is the `Cause` of `core.causes`; `deployment_id` names the journal."""

    code = "DeploymentFailed"

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        hint: str = "",
        where: str = "",
        code: str | None = None,
        cause: Any = None,
        deployment_id: str = "",
    ) -> None:
        super().__init__(what, why=why, hint=hint, where=where, code=code)
        self.cause = cause
        self.excerpt = getattr(cause, "excerpt", ())
        self.deployment_id = deployment_id


class DeploymentCancelled(WebserviceException):
    code = "DeploymentCancelled"


class DeploymentInterrupted(WebserviceException):
    code = "DeploymentInterrupted"


class DeploymentTimeout(WebserviceException):
    code = "DeploymentTimeout"


class ScoringError(WebserviceException):
    """`status_code` is the HTTP status, `body` the answer as text, `request_id` the server's id."""

    code = "ScoringFailed"

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        hint: str = "",
        status_code: int | None = None,
        body: str = "",
        request_id: str = "",
    ) -> None:
        super().__init__(what, why=why, hint=hint)
        self.status_code = status_code
        self.body = body
        self.request_id = request_id


class TargetNotAvailable(WebserviceException):
    code = "TargetNotAvailable"
