"""Makes the v1 modules of `v1_modules.MODULES` importable. A name is loaded when it is first used.

Every module is a package with an empty path. Therefore `from azureml.core import Unknown` makes Python look for a
submodule of that name, and `MigrationFinder.find_spec` raises the error that lists the known names.

Packages of v1 that are not offered, such as `azureml.train`, can be imported too where they are not installed
(`AbsentFinder`), so that the import cell of an old notebook runs; a use of their names says why they are not here.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from mldeploy_jupyter.azureml.v1_modules import MODULES
from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.serving.azureml.v1_names import NAMES, NOT_OFFERED, find_not_offered

PAGE = "docs/migrating.md"
ROOT = "azureml"
CONTRIB = "azureml.contrib"  # has modules of `MODULES` and others

_noted: set[str] = set()  # packages whose note was printed: once a process


class NameNotProvided(UserErrorException, ModuleNotFoundError):
    """An import of something below `azureml` that `migrate()` does not provide."""

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
        elif name.startswith("_") or module in (ROOT, CONTRIB):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        else:
            what, why = _describe_missing(module, name)
            raise AttributeNotProvided(what, why=why, hint=_suggest(module, name))
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *MODULES.get(self.__name__, {})})


class AbsentModule(V1Module):
    """A module of a package that is not offered. It has every name, and the use of one raises the reason."""

    def __getattr__(self, name: str) -> Any:
        reason = find_not_offered(self.__name__)
        if name.startswith("_") or reason is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        from mldeploy_jupyter.azureml.retired import make_retired

        value = make_retired(name, self.__name__, reason)
        setattr(self, name, value)
        return value


class MigrationFinder(MetaPathFinder, Loader):
    """The first entry of `sys.meta_path`, for the modules of `v1_modules.MODULES` only.

    `find_spec` raises `NameNotProvided` for any other module directly below one of them.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
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


class AbsentFinder(MetaPathFinder, Loader):
    """The last entry of `sys.meta_path`: what no installed package has.

    The parents of the v1 modules, and the packages that are not offered: of these the first import prints a note.
    `find_spec` raises `NameNotProvided` for any other module below `azureml`.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in (ROOT, CONTRIB):
            return ModuleSpec(fullname, self, is_package=True)
        if fullname.partition(".")[0] != ROOT:
            return None
        if find_not_offered(fullname) is not None:
            return ModuleSpec(fullname, self, origin="mldeploy_jupyter.migrate()", is_package=True)
        raise NameNotProvided(
            f"there is no {fullname}",
            why=f"migrate() provides azureml.core and some packages beside it, and no installed package has {fullname}",
            hint=_suggest(ROOT, fullname.split(".")[1]),
        )

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        if spec.name in (ROOT, CONTRIB):
            return V1Module(spec.name, "The parent of modules of Azure ML SDK v1.")
        return AbsentModule(spec.name, "A module of Azure ML SDK v1 that mldeploy_jupyter does not offer.")

    def exec_module(self, module: ModuleType) -> None:
        reason = find_not_offered(module.__name__) if isinstance(module, AbsentModule) else None
        package = ".".join(module.__name__.split(".")[:2])
        if reason is not None and package not in _noted:
            _noted.add(package)
            print(f"{package} can be imported, not used: {reason.why}. Instead: {reason.hint}")


def _describe_missing(module: str, name: str) -> tuple[str, str]:
    known = ", ".join(name for name in sorted(NAMES[module]) if name[0] != "_") or "modules only"
    return f"{module} has no {name}", f"migrate() provides a part of SDK v1; {module} has: {known}"


def _suggest(module: str, name: str) -> str:
    hint = f"{PAGE} lists every v1 call and ours; migrate(undo=True) gives the installed azureml back"
    elsewhere = sorted(other for other, names in NAMES.items() if name in names)
    if elsewhere:
        return f"write `from {elsewhere[0]} import {name}`; {hint}"
    below = [
        other.rpartition(".")[2]
        for other in [*MODULES, *NOT_OFFERED, "azureml.core"]
        if other.rpartition(".")[0] == module
    ]
    near = get_close_matches(name, [*MODULES.get(module, ()), *below], n=1)
    return f"did you mean {near[0]}? {hint}" if near else hint
