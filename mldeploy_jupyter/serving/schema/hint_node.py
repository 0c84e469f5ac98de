"""A type hint that is understood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Node:
    """A hint understood. `parse(value, where)` gives the value or raises `Misfit`; `schema` is its JSON Schema.

    `rows`: its values are rows that can be joined. `quick` is as in `AbstractParameterType`. `exact`: values of just
    this JSON type are taken as they are. `holds` is as in `AbstractParameterType`.
    """

    parse: Callable[[Any, str], Any]
    schema: dict[str, Any]
    rows: bool = False
    quick: Callable[[Any, bool], Any] | None = None
    exact: type | None = None
    holds: Callable[[Any], bool] | None = None


class Unknown(Exception):
    """A hint that is not understood."""
