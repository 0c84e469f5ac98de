"""The HTTP contract that a script with `@rawhttp` may declare, so that its requests are described and probed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

_CONTRACT = "__mldeploy_contract__"


@dataclass(frozen=True)
class HttpContract:
    """The contract of a `run()` with `@rawhttp` that takes JSON by POST.

    `summary` is a request's body in words, `request` and `result` are JSON Schemas, `example` is a body, or None.
    `score_paths` are answered by `run()` too, `health_paths` as `/` is; GET of those in `answers` has that body.
    """

    summary: str
    request: dict[str, Any]
    result: dict[str, Any]
    example: Any = None
    score_paths: tuple[str, ...] = ()
    health_paths: tuple[str, ...] = ()
    answers: Mapping[str, bytes] = field(default_factory=dict)


def declare_contract(run: Callable[..., Any], contract: HttpContract) -> None:
    """Declares the contract of `run`, which has `@rawhttp`."""
    setattr(run, _CONTRACT, contract)


def contract_of(run: Any) -> HttpContract | None:
    """What `declare_contract` declared, or None."""
    found = getattr(run, _CONTRACT, None)
    return found if isinstance(found, HttpContract) else None
