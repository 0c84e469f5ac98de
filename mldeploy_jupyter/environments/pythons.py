"""The Pythons of this machine, and the choice among them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mldeploy_jupyter.core.environment.spec import python_accepts
from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.environments.records import Interpreter

# An interpreter of a virtual environment answers with the one it was made from.
PROBE = (
    "import sys; print('%d.%d.%d' % sys.version_info[:3]); print(sys.implementation.name);"
    "print(getattr(sys, '_base_executable', None) or sys.executable)"
)
PROBE_SECONDS = 20.0

_probed: dict[tuple[str, int], Interpreter | None] = {}  # by path and time of change: asking costs 30 ms each


def floor() -> tuple[int, int]:
    """The oldest Python that runs the scoring server, as (major, minor)."""
    from mldeploy_jupyter.serving.requirements import PYTHON_FLOOR

    return PYTHON_FLOOR


def floor_text() -> str:
    return ".".join(map(str, floor()))


def interpreters(kernel_python: str | None = None, environ: Mapping[str, str] | None = None) -> list[Interpreter]:
    """Every CPython 3 found: the kernel's first, then those on PATH, pyenv's and uv's, newest first.

    `kernel_python` defaults to the running interpreter. What cannot be started is left out.
    """
    environ = os.environ if environ is None else environ
    candidates: dict[str, tuple[str, str]] = {}
    for source, path in _candidates(kernel_python or sys.executable, environ):
        candidates.setdefault(os.path.realpath(path), (source, path))
    with ThreadPoolExecutor(max_workers=4) as pool:
        answers = list(pool.map(lambda item: probe(item[1], item[0]), candidates.values()))
    found: dict[str, Interpreter] = {}
    for answer in answers:
        if answer is not None:
            found.setdefault(os.path.realpath(answer.path), answer)
    ordered = list(found.values())
    return ordered[:1] + sorted(ordered[1:], key=lambda item: _key(item.version), reverse=True)


def probe(path: str, source: str = "given") -> Interpreter | None:
    """What the interpreter at `path` says of itself, or None when it is not a CPython 3 that starts."""
    try:
        key = (path, os.stat(path).st_mtime_ns)
    except OSError:
        return None
    if key not in _probed:
        _probed[key] = _ask(path, source)
    return _probed[key]


def select(python: str | None, kernel_python: str) -> Interpreter:
    """The interpreter for a version asked for: the kernel's if it fits, else the newest on the machine.

    Raises `EnvironmentBuildError` when the version is below the floor, or when none fits (the cause lists those found).
    """
    refuse_below_floor(python)
    found = interpreters(kernel_python)
    usable = [item for item in found if _key(item.version)[:2] >= floor()]
    for item in usable:
        if python_accepts(python, item.version):
            return item
    raise none_fits(python, found)


def none_fits(python: str | None, found: Iterable[Interpreter], channels: Iterable[str] = ()) -> EnvironmentBuildError:
    """The error for a version that neither the machine nor the channels have."""
    seen = [f"{item.version} ({item.source})" for item in found if _key(item.version)[:2] >= floor()]
    looked = ", ".join(channels)
    minor = re.search(r"\d+\.\d+", python or "")
    hints = (
        [f"write python={minor[0]} to take any {minor[0]}"]
        if minor and re.fullmatch(r"\d+\.\d+\.\d+", python or "")
        else []
    )
    hints.append(f"install Python {python or floor_text()} (uv python install {minor[0] if minor else floor_text()})")
    return EnvironmentBuildError(
        f"no Python {python or '>=' + floor_text()} was found",
        why=f"found on this machine: {', '.join(seen) or 'none that can run a service'}"
        + (f"; the channels {looked} have none either" if looked else ""),
        hint=", or ".join(hints),
        code="PythonNotFound",
    )


def refuse_below_floor(python: str | None, where: str = "") -> None:
    """Raise `EnvironmentBuildError` when every version asked for is older than the scoring server runs on."""
    if python is None:
        return
    major, minor = floor()
    below = [f"{a}.{b}" for a, last in ((2, 7), (major, minor - 1)) for b in range(last + 1)]
    above = [f"{major}.{b}" for b in range(minor, minor + 20)]
    if any(_any_patch(python, version) for version in above) or not any(_any_patch(python, v) for v in below):
        return
    raise EnvironmentBuildError(
        f"Python {python} is too old to run a service",
        why=f"the environment asks for Python {python}; the scoring server needs {floor_text()} or newer",
        hint=f"write python={floor_text()} in the conda file (or newer), and train and save the model with it",
        where=where,
        code="PythonTooOld",
    )


def _any_patch(python: str, minor: str) -> bool:
    return any(python_accepts(python, f"{minor}.{patch}") for patch in range(40))


def _candidates(kernel_python: str, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    yield "kernel", kernel_python
    home = Path(environ.get("HOME") or Path.home())
    pyenv = Path(environ.get("PYENV_ROOT") or home / ".pyenv")
    shims = pyenv / "shims"  # start slowly, and fail for versions that are not selected
    for folder in environ.get("PATH", "").split(os.pathsep):
        if folder and Path(folder) != shims and os.path.isdir(folder):
            for name in sorted(os.listdir(folder)):
                if re.fullmatch(r"python3(\.\d+)?", name):
                    yield "PATH", os.path.join(folder, name)
    for path in sorted((pyenv / "versions").glob("*/bin/python3")):
        yield "pyenv", str(path)
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local/share")
    uv = Path(environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv/python")
    for path in sorted(uv.glob("cpython-*/bin/python3")):
        yield "uv", str(path)


def _ask(path: str, source: str) -> Interpreter | None:
    try:
        done = subprocess.run(
            [path, "-I", "-c", PROBE], capture_output=True, text=True, timeout=PROBE_SECONDS, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.splitlines()
    if done.returncode != 0 or len(lines) != 3 or lines[1] != "cpython":
        return None
    return Interpreter(path=lines[2], version=lines[0], source=source)


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
