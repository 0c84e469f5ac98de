"""Errors of the grammar itself. Each has an exit code of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.errors import MldeployError, UserErrorException


class UsageError(UserErrorException):
    """An unknown command, option or value. Exit code 2."""

    code = "Usage"


class WaitInterrupted(MldeployError):
    """The user interrupted a wait; the deployment continues. `value` is the service. Exit code 130."""

    code = "Interrupted"

    def __init__(self, what: str, *, why: str, hint: str, value: Any = None) -> None:
        super().__init__(what, why=why, hint=hint)
        self.value = value


class BudgetMissed(MldeployError):
    """A latency is above its limit. Exit code 1."""

    code = "BudgetMissed"


class RunInvalid(MldeployError):
    """A latency run from which nothing can be concluded. Exit code 3."""

    code = "LatencyRunInvalid"


@contextmanager
def explain_damaged_files() -> Iterator[None]:
    """Raises `StorageError` for an `OSError` of the block that names a file of the workspace, or of the user's folders.

    The user needs the file's name and the next step, not a traceback.
    """
    try:
        yield
    except OSError as error:
        from mldeploy_jupyter.core.storage_errors import explain_unusable

        explained = explain_unusable(error, _our_places(error))
        if explained is None:
            raise
        raise explained from error


def _our_places(error: OSError) -> list[Path]:
    """The workspace's folder that the error's file is in, if it is in one, and the user's folders."""
    from mldeploy_jupyter.core.workspace.folder import FOLDER
    from mldeploy_jupyter.core.workspace.known_workspaces import index_path
    from mldeploy_jupyter.environments.cache import cache_root

    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    path = Path(os.path.abspath(name))
    workspaces = [folder for folder in (path, *path.parents) if folder.name == FOLDER]
    return [*workspaces, index_path().parent, cache_root()]
