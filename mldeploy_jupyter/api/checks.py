"""Checks of single arguments, made before anything is done with them."""

from __future__ import annotations

import operator
import os
from numbers import Real
from typing import Any

from mldeploy_jupyter.core.errors import UserErrorException


def path_of(argument: str, value: Any, example: str) -> str:
    """The path as text. Raises `UserErrorException` for what is no path, and for an empty one."""
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise UserErrorException(f"{argument} is {value!r}", why="it must be a path", hint=f"such as {example}")
    return str(os.fspath(value))


def whole_number(argument: str, value: Any, least: int) -> int:
    """The number, from `least` on. Raises `UserErrorException`."""
    try:
        number = operator.index(value)  # numpy's integers too
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or number < least:
        raise UserErrorException(
            f"{argument} is {value!r}",
            why=f"it must be a whole number of at least {least}",
            hint="correct it, or leave it out",
        )
    return number


def check_seconds(argument: str, value: Any) -> None:
    """Raises `UserErrorException` for what is neither None nor a number of seconds. A time that is over is one."""
    if value is None or (isinstance(value, Real) and not isinstance(value, bool) and value == value):
        return
    raise UserErrorException(
        f"{argument} is {value!r}", why="it must be a number of seconds", hint="leave it out to wait without a limit"
    )
