"""The text of a lock: a header with Python and platform, conda packages as comments, then pip's pins with hashes.

It is a requirements file, so uv can install from it as it is. It names no index and no path of a machine.
"""

from __future__ import annotations

import platform
import re
import sysconfig
from typing import TYPE_CHECKING, NamedTuple

from mldeploy_jupyter.core.errors import EnvironmentBuildError

if TYPE_CHECKING:
    from rattler import RepoDataRecord

FORMAT = "# mldeploy environment lock 1"


class CondaPin(NamedTuple):
    """A conda package in a lock. `sha256` is hexadecimal, or "none"."""

    name: str
    version: str
    build: str
    subdir: str
    sha256: str


def lock_header(python_version: str) -> str:
    """The first lines of a lock: the Python and the platform that its pins are for."""
    libc = platform.libc_ver()[0] or "libc"
    return f"{FORMAT}\n# python {python_version}\n# platform {sysconfig.get_platform()} {libc}\n"


BASE_PACKAGES = "# packages of the base image\n"  # below the header of a lock that adds to these


def locked_python(text: str) -> str:
    """The Python version in a lock's header. Raises `EnvironmentBuildError` when the text is not a lock."""
    found = re.search(r"^# python (\d+\.\d+\.\d+)$", text, re.MULTILINE)
    if not text.startswith(FORMAT) or found is None:
        raise EnvironmentBuildError(
            "the environment's lock cannot be read",
            why=f"it does not start with {FORMAT!r} and a Python version",
            hint="deploy again from the InferenceConfig, so that a new lock is made",
        )
    return found[1]


def conda_lines(records: list[RepoDataRecord]) -> str:
    """The lines of a lock for conda packages. A channel's address may hold a token, so it is left out."""
    lines = [
        f"# conda {r.name.normalized}={r.version}={r.build} {r.subdir} sha256:{r.sha256.hex() if r.sha256 else 'none'}"
        for r in records
    ]
    return "".join(f"{line}\n" for line in sorted(lines))


def conda_pins(text: str) -> list[CondaPin]:
    """The conda packages of a lock."""
    found = re.findall(r"^# conda (\S+)=(\S+)=(\S+) (\S+) sha256:(\S+)$", text, re.MULTILINE)
    return [CondaPin(*groups) for groups in found]


def pip_names(text: str) -> list[str]:
    """The canonical names of the PyPI packages that a lock pins."""
    return [requirement_name(line) for line in text.splitlines() if line and not line.startswith((" ", "#"))]


def requirement_name(requirement: str) -> str:
    """The canonical name of the package that a requirement, or a line of a lock, asks for."""
    from packaging.utils import canonicalize_name

    return canonicalize_name(re.split(r"[\s=<>!~\[;@(]", requirement.strip(), maxsplit=1)[0])
