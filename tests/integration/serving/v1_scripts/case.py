"""One entry script, its files, and what it is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Ask:
    """A request and its answer. A `body` that is not text or bytes is sent as JSON, and so is compared the `answer`."""

    body: Any
    answer: Any
    status: int = 200
    method: str = "POST"
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    answer_headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A script by the kind that it is of. `files` lie beside it; `models` are names of `models.MODELS`.

    `refused`: what the error says when it cannot be loaded, which docs/migrating.md has the reason for.
    """

    kind: str
    script: str
    asks: tuple[Ask, ...] = ()
    models: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    refused: str = ""


def case(kind: str, script: str, *asks: tuple[Any, Any] | Ask, **more: Any) -> Case:
    return Case(kind, script, tuple(ask if isinstance(ask, Ask) else Ask(*ask) for ask in asks), **more)
