"""What this room hands out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal, Protocol

Kind = Literal["current", "venv", "conda"]


class Emit(Protocol):
    """Writes one event of the running stage: `emit("log", "text", **data)`."""

    def __call__(self, kind: str, text: str = "", **data: object) -> object: ...


def silent(kind: str, text: str = "", **data: object) -> None:
    """An `Emit` that shows nothing."""


def never() -> None:
    """A `cancel` that never cancels."""


@dataclass(frozen=True)
class Interpreter:
    """A Python on this machine. `version` is full ("3.11.7"); `source` says where it was found."""

    path: str
    version: str
    source: str


@dataclass(frozen=True)
class Lock:
    """Exact pins. `text` is whole: a header with Python and platform, conda packages, then pip's with hashes.

    It names no index and no path of a machine. `dropped` are the requirements that the scoring server
    provides itself.
    """

    text: str
    python_version: str
    dropped: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True)
class PreparedEnvironment:
    """An interpreter that can run a service. `seconds` is how long it took; `built` whether anything was made.

    `digest` is that of `lock`, the lock's text. `kind`: "current" is used as it is, "venv" was made from PyPI
    packages, "conda" from conda packages too.
    """

    python: str
    lock: str
    digest: str
    kind: Kind
    built: bool
    dropped: list[str]
    seconds: float
