"""`migrate(python="kernel")`: this kernel's Python instead of one that is too old, or of a curated environment."""

from __future__ import annotations

import platform
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from mldeploy_jupyter.core import migration
from mldeploy_jupyter.environments.pythons import is_below_floor

if TYPE_CHECKING:
    from mldeploy_jupyter.core.environment.spec import EnvironmentSpec

_OPTION = 'migrate(python="kernel")'


def replace_old_python(spec: EnvironmentSpec, where: str) -> EnvironmentSpec:
    """The spec without its Python where that is too old and the kernel's was asked for, which is then said once.

    `where` names the file or environment.
    """
    if not migration.uses_kernel_python() or not is_below_floor(spec.python):
        return spec
    kernel = platform.python_version()
    migration.say_once(f"{where}: Python {kernel} of this kernel is used instead of {spec.python} ({_OPTION}).")
    return replace(spec, python=None)


def curated_name(name: str) -> str:
    """A curated environment's name without Azure's prefix; "" for any other environment."""
    found = re.fullmatch(r"(?i)azureml-([a-z0-9].*)", name) if isinstance(name, str) else None
    return found[1] if found else ""


def say_curated(name: str) -> str:
    """The interpreter that stands in for a curated environment, which is said once."""
    migration.say_once(f"{name}: this kernel's Python and packages are used in its place ({_OPTION}).")
    return sys.executable
