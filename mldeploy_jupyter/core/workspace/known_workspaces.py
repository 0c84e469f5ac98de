"""The list of a user's workspaces: the folders `.mldeploy/` that this user has created or written to."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from mldeploy_jupyter.core.files import file_lock, make_private_dir, write_json

HOME_VARIABLE = "MLDEPLOY_HOME"  # names the folder that the list is in


def index_path(environ: Mapping[str, str] = os.environ) -> Path:
    """The file with this user's list."""
    if environ.get(HOME_VARIABLE):
        return Path(environ[HOME_VARIABLE]).expanduser().absolute() / "workspaces.json"
    import platformdirs

    return Path(platformdirs.user_data_dir("mldeploy")) / "workspaces.json"


def remember_root(root: Path, *, index: Path | None = None) -> None:
    """Adds the folder to the list. An error of writing the list is ignored."""
    _change(index or index_path(), add=str(root))


def drop_missing_roots(*, index: Path | None = None) -> None:
    """Removes the folders that are no longer workspaces from the list."""
    _change(index or index_path())


def list_roots(*, index: Path | None = None) -> list[Path]:
    """The folders by path. Those that are no longer workspaces are left out and removed from the list."""
    path = index or index_path()
    roots = _read(path)
    existing = [root for root in roots if _is_workspace(root)]
    if existing != roots:
        _change(path)
    return [Path(root) for root in existing]


def _change(path: Path, add: str | None = None) -> None:
    """Adds one folder to the list, and removes those that are no longer workspaces."""
    if add is not None and add in _read(path):
        return
    try:
        make_private_dir(path.parent)
        with file_lock(path.with_suffix(".lock")):
            roots = {root for root in _read(path) if _is_workspace(root)}
            write_json(path, sorted(roots | ({add} if add else set())))
    except OSError:
        pass  # such as a read-only home: the workspace is found from its own folder anyway


def _is_workspace(root: str) -> bool:
    return os.path.isfile(Path(root) / "config.json")  # never raises, also where only others may look


def _read(path: Path) -> list[str]:
    try:
        roots = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return []
    return sorted(root for root in roots if isinstance(root, str)) if isinstance(roots, list) else []
