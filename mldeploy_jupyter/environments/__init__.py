"""Makes Python environments. Other rooms use what is named here."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mldeploy_jupyter.environments.records import (
    Emit,
    Interpreter,
    Lock,
    PreparedEnvironment,
    never,
    silent,
)

if TYPE_CHECKING:
    from mldeploy_jupyter.core.environment_spec import EnvironmentSpec

__all__ = ["Emit", "Interpreter", "Lock", "PreparedEnvironment", "prepare"]


def prepare(
    spec: EnvironmentSpec | None,
    *,
    kernel_python: str,
    cache: Path | None = None,
    emit: Emit = silent,
    cancel: Callable[[], None] = never,
    offline: bool = False,
    known_lock: str | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> PreparedEnvironment:
    """An interpreter that can run a service with what `spec` asks for.

    Without a spec `kernel_python` is used as it is. Raises `EnvironmentError_`, or what `cancel` raises.
    """
    start = clock()
    if spec is None or spec.interpreter:
        from mldeploy_jupyter.environments.current import lock_current

        python = spec.interpreter if spec is not None and spec.interpreter else kernel_python
        lock = lock_current(python)
        return PreparedEnvironment(python, lock.text, lock.digest, "current", False, [], clock() - start)
    raise AssertionError("made in the next commit")
