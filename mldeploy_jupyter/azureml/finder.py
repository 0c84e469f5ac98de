"""Makes the v1 modules of `names.MODULES` importable. A name is loaded when it is first used.

Every module is a package with an empty path. Therefore `from azureml.core import Unknown` makes Python look for a
submodule of that name, and `MigrationFinder.find_spec` raises the error that lists the known names.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from mldeploy_jupyter.azureml.v1_modules import MODULES
from mldeploy_jupyter.core.errors import UserErrorException

PAGE = "docs/migrating.md"
ROOT = "azureml"


class NameNotProvided(UserErrorException, ImportError):
    """An import of something below `azureml.core` that `migrate()` does not provide."""

    code = "NameNotProvided"


class AttributeNotProvided(UserErrorException, AttributeError):
    """The same for the attribute `azureml.core.name`; an `AttributeError`, so that `hasattr` returns False."""

    code = "NameNotProvided"


class V1Module(ModuleType):
    """A v1 module whose names come from this package. Raises `AttributeNotProvided` for names it does not have."""

    def __getattr__(self, name: str) -> Any:
        module = self.__name__
        home = MODULES.get(module, {}).get(name)
        if home is not None:
            origin, _, attribute = home.partition(":")
            value = getattr(import_module(origin), attribute)
        elif f"{module}.{name}" in MODULES:
            value = import_module(f"{module}.{name}")
        elif name.startswith("_"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        else:
            what, why = _describe_missing(module, name)
            raise AttributeNotProvided(what, why=why, hint=_suggest(module, name))
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *MODULES.get(self.__name__, {})})


class MigrationFinder(MetaPathFinder, Loader):
    """The first entry of `sys.meta_path`, for the modules of `names.MODULES` only.

    `find_spec` raises `NameNotProvided` for any other module directly below one of them.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == ROOT:
            # An installed azureml package keeps the root, so that its other modules can still be imported.
            return None if self._is_installed() else ModuleSpec(ROOT, self, is_package=True)
        if fullname in MODULES:
            return ModuleSpec(fullname, self, origin="mldeploy_jupyter.migrate()", is_package=True)
        parent, _, name = fullname.rpartition(".")
        if parent in MODULES:
            what, why = _describe_missing(parent, name)
            raise NameNotProvided(what, why=why, hint=_suggest(parent, name))
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return V1Module(spec.name, "Names of Azure ML SDK v1, answered by mldeploy_jupyter.migrate().")

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__all__"] = sorted(name for name in MODULES.get(module.__name__, {}) if name[0] != "_")

    def _is_installed(self) -> bool:
        others = (finder for finder in sys.meta_path if finder is not self)
        return any(finder.find_spec(ROOT, None) is not None for finder in others)


def _describe_missing(module: str, name: str) -> tuple[str, str]:
    known = ", ".join(name for name in sorted(MODULES[module]) if name[0] != "_")
    return f"{module} has no {name}", f"migrate() provides a part of SDK v1; {module} has: {known}"


def _suggest(module: str, name: str) -> str:
    hint = f"{PAGE} lists every v1 call and ours; migrate(undo=True) gives the installed azureml back"
    elsewhere = sorted(other for other, names in MODULES.items() if name in names)
    if elsewhere:
        return f"write `from {elsewhere[0]} import {name}`; {hint}"
    below = [other.rpartition(".")[2] for other in MODULES if other.rpartition(".")[0] == module]
    near = get_close_matches(name, [*MODULES[module], *below], n=1)
    return f"did you mean {near[0]}? {hint}" if near else hint
