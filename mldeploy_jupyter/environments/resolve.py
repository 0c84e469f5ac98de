"""From a spec to a lock. The cache keeps each spec's lock, so that an unchanged spec needs no network."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from mldeploy_jupyter.core import files
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.environments import cache, pythons, venv
from mldeploy_jupyter.environments.lock_text import BASE_PACKAGES, conda_lines, lock_header
from mldeploy_jupyter.environments.places import naming_places
from mldeploy_jupyter.environments.server_packages import server_requirements, split_provided
from mldeploy_jupyter.environments.types import Cancel, Emit, Lock
from mldeploy_jupyter.environments.uv import Uv


def make_lock(
    spec: EnvironmentSpec,
    *,
    kernel_python: str,
    root: Path,
    emit: Emit,
    cancel: Cancel,
    offline: bool = False,
    refresh: bool = False,
) -> Lock:
    """The lock of `spec`, from the cache in `root` or resolved now; `refresh` resolves again.

    Raises `EnvironmentBuildError` when it cannot be resolved, and whatever `cancel` raises.
    """
    pythons.refuse_below_floor(spec.python, where=spec.places.get("python", ""))
    path = root / "locks" / f"{lock_key(spec, kernel_python, server_requirements())}.json"
    known = None if refresh else read_lock(path)
    if known is not None:
        return known
    with cache.translate_os_errors(root), cache.exclusive(root, path.stem, emit=emit, cancel=cancel):
        known = None if refresh else read_lock(path)  # another process may have written it in the meantime
        if known is not None:
            return known
        with naming_places(spec.places):
            lock = _resolve(spec, kernel_python, root, emit, cancel, offline)
        files.make_private_dir(path.parent)
        files.write_json(path, {"text": lock.text, "python_version": lock.python_version, "dropped": lock.dropped})
    return lock


def _resolve(spec: EnvironmentSpec, kernel_python: str, root: Path, emit: Emit, cancel: Cancel, offline: bool) -> Lock:
    requirements, dropped = split_provided(spec.pip)
    uv = Uv(emit=emit, cancel=cancel, offline=offline, options=spec.pip_options)
    if not spec.conda:
        try:
            chosen = pythons.select(spec.python, kernel_python)
        except EnvironmentBuildError as error:
            # Conda may have that Python, but only channels that the spec names are asked: a requirements file has none.
            if error.code != "PythonNotFound" or not spec.channels:
                raise
        else:
            emit("log", f"Python {chosen.version} ({chosen.source})")
            pins = venv.lock_pip(requirements, spec.constraints, uv, interpreter=chosen, python_version=chosen.version)
            # The base image's own Python may be another: the pins are the same, and have the hashes of all wheels.
            header = lock_header(chosen.version) + (BASE_PACKAGES if spec.base_packages else "")
            return Lock(header + pins, chosen.version, dropped)
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
    text = lock_header(solution.python_version) + conda_lines(solution.records) + pins
    return Lock(text, solution.python_version, dropped)


def lock_key(spec: EnvironmentSpec, kernel_python: str, server: list[str]) -> str:
    """A digest of all that decides a lock, except for the state of the package index. `server`: its requirements."""
    kernel = os.path.realpath(kernel_python)
    try:
        changed = os.stat(kernel).st_mtime_ns
    except OSError:
        changed = 0
    data = [lock_header("0.0.0"), spec.digest(), server, kernel, changed]
    return hashlib.sha256(json.dumps(data).encode()).hexdigest()


def read_lock(path: Path) -> Lock | None:
    """The lock in a file of the cache; None where it is missing or damaged."""
    data = files.read_json_if_valid(path) or {}
    text, version, dropped = (data.get(key) for key in ("text", "python_version", "dropped"))
    if not isinstance(text, str) or not isinstance(version, str) or not isinstance(dropped, list):
        return None  # there is none, or it is damaged: it is resolved again
    return Lock(text, version, dropped)
