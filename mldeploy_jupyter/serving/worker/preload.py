"""What a forked worker's zygote had imported, and which modules are worth importing before a fork.

Looking at every module would copy some 6 MB that are shared with other processes (`system/imports.py`): only modules
that are new since the last check are touched.
"""

from __future__ import annotations

import itertools
import os
import site
import sys
import sysconfig
from importlib.machinery import PathFinder
from typing import Any

from ..system.imports import imported_after

# In a forked process: the file of each top-level module that the script would otherwise have had to import itself.
imported_tops: dict[str, str] = {}

_last = ""  # the module imported last before the fork; empty in a process that was not forked

_server_tops: set[str] = set()  # top-level modules that the server imports for itself

_server_packages: list[Any] = []


def record_imports(server_modules: set[str], package: str) -> None:
    """Records what is imported, before a fork. `server_modules` are the server's own needs, `package` is its name."""
    global _last
    if not _last:
        _server_tops.update(name.partition(".")[0] for name in server_modules)
    for name in imported_after(_last):
        top = name.partition(".")[0]
        if top not in _server_tops and top not in imported_tops:
            imported_tops[top] = _origin(top)
        if f"{name}.".startswith(f"{package}.") and hasattr(sys.modules.get(name), "__path__"):
            _server_packages.append(sys.modules[name])
    _last = next(reversed(sys.modules))


def snapshot() -> set[str]:
    """The modules imported so far, for a later `imported_since`. Empty in a forked process, which recorded them."""
    return set() if _last else set(sys.modules)


def imported_since(earlier: set[str]) -> list[str]:
    """The modules imported since `snapshot` returned `earlier`; in a forked process, since the fork."""
    if not _last:
        return [name for name in list(sys.modules) if name not in earlier]
    # Late imports of the server's own are not the script's.
    return [name for name in imported_after(_last) if name.partition(".")[0] not in _server_tops]


def relocate_server(old: str, new: str) -> None:
    """Makes the server's packages load from the folder `new`, which has the same files as `old`: `old` may go."""
    if old == new or not old:
        return
    sys.path[:] = [new if entry == old else entry for entry in sys.path]
    for module in _server_packages:
        module.__path__ = [new + entry[len(old) :] if entry.startswith(old) else entry for entry in module.__path__]


# The server provides these itself (`azureml/import_hook.py`).
_PROVIDED = ("azureml", "inference_schema", "azureml_inference_server_http")


def library_folders() -> tuple[str, ...]:
    """The folders of installed packages and of the standard library. Modules elsewhere are the user's own code."""
    paths = sysconfig.get_paths()
    found = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    found |= {*site.getsitepackages(), site.getusersitepackages(), os.path.dirname(os.__file__)}
    return tuple(sorted(os.path.join(os.path.realpath(path), "") for path in found))


def is_library(name: str, folders: tuple[str, ...]) -> bool:
    """Whether the module `name` (`a.b.c`) belongs to an installed package, so that a zygote may import it."""
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
    paths = list(spec.submodule_search_locations or ()) or [spec.origin or ""]
    return all(os.path.realpath(path).startswith(folders) for path in paths)


def with_packages(names: list[str]) -> list[str]:
    """`names`, each once, and before it the packages that it is in: `a` and `a.b` before `a.b.c`."""
    parts = ([name[:end] for end, char in enumerate(f"{name}.") if char == "."] for name in names)
    return list(dict.fromkeys(itertools.chain.from_iterable(parts)))


def libraries_since(earlier: set[str]) -> list[str]:
    """Full names of the modules of installed packages imported since `snapshot`, in order of import."""
    folders = library_folders()
    known: dict[str, bool] = {}
    found = []
    for name in imported_since(earlier):
        top = name.partition(".")[0]
        spec = getattr(sys.modules.get(name), "__spec__", None)
        if spec is None or spec.name != name:
            continue
        if top not in known:
            known[top] = is_library(top, folders)
        if known[top]:
            found.append(name)
    return found


def packages_since(earlier: set[str]) -> dict[str, str]:
    """The top-level modules that the script imported: name -> file (a folder for namespaces, "" for built-in ones)."""
    server = (__package__ or "").partition(".")[0]
    names = {name.partition(".")[0] for name in imported_since(earlier)} | imported_tops.keys()
    names -= {server, "__main__", *_PROVIDED, *sys.stdlib_module_names}
    return {name: imported_tops.get(name) or _origin(name) for name in sorted(names)}


def _origin(name: str) -> str:
    module = sys.modules.get(name)
    try:
        return getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", [])), "")
    except Exception:  # a module may answer anything
        return ""


class ImportedFiles:
    """The files of the imported modules, as they were at the time of import.

    Paths are copied: reading the modules' own strings later would copy pages that the workers share.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[int, int] | None] = {}
        self._new: dict[bytes, None] = {}  # the files that were not looked at yet
        self._last = ""
        self._stdlib = os.path.join(os.path.dirname(os.__file__), "")
        self._site = tuple(folder for folder in library_folders() if folder != self._stdlib)

    def update(self) -> None:
        """Adds the files of what was imported since the last call. `look` is to be called soon."""
        for name in imported_after(self._last):
            file = getattr(sys.modules.get(name), "__file__", None)
            if isinstance(file, str) and not self._is_stdlib(file):
                path = os.fsencode(file)
                if path not in self._known:
                    self._new[path] = None
        self._last = next(reversed(sys.modules))

    def look(self) -> None:
        """Remembers how the added files are: ten thousand may take as long as a fork, which need not wait for it."""
        self._known.update((path, _identity(path)) for path in self._new)
        self._new = {}

    def find_changed(self) -> str:
        """The first file that has changed since its import; empty if none has."""
        self.look()
        changed = (os.fsdecode(path) for path, known in self._known.items() if _identity(path) != known)
        return next(changed, "")

    def _is_stdlib(self, path: str) -> bool:
        return path.startswith(self._stdlib) and not path.startswith(self._site)


def _identity(path: bytes) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
