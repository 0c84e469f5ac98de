"""Finds a user's module that a service lacks: where the kernel has it, or in folders around the script."""

from __future__ import annotations

import importlib.machinery
import os
import pkgutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

FOLDERS_ABOVE = 4  # of the script, at most, that are searched

FOLDERS_BESIDE = 200  # in one folder, at most, that are searched


def find_local_module(name: str, script: str) -> Path | None:
    """The file, or the package's folder, that provides the top-level module `name`; None if it is not the user's own.

    `script` is the file that the user edits; "" means that it is not known, and only this process is asked. Searched
    are this process's modules and `sys.path` without installed packages, the current folder, and the folders beside
    and above the script. Only looks at files: imports nothing.
    """
    top = name.partition(".")[0]
    if not top.isidentifier():
        return None
    loaded = getattr(sys.modules.get(top), "__file__", None)
    if loaded and not _is_installed(Path(loaded)):
        path = Path(loaded)
        return path.parent if path.name == "__init__.py" else path
    for folder in _folders(script):
        found = _module_in(folder, top)
        if found is not None and str(found) != script and not _is_installed(found):
            return found
    return None


def list_submodules(package: str) -> list[str]:
    """The modules inside a package, by name, as this Python has it. Only looks at files: imports nothing."""
    try:
        top = importlib.machinery.PathFinder.find_spec(package.partition(".")[0])
    except (ImportError, ValueError):
        return []
    if top is None or top.submodule_search_locations is None:
        return []
    inner = package.split(".")[1:]
    return [
        found.name
        for found in pkgutil.iter_modules([os.path.join(at, *inner) for at in top.submodule_search_locations])
    ]


def _folders(script: str) -> Iterator[Path]:
    """The folders to look in, the likeliest first."""
    if not script:
        return
    for entry in dict.fromkeys(["", *sys.path]):
        folder = Path(entry or os.getcwd()).absolute()
        if folder.is_dir() and not _is_installed(folder):
            yield folder
    home = Path(script).parent
    above = [home, *list(home.parents)[:FOLDERS_ABOVE]]
    above = [folder for folder in above if folder != Path(folder.anchor)]
    yield from above
    for folder in above[:2]:  # such as lib/ beside notebooks/
        try:
            children = sorted(entry.path for entry in os.scandir(folder) if entry.is_dir())
        except OSError:
            continue
        yield from (Path(child) for child in children[:FOLDERS_BESIDE] if not Path(child).name.startswith("."))


def _module_in(folder: Path, name: str) -> Path | None:
    try:
        if (folder / f"{name}.py").is_file():
            return folder / f"{name}.py"
        package = folder / name
        if (package / "__init__.py").is_file() or (package.is_dir() and any(package.glob("*.py"))):
            return package
    except OSError:
        pass
    return None


def _is_installed(path: Path) -> bool:
    """Whether the path belongs to Python, to installed packages, or to this package."""
    if {"site-packages", "dist-packages"} & set(path.parts):
        return True
    roots = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "scripts")} | {
        str(Path(__file__).parents[2])
    }
    return path.suffix == ".zip" or any(path.is_relative_to(root) for root in roots if root)
