"""Makes Python environments: resolves a spec to a lock, and builds it once for all workspaces of a user.

prepare(spec, kernel_python=...)   an interpreter with the packages that the spec asks for
lock(spec, kernel_python=...)      the exact pins only
capture(modules, python)           the pins of the packages that some modules belong to
pin_modules(modules, python)       a spec with these packages, as they are in that interpreter
sweep(used)                        removes environments that are not in use
interpreters()                     the Pythons of this machine
install_for_platform(lock, ...)    the packages of a lock in a folder, for an image

Imports only `core`, and the scoring server's requirements (`serving/requirements.py`). The names in `__all__` are what
other rooms use.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.environments import cache as _cache
from mldeploy_jupyter.environments import venv as _venv
from mldeploy_jupyter.environments.cache import sweep
from mldeploy_jupyter.environments.current import lock_current
from mldeploy_jupyter.environments.lock_text import conda_pins, locked_python, pip_names
from mldeploy_jupyter.environments.pins import capture, pin_modules
from mldeploy_jupyter.environments.places import naming_places
from mldeploy_jupyter.environments.platform_install import (
    PlatformEnvironment,
    install_conda_for_platform,
    install_for_platform,
    install_python,
    refuse_sources,
)
from mldeploy_jupyter.environments.pythons import interpreters, select
from mldeploy_jupyter.environments.resolve import make_lock
from mldeploy_jupyter.environments.server_packages import explain_left_out, split_provided
from mldeploy_jupyter.environments.types import (
    Cancel,
    Emit,
    Interpreter,
    Kind,
    Lock,
    PreparedEnvironment,
    never,
    silent,
)
from mldeploy_jupyter.environments.uv import Uv, index_variables

if TYPE_CHECKING:
    from mldeploy_jupyter.core.environment.spec import EnvironmentSpec

__all__ = [
    "Emit",
    "Interpreter",
    "Lock",
    "PlatformEnvironment",
    "PreparedEnvironment",
    "capture",
    "index_variables",
    "install_conda_for_platform",
    "install_for_platform",
    "install_python",
    "interpreters",
    "lock",
    "lock_current",
    "locked_python",
    "pin_modules",
    "prepare",
    "refuse_sources",
    "sweep",
]


def prepare(
    spec: EnvironmentSpec | None,
    *,
    kernel_python: str,
    cache: Path | None = None,
    emit: Emit = silent,
    cancel: Cancel = never,
    offline: bool = False,
    known_lock: str | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> PreparedEnvironment:
    """An interpreter that can run a service with the packages that `spec` asks for.

    Without a spec, `kernel_python` is used as it is; so is `spec.interpreter`. Otherwise an environment is built from
    the spec's lock in `cache` (default: `MLDEPLOY_CACHE`, or the user's cache folder), once for all workspaces and
    processes of a user. `known_lock` is the text of an earlier lock, which a bundle keeps; it replaces a new one.
    `offline` forbids the network. `cancel` is called while work is in progress, and stops it by raising.

    Raises `EnvironmentBuildError` with a code (PythonTooOld, PythonNotFound, PackageNotFound, VersionNotFound,
    RequirementsConflict, ServerRequirementsConflict, BuildFailed, NoNetwork, ...), or what `cancel` raises.
    """
    start = clock()
    if spec is None or spec.interpreter:
        python = spec.interpreter if spec is not None and spec.interpreter else kernel_python
        made = lock_current(python)
        return PreparedEnvironment(python, made.text, made.digest, "current", False, [], clock() - start)
    root = _cache.cache_root(cache)
    if known_lock is not None:
        made = Lock(known_lock, locked_python(known_lock), split_provided(spec.pip)[1])
    else:
        made = lock(spec, kernel_python=kernel_python, cache=cache, emit=emit, cancel=cancel, offline=offline)
    for text in explain_left_out(made.dropped):
        emit("log", text, dropped=made.dropped)
    folder = _cache.environment_folder(root, made.digest)
    marker, built = _cache.read_marker(folder), False
    if marker is None:
        with (
            _cache.translate_os_errors(root),
            _cache.exclusive(root, made.digest, emit=emit, cancel=cancel) as descriptor,
        ):
            marker = _cache.read_marker(folder)
            if marker is None:
                _build(spec, made, root, kernel_python, emit, cancel, offline, descriptor)
                marker, built = _cache.read_marker(folder), True
    _cache.mark_used(folder)
    if not built:
        emit("log", f"environment {made.digest[:12]} is there already; nothing is built")
    kind: Kind = "conda" if marker is not None and marker["kind"] == "conda" else "venv"
    python = str(folder / "bin" / "python")
    return PreparedEnvironment(python, made.text, made.digest, kind, built, made.dropped, clock() - start)


def lock(
    spec: EnvironmentSpec,
    *,
    kernel_python: str,
    cache: Path | None = None,
    emit: Emit = silent,
    cancel: Cancel = never,
    offline: bool = False,
    refresh: bool = False,
) -> Lock:
    """The exact pins of `spec`; nothing is built. An unchanged spec keeps its lock, until `refresh`.

    Raises `EnvironmentBuildError` and whatever `cancel` raises, as `prepare` does.
    """
    if spec.interpreter:
        return lock_current(spec.interpreter)
    return make_lock(
        spec,
        kernel_python=kernel_python,
        root=_cache.cache_root(cache),
        emit=emit,
        cancel=cancel,
        offline=offline,
        refresh=refresh,
    )


def _build(
    spec: EnvironmentSpec,
    made: Lock,
    root: Path,
    kernel_python: str,
    emit: Emit,
    cancel: Cancel,
    offline: bool,
    descriptor: int,
) -> None:
    uv = Uv(emit=emit, cancel=cancel, offline=offline, options=spec.pip_options, keep_open=descriptor)
    count = len(pip_names(made.text))
    emit("log", f"building environment {made.digest[:12]}: Python {made.python_version}, {count} PyPI packages")

    def make(folder: Path, final: Path) -> dict[str, Any]:
        if conda_pins(made.text):
            from mldeploy_jupyter.environments.conda import build_conda

            return build_conda(folder, final, made.text, spec, uv, kernel_python=kernel_python)
        return _venv.build_venv(folder, made.text, _interpreter_for(made.python_version, kernel_python, emit), uv)

    with naming_places(spec.places):
        _cache.build(root, made.digest, make, made.text)


def _interpreter_for(version: str, kernel_python: str, emit: Emit) -> Interpreter:
    """The interpreter of a lock's version, or one with another patch version, for which the wheels are the same."""
    try:
        return select(version, kernel_python)
    except EnvironmentBuildError:
        found = select(version.rpartition(".")[0], kernel_python)
        emit("log", f"Python {version} of the lock is gone; {found.version} is used")
        return found
