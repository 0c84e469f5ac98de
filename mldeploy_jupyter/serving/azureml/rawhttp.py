"""v1's `@rawhttp`, which marks a `run()` that handles HTTP itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

_RAW = "__mldeploy_rawhttp__"

F = TypeVar("F", bound=Callable[..., Any])


def rawhttp(function: F) -> F:
    """Marks `run()`: it gets each request as an `AMLRequest`, for GET, POST and OPTIONS."""
    # A bound method has no attributes of its own.
    setattr(getattr(function, "__func__", function), _RAW, True)
    return function


def marked_function(run: Any) -> Any:
    """The function below the decorators of `run` that `@rawhttp` marks, or None. In v1 the mark was a global flag.

    A decorator keeps what it wraps: in `__wrapped__` (functools.wraps), in a closure, as an attribute of an object, or
    in `functools.partial`.
    """
    seen: set[int] = set()
    waiting = [run]
    while waiting:
        function = waiting.pop(0)
        if id(function) in seen or not callable(function):
            continue
        seen.add(id(function))
        attributes = getattr(function, "__dict__", {})
        if _RAW in attributes:
            return function
        if isinstance(function, type) or len(seen) > _MAX_DECORATORS:
            continue
        waiting += [getattr(function, name, None) for name in ("__wrapped__", "__func__", "func")]
        waiting += [cell.cell_contents for cell in getattr(function, "__closure__", None) or () if _is_full(cell)]
        waiting += attributes.values()
    return None


_MAX_DECORATORS = 100


def _is_full(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:  # a name that is assigned later
        return False
    return True
