"""Every error this package raises on purpose.

    MldeployError                      the base class; prints as `error:`, `cause:`, `hint:`
    +-- UserErrorException             an argument is wrong
    |   +-- ConfigError                a name or a configuration is wrong; a WebserviceException, too
    |   +-- EntryScriptError           the entry script cannot be used as written
    +-- WorkspaceError                 no workspace, or one that cannot be used
    |   +-- StoreError                 the store cannot be opened, or is newer than this program
    |   +-- StorageError               bytes could not be read or written (disk full, file vanished)
    +-- WebserviceException            v1's name: models, services, deployments
    |   +-- EnvironmentBuildError      a Python environment could not be built
    |   +-- ImageError                 a container image could not be made, read or pushed
    |   +-- ModelNotFoundException     no such model
    |   +-- ModelPathNotFoundException no such path inside a run or a model
    |   +-- ModelInUse                 a service still uses the model
    |   +-- WebserviceNotFound         no such service
    |   +-- NameInUse                  the service's name is taken
    |   +-- DeploymentInProgress       another operation holds the service
    |   +-- DeploymentFailed           a deployment failed; carries its `Cause`
    |   +-- DeploymentCancelled        a deployment was cancelled
    |   +-- DeploymentInterrupted      the runner of a deployment died
    |   +-- DeploymentTimeout          waiting took longer than `timeout_sec`; nothing was cancelled
    |   +-- ScoringError               the service answered with a status other than 200, or not at all
    |   +-- TargetNotAvailable         the target is not in this version, or its tool is missing
    +-- RunEnvironmentException        v1's name: no such run, or no tracking store

An error says what happened (`what`), why (`why`), what to do next (`hint`, which names the next command) and
where (`where`, such as "cell 3, line 7"). As in v1, `.message` is one clean line; for codes that callers of v1
search for (`ModelNotFound`, `WebserviceNotFound`) it starts with the code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from mldeploy_jupyter.core.text import SHOWN_LIMIT, clean, cut, in_ipython_words, printable, printable_line

LINES_LIMIT = 20  # lines of a part; a check of many inputs may find more to say


_hint_words: Callable[[str], str] = in_ipython_words


def translate_hints(words: Callable[[str], str]) -> None:
    """Sets what IPython shows of a hint, which is written for a shell: with the magics loaded, it names them."""
    global _hint_words
    _hint_words = words


class MldeployError(Exception):
    """An error with what, why, hint and where. `code` is a stable name for programs."""

    code = "Error"
    line_limit: ClassVar[int] = SHOWN_LIMIT  # characters of a line that is shown; longer ones are cut
    prefix_message = False  # whether `.message` starts with the code: callers of v1 search it for a few codes
    # Source lines around the error, each `{"line", "text", "guilty"}`; IPython shows them above the error.
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
        what, why = self._line("what"), self._lines("why")
        what = what.rstrip(" .:") if why else what
        text = ": ".join(part for part in (what, "; ".join(why)) if part)  # several violations have a line each
        return f"{self.code}: {text}" if self.prefix_message else text

    @property
    def inner_exception(self) -> BaseException | None:
        """What caused it (v1's attribute)."""
        return self.__cause__

    def print_stacktrace(self) -> None:
        """Prints the error with its traceback (v1's method)."""
        import traceback

        traceback.print_exception(self)

    def as_dict(self) -> dict[str, Any]:
        """The error as JSON data, without empty parts, cleaned and cut as it is shown."""
        parts = {
            "code": self.code,
            "what": self._line("what"),
            "why": "\n".join(self._lines("why")),
            "hint": "\n".join(self._lines("hint")),
            "where": self._line("where"),
        }
        return {key: value for key, value in parts.items() if value}

    def __str__(self) -> str:
        # Every program prints this, so it is where the text of others (exceptions, names, paths) is cleaned and cut.
        lines = [f"error: {self._line('what')}"]
        # Further lines of a part are indented, so that none can pass for a line of ours.
        where, why, hint = (
            self._line("where"),
            "\n       ".join(self._lines("why")),
            "\n      ".join(self._lines("hint")),
        )
        if why:
            lines.append(f"cause: {why}" + (f" ({where})" if where else ""))
        elif where:
            lines.append(f"cause: {where}")
        if hint:
            lines.append(f"hint: {hint}")
        return "\n".join(lines)

    def _line(self, part: str) -> str:
        return cut(printable_line(str(getattr(self, part) or "")[: self.line_limit * 20]), self.line_limit)

    def _lines(self, part: str) -> list[str]:
        text = printable(str(getattr(self, part) or "")[: self.line_limit * LINES_LIMIT * 2])
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        return [cut(line, self.line_limit) for line in lines[:LINES_LIMIT]]

    def _render_traceback_(self) -> list[str]:
        """What IPython shows instead of a traceback: bad input is not a defect of this package."""
        shown = []
        for line in self.excerpt:
            text = cut(clean(str(line.get("text", "")), colour=False).expandtabs(4))
            shown.append(f"{'>' if line.get('guilty') else ' '} {line.get('line', ''):>4}  {text}".rstrip())
        text, mark, hint = str(self).partition("\nhint: ")
        return [*shown, *([""] if shown else []), *(text + mark + _hint_words(hint)).splitlines()]


class UserErrorException(MldeployError):
    """An argument is wrong. The name is v1's."""

    code = "UserError"


class WebserviceException(MldeployError):
    """Something is wrong with a model, a service or a deployment. The name is v1's."""

    code = "WebserviceError"
    status_code: int | None = None


class ConfigError(UserErrorException, WebserviceException):
    """A name or a configuration is wrong.

    v1 raised one base class or the other, depending on the call; code that catches either of them still works.
    """

    code = "InvalidConfiguration"


class EntryScriptError(UserErrorException):
    """The entry script cannot be used as written.

    `line` and `column` count from 1 and are 0 when the whole script is meant; `text` is that line.
    """

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
    """There is no workspace, or it cannot be used."""

    code = "WorkspaceError"
    found_multiple = False  # v1's attribute


class StoreError(WorkspaceError):
    """The store cannot be opened, or its schema is newer than this program."""

    code = "StoreError"


class StorageError(WorkspaceError):
    """Bytes could not be read or written: the disk is full, a file vanished, a network failed."""

    code = "StorageError"


class EnvironmentBuildError(WebserviceException):
    """A Python environment could not be solved, downloaded or built."""

    code = "EnvironmentFailed"
    line_limit = 2000  # a solver's explanation is long, and none of its steps can be left out


class ImageError(WebserviceException):
    """A container image could not be made, read from its registry or pushed to one."""

    code = "ImageFailed"


class RunEnvironmentException(MldeployError):
    """There is no such run, or no tracking store. The name is v1's."""

    code = "RunNotFound"


class ModelNotFoundException(WebserviceException):
    """There is no such model. The name is v1's."""

    code = "ModelNotFound"
    prefix_message = True


class ModelPathNotFoundException(WebserviceException):
    """There is no such path inside a run or a model. The name is v1's."""

    code = "ModelPathNotFound"
    prefix_message = True


class ModelInUse(WebserviceException):
    """The model cannot be deleted while a service uses it."""

    code = "ModelInUse"


class WebserviceNotFound(WebserviceException):
    """There is no service of this name."""

    code = "WebserviceNotFound"
    prefix_message = True


class NameInUse(WebserviceException):
    """A service of this name exists already."""

    code = "NameInUse"


class DeploymentInProgress(WebserviceException):
    """Another operation holds the service; `deployment_id` names it."""

    code = "DeploymentInProgress"

    def __init__(self, what: str, *, deployment_id: str, why: str = "", hint: str = "") -> None:
        super().__init__(what, why=why, hint=hint)
        self.deployment_id = deployment_id


class DeploymentFailed(WebserviceException):
    """A deployment failed. `cause` is a `core.diagnosis.Cause`; `deployment_id` names the journal."""

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
    """A deployment was cancelled before it was live."""

    code = "DeploymentCancelled"


class DeploymentInterrupted(WebserviceException):
    """The process that ran a deployment died."""

    code = "DeploymentInterrupted"


class DeploymentTimeout(WebserviceException):
    """Waiting took longer than `timeout_sec`. The deployment continues."""

    code = "DeploymentTimeout"


class ScoringError(WebserviceException):
    """A scoring request failed.

    `status_code` is the HTTP status, None without a response; `body` is the response as text, `request_id` the
    id that the server gave the request.
    """

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
    """The target is not part of this version, or a tool that it needs is missing."""

    code = "TargetNotAvailable"
