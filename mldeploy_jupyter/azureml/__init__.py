"""Runs notebooks of the Azure ML SDK v1: after `migrate()`, `azureml.core` and `azureml.exceptions` are this package.

`docs/migrating.md` lists every v1 call, ours, and the differences. In a notebook `%load_ext mldeploy_jupyter.azureml`
migrates and loads the magics. Imports only `core` and the names that it shares with `serving/azureml`; `api` and
`notebook` are imported on use.
"""

from __future__ import annotations

import sys
from typing import Any

from mldeploy_jupyter.azureml.finder import PAGE, ROOT, AbsentFinder, MigrationFinder, V1Module
from mldeploy_jupyter.azureml.v1_modules import MODULES
from mldeploy_jupyter.core import migration
from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.serving.azureml.sklearn_joblib import JoblibFinder

__all__ = ["MigrationTooLate", "migrate"]

_LOADED = "_mldeploy_loaded_by_migration"  # attribute of the shell: True when this extension loaded the magics


class MigrationTooLate(UserErrorException):
    """The installed azureml-core was imported before `migrate()`."""

    code = "MigrationTooLate"


def migrate(undo: bool = False, quiet: bool = False, *, local: bool | None = None, python: str | None = None) -> None:
    """Makes imports of `azureml.core` and `azureml.exceptions` resolve to this package.

    Other installed azureml packages can still be imported, without azureml-core; of those that are not installed the
    names can be imported, not used. `sklearn.externals.joblib` is joblib. A name is loaded when it is first used. As in
    v1, local services that are then deployed ask for no key unless their configuration says so.

    `local=True`: ACI and AKS configurations deploy to this machine, and compute targets are stand-ins, so that a whole
    notebook can be tried without a cloud. `python="kernel"`: where an environment asks for a Python that is too old, or
    is one of Azure's curated ones, the kernel's is used. A further call changes only the options that it passes.

    `undo=True` restores the imports and takes the options back; objects that were imported before keep working. Prints
    one line unless `quiet`. Raises `MigrationTooLate` when the installed azureml-core is already imported,
    `UserErrorException` for another value of `local` or `python`.
    """
    if undo:
        text = _remove_finder()
        migration.end()
    else:
        chosen = _choose_options(local, python)
        text = _install_finder(_describe(chosen))
        migration.begin(chosen)
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


def _choose_options(local: bool | None, python: str | None) -> migration.Migration:
    """The options of this call, and of earlier calls where it passes none. Raises `UserErrorException`."""
    if local not in (None, True, False):
        raise UserErrorException(f"local is {local!r}", why="it is True or False", hint="call migrate(local=True)")
    if python not in (None, "kernel"):
        raise UserErrorException(
            f"python is {python!r}",
            why="migrate() can only take the kernel's Python instead of one that is too old",
            hint='call migrate(python="kernel"), or change the environment',
        )
    before = migration.current() or migration.Migration()
    return migration.Migration(
        before.local if local is None else bool(local), before.kernel_python or python is not None
    )


def _describe(chosen: migration.Migration) -> str:
    local = " ACI and AKS configurations deploy to this machine; compute targets are stand-ins."
    python = " The kernel's Python is used where an environment asks for one that is too old."
    return (local if chosen.local else "") + (python if chosen.kernel_python else "")


def _install_finder(options: str) -> str:
    if _find_finder() is not None:
        return f"migrate(): azureml imports already resolve to mldeploy-jupyter.{options}"
    _refuse_late_migration()
    sys.meta_path.insert(0, MigrationFinder())
    sys.meta_path += [AbsentFinder(), JoblibFinder()]
    return (
        "migrate(): imports of azureml.core and azureml.exceptions now resolve to mldeploy-jupyter"
        f"{_installed_note()}.{options} What is different: {PAGE}"
    )


def _remove_finder() -> str:
    if _find_finder() is None:
        return "migrate(undo=True): nothing to take back."
    ours = (MigrationFinder, AbsentFinder, JoblibFinder)
    sys.meta_path[:] = [one for one in sys.meta_path if not isinstance(one, ours)]
    for name, module in list(sys.modules.items()):
        if isinstance(module, V1Module):
            del sys.modules[name]
            parent, _, child = name.rpartition(".")
            # An installed azureml package stays, without the v1 modules set as its attributes.
            vars(sys.modules.get(parent, module)).pop(child, None)
    JoblibFinder.forget()
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
