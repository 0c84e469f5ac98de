"""Runs notebooks of the Azure ML SDK v1: after `migrate()`, `azureml.core` and `azureml.exceptions` are this package.

`docs/migrating.md` lists every v1 call, ours, and the differences. In a notebook `%load_ext mldeploy_jupyter.azureml`
migrates and loads the magics. Imports only `core`; `api` and `notebook` are imported on use.
"""

from __future__ import annotations

import sys
from typing import Any

from mldeploy_jupyter.azureml.finder import PAGE, ROOT, MigrationFinder, V1Module
from mldeploy_jupyter.azureml.v1_modules import MODULES
from mldeploy_jupyter.core.errors import UserErrorException

__all__ = ["MigrationTooLate", "migrate"]

_LOADED = "_mldeploy_loaded_by_migration"  # attribute of the shell: True when this extension loaded the magics


class MigrationTooLate(UserErrorException):
    """The installed azureml-core was imported before `migrate()`."""

    code = "MigrationTooLate"


def migrate(undo: bool = False, quiet: bool = False) -> None:
    """Makes imports of `azureml.core` and `azureml.exceptions` resolve to this package.

    Other installed azureml packages can still be imported, without azureml-core. A name is loaded when it is first
    used. A second call changes nothing. `undo=True` restores the imports; objects that were imported before keep
    working. Prints one line unless `quiet`. Raises `MigrationTooLate` when the installed azureml-core is already
    imported.
    """
    text = _remove_finder() if undo else _install_finder()
    if not quiet:
        print(text)


def load_ipython_extension(ipython: Any) -> None:
    """`%load_ext mldeploy_jupyter.azureml`: calls `migrate()` and loads the magics, unless they are loaded.

    Raises `MigrationTooLate` when the installed azureml-core is already imported.
    """
    from mldeploy_jupyter.notebook import extension

    migrate()
    if not extension.is_loaded(ipython):
        extension.load(ipython)
        setattr(ipython, _LOADED, True)


def unload_ipython_extension(ipython: Any) -> None:
    """Undoes `load_ipython_extension`; magics that were loaded before it stay."""
    from mldeploy_jupyter.notebook import extension

    migrate(undo=True)
    if getattr(ipython, _LOADED, False):
        extension.unload(ipython)
        setattr(ipython, _LOADED, False)


def _install_finder() -> str:
    if _find_finder() is not None:
        return "migrate(): azureml imports already resolve to mldeploy-jupyter."
    _refuse_late_migration()
    sys.meta_path.insert(0, MigrationFinder())
    return (
        "migrate(): imports of azureml.core and azureml.exceptions now resolve to mldeploy-jupyter"
        f"{_installed_note()}. What is different: {PAGE}"
    )


def _remove_finder() -> str:
    finder = _find_finder()
    if finder is None:
        return "migrate(undo=True): nothing to take back."
    sys.meta_path.remove(finder)
    for name, module in list(sys.modules.items()):
        if isinstance(module, V1Module):
            del sys.modules[name]
            parent, _, child = name.rpartition(".")
            # An installed azureml package stays, without the v1 modules set as its attributes.
            vars(sys.modules.get(parent, module)).pop(child, None)
    return "migrate(undo=True): azureml imports no longer resolve to mldeploy-jupyter."


def _find_finder() -> MigrationFinder | None:
    return next((finder for finder in sys.meta_path if isinstance(finder, MigrationFinder)), None)


def _refuse_late_migration() -> None:
    for name in MODULES:
        module = sys.modules.get(name)
        if module is not None and not isinstance(module, V1Module):
            raise MigrationTooLate(
                f"{name} is already imported from the installed azureml-core",
                why="its objects and ours cannot be mixed in one process",
                hint="restart the kernel and call mldeploy_jupyter.migrate() before the first azureml import",
                where=str(getattr(module, "__file__", None) or ""),
            )


def _installed_note() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f" (the installed {ROOT}-core {version(f'{ROOT}-core')} is not used)"
    except PackageNotFoundError:
        return ""
