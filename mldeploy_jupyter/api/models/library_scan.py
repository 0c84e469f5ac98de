"""Finds the libraries a model file needs. Files are scanned and never loaded, because unpickling runs code."""

from __future__ import annotations

import pickletools
import re
import sys
import zipfile
import zlib
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.environment.distributions import installed_distribution

MAX_BYTES = 64_000_000  # bytes of a file, also after decompression; a larger one is not scanned, to save memory

MAX_OPCODES = 200_000  # opcodes read of one pickle, about half a second: a registration should not take longer

MAX_FILES = 20  # pickles read of one folder

MAX_MODULES = 100  # module names stored in the model's details, to keep the record small

MAX_NAME = 200  # characters of a module's name; a longer one is none

SUFFIXES = frozenset({".pkl", ".pickle", ".joblib", ".sav", ".model", ".pt", ".pth", ".bin"})

_NOT_LIBRARIES = sys.stdlib_module_names | {"__main__"}

# Libraries that write their version into their pickles: the key, then the opcode of the string with its length.
VERSION_KEYS = {"sklearn": re.compile(rb"_sklearn_version\x94?(?:q.)?(?:\x8c(.)|X(.)\x00\x00\x00)", re.DOTALL)}


def scan_libraries(paths: Iterable[Path]) -> dict[str, Any]:
    """`{"python": "3.11", "libraries": {"scikit-learn": "1.9.1", ...}, "modules": [...]}` for the pickles in `paths`.

    A version is the one in the file, or else the one installed here. `modules` are those of the pickled classes, which
    loading the file imports. Empty when no file is a readable pickle: the result helps to diagnose a service, and a
    model is registered without it.
    """
    tops: dict[str, str] = {}
    modules: dict[str, None] = {}
    for path in islice((path for path in paths if path.suffix.lower() in SUFFIXES), MAX_FILES):
        try:
            if path.stat().st_size <= MAX_BYTES:
                content = _read_pickle(path)
                found = _list_modules(content)
                modules |= found
                tops |= _find_versions(content, {name.partition(".")[0] for name in found})
        except (OSError, zipfile.BadZipFile, zlib.error):
            continue
    if not modules:
        return {}
    libraries = {}
    owners = cache(metadata.packages_distributions)
    for module, version in sorted(tops.items()):
        distribution, installed = installed_distribution(module, owners)
        if version or installed:
            libraries[distribution] = version or installed
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return {"python": python, "libraries": libraries, "modules": list(modules)[:MAX_MODULES]}


def _read_pickle(path: Path) -> bytes:
    """The pickle in the file, decompressed; empty when a zip file has none."""
    if not zipfile.is_zipfile(path):
        content = path.read_bytes()
        if not content.startswith((b"x\x01", b"x\x5e", b"x\x9c", b"x\xda", b"\x1f\x8b")):
            return content
        return zlib.decompressobj(wbits=47).decompress(content, MAX_BYTES)  # a file of joblib.dump(..., compress=...)
    with zipfile.ZipFile(path) as archive:  # PyTorch's format
        for info in archive.infolist():
            if info.filename.endswith("data.pkl") and info.file_size <= MAX_BYTES:
                return archive.read(info)
    return b""


def _list_modules(content: bytes) -> dict[str, None]:
    """The modules of the classes named in a pickle, in order, without the standard library and `__main__`."""
    modules: dict[str, None] = {}
    strings: list[str] = []
    try:
        for opcode, argument, _ in islice(pickletools.genops(content), MAX_OPCODES):
            if isinstance(argument, str) and "UNICODE" in opcode.name:
                strings = [*strings[-1:], argument]
            module = ""
            if opcode.name in ("GLOBAL", "INST") and isinstance(argument, str):
                module = argument.split(" ")[0]
            elif opcode.name == "STACK_GLOBAL" and len(strings) == 2:
                module = strings[0]
            top = module.partition(".")[0]
            if len(module) <= MAX_NAME and re.fullmatch(r"[A-Za-z_]\w*(\.\w+)*", module) and top not in _NOT_LIBRARIES:
                modules[module] = None
                if len(modules) == MAX_MODULES:
                    break
    except Exception:
        pass  # not a pickle, or joblib's raw array bytes between two pickles: keep what was found so far
    return modules


def _find_versions(content: bytes, tops: Iterable[str]) -> dict[str, str]:
    """Each top-level module with its version in the pickle, "" when there is none."""
    modules = dict.fromkeys(tops, "")
    for module, pattern in VERSION_KEYS.items():
        match = pattern.search(content) if module in modules else None
        if match:
            length = (match[1] or match[2])[0]
            version = content[match.end() : match.end() + length].decode("ascii", "replace")
            modules[module] = version if re.fullmatch(r"[0-9][0-9A-Za-z.+-]*", version) else ""
    return modules
