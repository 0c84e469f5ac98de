"""The list of a user's workspaces: the folders `.mldeploy/` that this user has created or written to."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from mldeploy_jupyter.core.files import WORKSPACE_FOLDER, file_lock, make_private_dir, write_json

HOME_VARIABLE = "MLDEPLOY_HOME"  # names the folder that the list is in


def index_path(environ: Mapping[str, str] = os.environ) -> Path:
    """The file with this user's list."""
    if environ.get(HOME_VARIABLE):
        return Path(environ[HOME_VARIABLE]).expanduser().absolute() / "workspaces.json"
    import platformdirs

    return Path(platformdirs.user_data_dir("mldeploy")) / "workspaces.json"


def find_damaged_index(*, index: Path | None = None) -> Path | None:
    """The list when it cannot be read, or the damaged one that was put aside: it may have named other workspaces."""
    path = index or index_path()
    aside = _aside(path)
    if aside.exists():
        return aside
    return path if _is_damaged(path) else None


def remember_root(root: Path, *, index: Path | None = None) -> None:
    """Adds the folder to the list. An error of writing the list is ignored."""
    path = index or index_path()
    if str(root) not in _read(path):
        _change(path, add={str(root)})


def drop_missing_roots(*, index: Path | None = None) -> None:
    """Removes the folders that are no longer workspaces from the list."""
    _change(index or index_path())


def list_roots(*, index: Path | None = None) -> list[Path]:
    """The folders by path. Those that are no longer workspaces are left out and removed from the list.

    One that was moved takes its place again while a service of it runs as a process.
    """
    path = index or index_path()
    roots = _read(path)
    existing = {root for root in roots if _is_workspace(root)}
    if len(existing) != len(roots):
        moved = _find_served_roots()
        _change(path, add=moved)
        existing |= moved
    return [Path(root) for root in sorted(existing)]


def _find_served_roots(proc: Path = Path("/proc")) -> set[str]:
    """Workspaces of which a service of this user runs: a supervisor's working directory stays right after a move.

    Those of another list, which `MLDEPLOY_HOME` names, are left out.
    """
    home = os.environ.get(HOME_VARIABLE, "")
    found = set()
    with suppress(OSError):  # no Linux
        for process in proc.iterdir():
            with suppress(OSError):  # it ended, or is another user's
                root, marker, _ = os.readlink(process / "cwd").rpartition(f"/{WORKSPACE_FOLDER}/services/")
                if (
                    marker
                    and process.stat().st_uid == os.geteuid()
                    and _environ(process).get(HOME_VARIABLE, "") == home
                ):
                    found.add(f"{root}/{WORKSPACE_FOLDER}")
    return {root for root in found if _is_workspace(root)}


def _environ(process: Path) -> dict[str, str]:
    """The variables that a process was started with, by its folder of `/proc`."""
    entries = os.fsdecode((process / "environ").read_bytes()).split("\0")
    return {name: value for name, _, value in (entry.partition("=") for entry in entries)}


def _change(path: Path, add: Collection[str] = ()) -> None:
    """Adds folders to the list, and removes those that are no longer workspaces."""
    try:
        make_private_dir(path.parent)
        with file_lock(path.with_suffix(".lock")):
            if _is_damaged(path):
                path.replace(_aside(path))
            roots = {root for root in _read(path) if _is_workspace(root)}
            write_json(path, sorted(roots.union(add)))
    except OSError:
        pass  # such as a read-only home: the workspace is found from its own folder anyway


def _is_workspace(root: str) -> bool:
    # Also one whose settings were lost: it stays known. `isfile` never raises, also where only others may look.
    return any(os.path.isfile(Path(root) / name) for name in ("config.json", "store.db"))


def _read(path: Path) -> list[str]:
    """The folders in the list; those that can be read of a damaged one."""
    try:
        roots = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return []
    return sorted(root for root in roots if _is_path(root)) if isinstance(roots, list) else []


def _is_damaged(path: Path) -> bool:
    """Whether there is a list, and it is not a list of paths."""
    try:
        roots = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError):
        return True
    except OSError:
        return False
    return not isinstance(roots, list) or not all(map(_is_path, roots))


def _is_path(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.damaged")
