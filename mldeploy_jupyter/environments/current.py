"""An interpreter that is used as it is: the kernel's own, or one that the user manages. Nothing is installed in it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.environments import pythons
from mldeploy_jupyter.environments.server_packages import server_requirements
from mldeploy_jupyter.environments.types import Lock

# Without the current folder: a json.py in it is not part of Python. (Not -P, which the versions refused here lack.)
SHOW_PATH = (
    "import sys; sys.path = list(filter(None, sys.path)); import json;"
    "print(json.dumps(['%d.%d.%d' % sys.version_info[:3], sys.path]))"
)


def lock_current(python: str) -> Lock:
    """The packages of the interpreter as a lock, which is only compared with others: nothing is installed from it.

    Raises `EnvironmentBuildError` when the interpreter does not start, is too old for the scoring server, or lacks one
    of the server's requirements.
    """
    version, path = _version_and_path(python)
    if not pythons.is_supported(version):
        raise EnvironmentBuildError(
            f"Python {version} is too old to run a service",
            why=f"the interpreter {python} is {version}; the scoring server needs {pythons.floor_text()} or newer",
            hint=f"use a kernel with Python {pythons.floor_text()}, or give an Environment with "
            f"python={pythons.floor_text()}",
            code="PythonTooOld",
        )
    installed = installed_in(path)
    _check_server_requirements(python, installed)
    pins = [f"{name}=={number}" for name, number in sorted(installed.items())]
    return Lock(text="\n".join([f"# python {version}, used as it is", *pins]) + "\n", python_version=version)


def installed_in(path: list[str]) -> dict[str, str]:
    """Canonical name -> version of the distributions on a `sys.path`, read from the names of their folders."""
    return dict(_installed_in(tuple((folder, _modified(folder)) for folder in path)))


def _modified(folder: str) -> int:
    try:
        return os.stat(folder or ".").st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=4)
def _installed_in(folders: tuple[tuple[str, int], ...]) -> dict[str, str]:
    """`installed_in` for (folder, modification time) pairs: cached, because an update asks while the user waits."""
    from packaging.utils import canonicalize_name

    installed: dict[str, str] = {}
    for folder, _ in folders:
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue
        for name in names:
            match = re.fullmatch(r"([^-]+)-([^-]+)(?:-py\d.*)?\.(?:dist|egg)-info", name)
            if match:
                installed.setdefault(canonicalize_name(match[1]), match[2])
    return installed


def _version_and_path(python: str) -> tuple[str, list[str]]:
    # Not realpath: a virtual environment's python is a link to its base, which has other packages.
    if os.path.abspath(python) == os.path.abspath(sys.executable):
        return "{}.{}.{}".format(*sys.version_info[:3]), [entry for entry in sys.path if Path(entry).is_absolute()]
    try:
        done = subprocess.run(
            [python, "-c", SHOW_PATH],
            capture_output=True,
            text=True,
            timeout=30,
            stdin=subprocess.DEVNULL,
            # From 3.13 on, `-c` imports modules before it runs anything; interpreters before 3.11 do not know `-P`.
            env={**os.environ, "PYTHONSAFEPATH": "1"},
        )
        version, path = json.loads(done.stdout.splitlines()[-1])
    except OSError as error:
        raise _does_not_start(python, str(error)) from None
    except subprocess.TimeoutExpired:
        raise _does_not_start(python, "no answer within 30 seconds") from None
    except (ValueError, IndexError):
        raise _does_not_start(python, (done.stderr.strip().splitlines() or ["no answer"])[-1]) from None
    return version, path


def _does_not_start(python: str, why: str) -> EnvironmentBuildError:
    return EnvironmentBuildError(
        f"the interpreter {python} does not start",
        why=why,
        hint="give the path of a working Python, or leave the environment out to use the kernel's",
        code="PythonNotFound",
    )


def _check_server_requirements(python: str, installed: dict[str, str]) -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    missing: list[str] = []
    for text in server_requirements():
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        version = installed.get(canonicalize_name(requirement.name))
        if version is None:
            missing.append(f"{requirement.name} (missing)")
        elif not requirement.specifier.contains(version, prereleases=True):
            missing.append(f"{requirement.name} {version} (needs {requirement.specifier})")
    if missing:
        wanted = " ".join(f'"{Requirement(text).name}{Requirement(text).specifier}"' for text in server_requirements())
        raise EnvironmentBuildError(
            "the interpreter lacks what the scoring server needs",
            why=f"in {python}: {', '.join(missing)}",
            hint=f"{python} -m pip install {wanted}",
            code="ServerRequirementsMissing",
        )
