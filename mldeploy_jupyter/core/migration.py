"""The options of `migrate()` in this process. `azureml` sets them; code that behaves differently then reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Migration:
    """`local`: v1's cloud targets are this machine. `kernel_python`: this Python stands in for one that is too old."""

    local: bool = False
    kernel_python: bool = False


_current: Migration | None = None

# The clusters that a migrated notebook "created" here, by the workspace's name, then by their own.
compute_targets: dict[str, dict[str, Any]] = {}

_said: set[str] = set()


def current() -> Migration | None:
    """The options of `migrate()`; None in a process that has not migrated."""
    return _current


def begin(migration: Migration) -> None:
    """Remembers that this process has migrated, with these options instead of earlier ones."""
    global _current
    _current = migration


def end() -> None:
    """Forgets the options, and what was created and printed since they were set."""
    global _current
    _current = None
    compute_targets.clear()
    _said.clear()


def is_local() -> bool:
    """Whether v1's cloud targets are this machine."""
    return _current is not None and _current.local


def uses_kernel_python() -> bool:
    """Whether the kernel's Python stands in for one that is too old."""
    return _current is not None and _current.kernel_python


def say_once(text: str) -> None:
    """Prints a line unless it was printed before."""
    if text not in _said:
        _said.add(text)
        print(text)
