"""What this process had imported before it was forked, and which modules are worth importing before a fork."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from importlib.machinery import PathFinder

MODULES: set[str] = set()  # in a forked process: what the script would have had to import itself

# The server answers for these itself (`compat.py`).
_PROVIDED = ("azureml", "inference_schema", "azureml_inference_server_http")


def library_folders() -> tuple[str, ...]:
    """Folders of installed packages and of the standard library. What is elsewhere is somebody's own code."""
    paths = sysconfig.get_paths()
    found = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    found |= {*site.getsitepackages(), site.getusersitepackages(), os.path.dirname(os.__file__)}
    return tuple(sorted(os.path.join(os.path.realpath(path), "") for path in found))


def is_library(name: str, folders: tuple[str, ...]) -> bool:
    """Whether a module (`a.b.c`) belongs to an installed package: it may be imported ahead."""
    top = name.partition(".")[0]
    if top in _PROVIDED or top == "__main__":
        return False
    if top in sys.stdlib_module_names:
        return True
    try:
        spec = PathFinder.find_spec(top)
    except Exception:
        return False
    if spec is None:
        return False
    places = list(spec.submodule_search_locations or ()) or [spec.origin or ""]
    return all(os.path.realpath(place).startswith(folders) for place in places)


def loaded_libraries(base: set[str] | frozenset[str] = frozenset()) -> list[str]:
    """Full names of the loaded modules of installed packages, in the order of their import, without `base`."""
    folders = library_folders()
    known: dict[str, bool] = {}
    found = []
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        spec = getattr(module, "__spec__", None)
        if name in base or spec is None or spec.name != name:
            continue
        if top not in known:
            known[top] = is_library(top, folders)
        if known[top]:
            found.append(name)
    return found


class Files:
    """The files of the loaded modules as they were when these were imported."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int] | None] = {}
        self._stdlib = os.path.join(os.path.dirname(os.__file__), "")
        self._site = tuple(folder for folder in library_folders() if folder != self._stdlib)

    def note(self) -> None:
        for module in list(sys.modules.values()):
            path = getattr(module, "__file__", None)
            if isinstance(path, str) and path not in self._known and not self._is_stdlib(path):
                self._known[path] = _identity(path)

    def changed(self) -> str:
        """The first file that is not any more what was imported; empty when none is."""
        return next((path for path, known in self._known.items() if _identity(path) != known), "")

    def _is_stdlib(self, path: str) -> bool:
        return path.startswith(self._stdlib) and not path.startswith(self._site)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
