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
from mldeploy_jupyter.environments.types import Interpreter

# Prints the version, the implementation and the base interpreter, which differs in a virtual environment.
PROBE = (
    "import sys; print('%d.%d.%d' % sys.version_info[:3]); print(sys.implementation.name);"
    "print(getattr(sys, '_base_executable', None) or sys.executable)"
)
PROBE_TIMEOUT = 20.0  # seconds

_probed: dict[tuple[str, int], Interpreter | None] = {}  # by path and modification time; a probe takes 30 ms


def floor() -> tuple[int, int]:
    """The oldest Python that runs the scoring server, as (major, minor)."""
    from mldeploy_jupyter.serving.requirements import PYTHON_FLOOR

    return PYTHON_FLOOR


def floor_text() -> str:
    """The same as text, such as "3.11"."""
    return ".".join(map(str, floor()))


def is_supported(version: str) -> bool:
    """Whether the scoring server runs on this version of Python."""
    return _parts(version)[:2] >= floor()


def interpreters(kernel_python: str | None = None, environ: Mapping[str, str] | None = None) -> list[Interpreter]:
    """Every CPython 3 on this machine: the kernel's first, then those on PATH, of pyenv and of uv, newest first.

    `kernel_python` defaults to the running interpreter. Interpreters that do not start are left out.
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
    return ordered[:1] + sorted(ordered[1:], key=lambda item: _parts(item.version), reverse=True)


def probe(path: str, source: str = "given") -> Interpreter | None:
    """The interpreter at `path`, or None when it is not a CPython 3 that starts within 20 seconds."""
    try:
        key = (path, os.stat(path).st_mtime_ns)
    except OSError:
        return None
    if key not in _probed:
        _probed[key] = _run_probe(path, source)
    return _probed[key]


def select(python: str | None, kernel_python: str) -> Interpreter:
    """The interpreter for the version `python`, or for None: the kernel's if it fits, otherwise the newest one.

    Raises `EnvironmentBuildError` for a version below the floor, and when no interpreter fits; its reason lists those
    that exist.
    """
    refuse_below_floor(python)
    found = interpreters(kernel_python)
    usable = [item for item in found if is_supported(item.version)]
    for item in usable:
        if python_accepts(python, item.version):
            return item
    raise no_python_error(python, found)


def no_python_error(
    python: str | None, found: Iterable[Interpreter], channels: Iterable[str] = ()
) -> EnvironmentBuildError:
    """The error for a version that neither the machine nor the channels have."""
    usable = [f"{item.version} ({item.source})" for item in found if is_supported(item.version)]
    searched = ", ".join(channels)
    minor = re.search(r"\d+\.\d+", python or "")
    hints = (
        [f"write python={minor[0]} to take any {minor[0]}"]
        if minor and re.fullmatch(r"\d+\.\d+\.\d+", python or "")
        else []
    )
    hints.append(f"install Python {python or floor_text()} (uv python install {minor[0] if minor else floor_text()})")
    return EnvironmentBuildError(
        f"no Python {python or '>=' + floor_text()} was found",
        why=f"found on this machine: {', '.join(usable) or 'none that can run a service'}"
        + (f"; the channels {searched} have none either" if searched else ""),
        hint=", or ".join(hints),
        code="PythonNotFound",
    )


def refuse_below_floor(python: str | None, where: str = "") -> None:
    """Raises `EnvironmentBuildError` when every version that `python` accepts is too old for the scoring server.

    `where` is the place of the requirement, for the message.
    """
    if not is_below_floor(python):
        return
    raise EnvironmentBuildError(
        f"Python {python} is too old to run a service",
        why=f"the environment asks for Python {python}; the scoring server needs {floor_text()} or newer",
        hint=f"write python={floor_text()} (or newer) in its place, and train and save the model with it; "
        "a notebook of v1 may call migrate(python='kernel')",
        where=where,
        code="PythonTooOld",
    )


def is_below_floor(python: str | None) -> bool:
    """Whether every version that `python` accepts is too old for the scoring server."""
    if python is None:
        return False
    major, minor = floor()
    below = [f"{a}.{b}" for a, last in ((2, 7), (major, minor - 1)) for b in range(last + 1)]
    above = [f"{major}.{b}" for b in range(minor, minor + 20)]
    return any(_accepts_minor(python, v) for v in below) and not any(_accepts_minor(python, v) for v in above)


def _accepts_minor(python: str, minor: str) -> bool:
    return any(python_accepts(python, f"{minor}.{patch}") for patch in range(40))


def _candidates(kernel_python: str, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Where interpreters may be, as (source, path)."""
    yield "kernel", kernel_python
    home = Path(environ.get("HOME") or Path.home())
    pyenv = Path(environ.get("PYENV_ROOT") or home / ".pyenv")
    shims = pyenv / "shims"  # skipped: they start slowly, and fail for versions that are not selected
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


def _run_probe(path: str, source: str) -> Interpreter | None:
    try:
        done = subprocess.run(
            [path, "-I", "-c", PROBE], capture_output=True, text=True, timeout=PROBE_TIMEOUT, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.splitlines()
    if done.returncode != 0 or len(lines) != 3 or lines[1] != "cpython":
        return None
    return Interpreter(path=lines[2], version=lines[0], source=source)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
