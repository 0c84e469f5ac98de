"""Notebooks of Azure ML SDK v1 run here: after `migrate()`, `from azureml.core import Workspace` gives ours.

`docs/migrating.md` lists every v1 call, ours, and what is different. In a notebook
`%load_ext mldeploy_jupyter.azureml` does the same and loads the magics.
"""

from __future__ import annotations

import sys
from typing import Any

from mldeploy_jupyter.azureml.finder import PAGE, ROOT, MigrationFinder, V1Module
from mldeploy_jupyter.azureml.names import MODULES
from mldeploy_jupyter.core.errors import UserErrorException

__all__ = ["MigrationTooLate", "migrate"]


class MigrationTooLate(UserErrorException):
    """The installed azureml-core was imported before `migrate()`."""

    code = "MigrationTooLate"


def migrate(undo: bool = False, quiet: bool = False) -> None:
    """Makes imports of `azureml.core` and `azureml.exceptions` resolve to this package.

    Other azureml packages go on importing where they are installed and do not need azureml-core. Nothing is
    loaded until it is used. A second call changes nothing. `undo` takes it back; objects that were imported
    before keep working. Prints one line unless `quiet`.

    Raises `MigrationTooLate` when the installed azureml-core is already imported.
    """
    text = _take_back() if undo else _put_in_place()
    if not quiet:
        print(text)


def load_ipython_extension(ipython: Any) -> None:
    """`%load_ext mldeploy_jupyter.azureml`: calls `migrate()` and loads the magics, where they are not loaded yet."""
    from mldeploy_jupyter.notebook import extension

    migrate()
    if not extension.is_loaded(ipython):
        extension.load(ipython)
        setattr(ipython, _LOADED, True)


def unload_ipython_extension(ipython: Any) -> None:
    """Takes back what loading did; magics that were there before stay."""
    from mldeploy_jupyter.notebook import extension

    migrate(undo=True)
    if getattr(ipython, _LOADED, False):
        extension.unload(ipython)
        setattr(ipython, _LOADED, False)


_LOADED = "_mldeploy_loaded_by_migration"  # the attribute of the shell that says who loaded the magics


def _put_in_place() -> str:
    if _finder() is not None:
        return "migrate(): azureml imports already resolve to mldeploy-jupyter."
    _refuse_when_imported()
    sys.meta_path.insert(0, MigrationFinder())
    return (
        "migrate(): imports of azureml.core and azureml.exceptions now resolve to mldeploy-jupyter"
        f"{_installed()}. What is different: {PAGE}"
    )


def _take_back() -> str:
    finder = _finder()
    if finder is None:
        return "migrate(undo=True): nothing to take back."
    sys.meta_path.remove(finder)
    for name, module in list(sys.modules.items()):
        if isinstance(module, V1Module):
            del sys.modules[name]
            parent, _, child = name.rpartition(".")
            # An installed azureml package stays; only what hangs on it goes.
            vars(sys.modules.get(parent, module)).pop(child, None)
    return "migrate(undo=True): azureml imports no longer resolve to mldeploy-jupyter."


def _finder() -> MigrationFinder | None:
    return next((finder for finder in sys.meta_path if isinstance(finder, MigrationFinder)), None)


def _refuse_when_imported() -> None:
    for name in MODULES:
        module = sys.modules.get(name)
        if module is not None and not isinstance(module, V1Module):
            raise MigrationTooLate(
                f"{name} is already imported from the installed azureml-core",
                why="its objects and ours cannot be mixed in one process",
                hint="restart the kernel and call mldeploy_jupyter.migrate() before the first azureml import",
                where=str(getattr(module, "__file__", None) or ""),
            )


def _installed() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f" (the installed {ROOT}-core {version(f'{ROOT}-core')} is not used)"
    except PackageNotFoundError:
        return ""
