"""From a spec to a lock. The lock a spec got is kept in the cache, so an unchanged spec asks nothing of anyone."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.core.files import make_private_dir, read_json_if_valid, write_json
from mldeploy_jupyter.environments import cache, pythons, venv
from mldeploy_jupyter.environments.provided import server_requirements, without_provided
from mldeploy_jupyter.environments.records import Emit, Lock
from mldeploy_jupyter.environments.uv import Uv


def make_lock(
    spec: EnvironmentSpec,
    *,
    kernel_python: str,
    root: Path,
    emit: Emit,
    cancel: Callable[[], None],
    offline: bool = False,
    refresh: bool = False,
) -> Lock:
    """The lock of `spec`: from the cache, else made now, which `refresh` forces. Raises `EnvironmentBuildError`."""
    pythons.refuse_below_floor(spec.python)
    path = root / "locks" / f"{_key(spec, kernel_python)}.json"
    known = None if refresh else _read(path)
    if known is not None:
        return known
    with cache.named_errors(root), cache.hold(root, path.stem, emit=emit, cancel=cancel):
        known = None if refresh else _read(path)  # another process may have made it while we waited
        if known is not None:
            return known
        lock = _make(spec, kernel_python, root, emit, cancel, offline)
        data = {"text": lock.text, "python_version": lock.python_version, "dropped": lock.dropped}
        make_private_dir(path.parent)
        write_json(path, data, mode=0o644)
    return lock


def _make(
    spec: EnvironmentSpec, kernel_python: str, root: Path, emit: Emit, cancel: Callable[[], None], offline: bool
) -> Lock:
    requirements, dropped = without_provided(spec.pip)
    uv = Uv(emit=emit, cancel=cancel, offline=offline, options=spec.pip_options)
    if not spec.conda:
        try:
            chosen = pythons.select(spec.python, kernel_python)
        except EnvironmentBuildError as error:
            # Only a channel that was named is asked: nobody who writes a requirements file means conda.
            if error.code != "PythonNotFound" or not spec.channels:
                raise
        else:
            emit("log", f"Python {chosen.version} ({chosen.source})")
            pins = venv.lock_pip(requirements, spec.constraints, uv, interpreter=chosen, python_version=chosen.version)
            return Lock(venv.header(chosen.version) + pins, chosen.version, dropped)
    from mldeploy_jupyter.environments import conda

    solution = conda.solve(spec, kernel_python=kernel_python, root=root, emit=emit, cancel=cancel, offline=offline)
    pins = venv.lock_pip(
        requirements,
        spec.constraints,
        uv,
        interpreter=pythons.select(None, kernel_python),
        python_version=solution.python_version,
        excluded=conda.python_names(solution),
    )
    text = venv.header(solution.python_version) + conda.lock_lines(solution) + pins
    return Lock(text, solution.python_version, dropped)


def _key(spec: EnvironmentSpec, kernel_python: str) -> str:
    """What decides a lock, apart from the time it is made at."""
    kernel = os.path.realpath(kernel_python)
    try:
        changed = os.stat(kernel).st_mtime_ns
    except OSError:
        changed = 0
    data = [venv.header("0.0.0"), spec.digest(), server_requirements(), kernel, changed]
    return hashlib.sha256(json.dumps(data).encode()).hexdigest()


def _read(path: Path) -> Lock | None:
    data = read_json_if_valid(path)
    return None if data is None else Lock(data["text"], data["python_version"], data["dropped"])
