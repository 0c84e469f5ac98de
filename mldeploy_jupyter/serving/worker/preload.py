"""What this process had imported before it was forked, and which modules are worth importing before a fork."""

from __future__ import annotations

import itertools
import os
import site
import sys
import sysconfig
from importlib.machinery import PathFinder
from typing import Any

# In a forked process: the top-level modules that the script would have had to import itself, each with its file, and
# the module that was imported last. A look at every module would write to (its reference count), and so copy, pages
# that are shared with the other processes: some 6 MB.
TOPS: dict[str, str] = {}

_last = ""

_own_tops: set[str] = set()

_own: list[Any] = []  # the server's packages


def settle(base: set[str], package: str) -> None:
    """Notes what is loaded, before a fork. `base` is what the server has loaded for itself."""
    global _last
    if not _last:
        _own_tops.update(name.partition(".")[0] for name in base)
    for name in newer_than(_last):
        top = name.partition(".")[0]
        if top not in _own_tops and top not in TOPS:
            TOPS[top] = getattr(sys.modules.get(top), "__file__", None) or ""
        if f"{name}.".startswith(f"{package}.") and hasattr(sys.modules.get(name), "__path__"):
            _own.append(sys.modules[name])
    _last = next(reversed(sys.modules))


def newer_than(last: str) -> list[str]:
    """The modules that were imported after `last`, in their order; all where `last` is none.

    Only these are touched: what is looked at is written to, and no longer shared with the processes forked before.
    """
    while True:
        try:
            return list(itertools.takewhile(lambda name: name != last, reversed(sys.modules)))[::-1]
        except RuntimeError:  # another thread imports something just now
            continue


def before() -> set[str]:
    """What is imported now, for a later `since`. Nothing in a forked process, which knows it."""
    return set() if _last else set(sys.modules)


def since(earlier: set[str]) -> list[str]:
    """The modules that were imported since `before` gave `earlier`, in a forked process since the fork."""
    if not _last:
        return [name for name in list(sys.modules) if name not in earlier]
    # What the server imports late is not the script's.
    return [name for name in newer_than(_last) if name.partition(".")[0] not in _own_tops]


def move(old: str, new: str) -> None:
    """The server's own packages are found in `new`, where the same files are: `old` may go."""
    if old == new or not old:
        return
    sys.path[:] = [new if entry == old else entry for entry in sys.path]
    for module in _own:
        module.__path__ = [new + entry[len(old) :] if entry.startswith(old) else entry for entry in module.__path__]


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


def new_libraries(earlier: set[str]) -> list[str]:
    """Full names of the modules of installed packages that were imported since `before`, in their order."""
    folders = library_folders()
    known: dict[str, bool] = {}
    found = []
    for name in since(earlier):
        top = name.partition(".")[0]
        spec = getattr(sys.modules.get(name), "__spec__", None)
        if spec is None or spec.name != name:
            continue
        if top not in known:
            known[top] = is_library(top, folders)
        if known[top]:
            found.append(name)
    return found


class Files:
    """The files of the loaded modules as they were when these were imported.

    Kept in places of their own: a look at the modules' own strings would copy the pages that the workers share.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[int, int] | None] = {}
        self._last = ""
        self._stdlib = os.path.join(os.path.dirname(os.__file__), "")
        self._site = tuple(folder for folder in library_folders() if folder != self._stdlib)

    def note(self) -> None:
        """Adds what was imported since it was called before."""
        for name in newer_than(self._last):
            path = getattr(sys.modules.get(name), "__file__", None)
            if isinstance(path, str) and not self._is_stdlib(path):
                place = os.fsencode(path)
                if place not in self._known:
                    self._known[place] = _identity(place)
        self._last = next(reversed(sys.modules))

    def changed(self) -> str:
        """The first file that is not any more what was imported; empty when none is."""
        found = (os.fsdecode(place) for place, known in self._known.items() if _identity(place) != known)
        return next(found, "")

    def _is_stdlib(self, path: str) -> bool:
        return path.startswith(self._stdlib) and not path.startswith(self._site)


def _identity(path: bytes) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
