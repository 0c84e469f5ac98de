"""The values that this room returns and the callbacks that it takes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

Kind = Literal["current", "venv", "conda"]

Cancel = Callable[[], None]  # called about ten times a second while work is in progress; raises to stop it


class Emit(Protocol):
    """Reports progress, such as an event of the running stage: `emit("log", "text", **data)`."""

    def __call__(self, kind: str, text: str = "", **data: object) -> object: ...


def silent(kind: str, text: str = "", **data: object) -> None:
    """An `Emit` that shows nothing."""


def never() -> None:
    """A `Cancel` that never cancels."""


@dataclass(frozen=True)
class Interpreter:
    """A Python on this machine. `version` is full ("3.11.7"); `source` says where it was found."""

    path: str
    version: str
    source: str


@dataclass(frozen=True)
class Lock:
    """Exact pins. `text` is described in `lock_text.py`.

    `dropped` are the requirements that are not installed: `server_packages.explain_left_out` says why.
    """

    text: str
    python_version: str
    dropped: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """SHA-256 of the text, hexadecimal; it names the environment's folder."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True)
class PreparedEnvironment:
    """An interpreter that can run a service. `seconds` is how long it took; `built` whether a folder was built.

    `lock` is the lock's text, `digest` that of the text. `kind`: "current" is an interpreter used as it is, "venv" was
    built from PyPI packages, "conda" from conda packages too.
    """

    python: str
    lock: str
    digest: str
    kind: Kind
    built: bool
    dropped: list[str]
    seconds: float
