"""Why something failed, as plain data. `core/diagnosis` turns it into text for people."""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import Any

from ..system import server_package

_MAX_FRAMES = 100  # the innermost frames of a stack that are kept

_ATTRIBUTES = ("name", "path", "filename", "filename2", "errno", "strerror", "code")


class ContractError(Exception):
    """The entry script has no usable `init()` or `run()`."""


def failure(code: str, stage: str, message: str, **more: Any) -> dict[str, Any]:
    """A failure as data. `more` may have exception, exit_code, signal, memory, log_tail, seconds, port, holder."""
    return {"code": code, "stage": stage, "message": message, **more}


def from_exception(error: BaseException, stage: str) -> dict[str, Any]:
    """The failure of a script that raised during `import`, `init` or `probe`."""
    if isinstance(error, ContractError):
        code = "contract"
    elif stage == "probe":
        code = "probe-failed"
    elif isinstance(error, SyntaxError) and stage == "import":
        code = "syntax-error"
    elif isinstance(error, ModuleNotFoundError):
        code = "module-missing"
    elif isinstance(error, FileNotFoundError):
        code = "file-missing"
    else:
        code = f"{stage}-raised"
    return failure(code, stage, describe(error), exception=exception_data(error))


def describe(error: BaseException) -> str:
    """`ValueError: text`, safe for exceptions whose `__str__` fails."""
    try:
        text = str(error)
    except Exception:
        text = "<no text: __str__ of the exception failed>"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def exception_data(error: BaseException, depth: int = 5) -> dict[str, Any]:
    """The exception with its frames (outermost first, the server's own left out) and up to `depth` causes."""
    data: dict[str, Any] = {
        "type": type(error).__name__,
        "module": type(error).__module__,
        "message": describe(error).partition(": ")[2],
        "attributes": _attributes(error),
        "frames": frames_of(error.__traceback__),
        "cause": None,
    }
    if isinstance(error, SyntaxError):
        data["syntax"] = {
            "file": error.filename,
            "line": error.lineno,
            "column": error.offset,
            "text": (error.text or "").rstrip("\n"),
        }
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and depth > 0:
        data["cause"] = exception_data(cause, depth - 1)
    return data


def frames_of(tb: TracebackType | None) -> list[dict[str, Any]]:
    """The frames of a traceback, outermost first, without the server's own frames."""
    return _frames(traceback.extract_tb(tb))


def stack_of(frame: Any) -> list[dict[str, Any]]:
    """The stack that ends in `frame`, outermost first, without the server's own frames."""
    return _frames(traceback.extract_stack(frame))


def traceback_text(error: BaseException) -> str:
    """The traceback as Python prints it, without the server's own frames."""
    text = traceback.TracebackException.from_exception(error)
    part: Any = text
    while part is not None:
        part.stack = traceback.StackSummary.from_list([f for f in part.stack if _is_foreign(f.filename)])
        part = part.__cause__ or part.__context__
    return "".join(text.format()).rstrip("\n")


def _frames(summary: traceback.StackSummary) -> list[dict[str, Any]]:
    kept = [f for f in summary if _is_foreign(f.filename)]
    return [
        {"file": f.filename, "line": f.lineno, "function": f.name, "text": f.line or ""} for f in kept[-_MAX_FRAMES:]
    ]


def _is_foreign(filename: str) -> bool:
    return not filename.startswith((server_package.FOLDER, "<frozen "))


def _attributes(error: BaseException) -> dict[str, Any]:
    found = {name: getattr(error, name, None) for name in _ATTRIBUTES}
    return {name: value for name, value in found.items() if isinstance(value, (str, int)) and not callable(value)}
