"""Says whose a folder is that this user may not look into: without that, a workspace in it seems not to be there."""

from __future__ import annotations

import os
from pathlib import Path

from mldeploy_jupyter.core.errors import WorkspaceError


def check_searchable(root: Path) -> None:
    """Raises `WorkspaceError` when only its owner can tell whether a workspace is in `root`, a `.mldeploy`."""
    try:
        os.stat(root / "config.json")
    except PermissionError:
        raise unreadable(root) from None
    except (OSError, ValueError):
        return


def unreadable(path: Path) -> WorkspaceError:
    """The error about a workspace's folder, or a file in it, that this user may not read."""
    closed = next((each for each in reversed([path, *path.parents]) if not _is_open(each)), path)
    try:
        uid = closed.stat().st_uid
    except OSError:
        uid = -1
    if uid == os.geteuid():
        what, hint = f"the workspace cannot be read: {path}", f"give yourself the right: chmod u+rwX {closed}"
    else:
        what = f"the workspace cannot be read: {path} belongs to another user, {owner_name(uid)}"
        hint = (
            "use a workspace of your own; to share models and services, keep them in a store for a team: "
            "docs/guides/team-store.md"
        )
    return WorkspaceError(what, why=f"permission denied for {closed}", hint=hint)


def owner_name(uid: int) -> str:
    """The user's name, or the number where it has none."""
    try:
        import pwd

        return pwd.getpwuid(uid).pw_name
    except (ImportError, KeyError, OverflowError):
        return str(uid)


def _is_open(path: Path) -> bool:
    """Whether this user may list the folder, or read the file. True for a path that does not exist."""
    if not os.path.exists(path):  # False, too, below a folder that is closed
        return True
    mode = os.X_OK if os.path.isdir(path) else os.R_OK
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)
