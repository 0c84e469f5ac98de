"""What a model file says of the libraries it needs. Files are scanned, never loaded: unpickling runs code."""

from __future__ import annotations

import pickletools
import re
import sys
import zipfile
import zlib
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.environment.distributions import installed_distribution

MAX_BYTES = 64_000_000  # larger files are not scanned

MAX_OPCODES = 200_000

MAX_MODULES = 100

SUFFIXES = frozenset({".pkl", ".pickle", ".joblib", ".sav", ".model", ".pt", ".pth", ".bin"})

_NOT_LIBRARIES = sys.stdlib_module_names | {"__main__"}

# Versions that libraries write into their own pickles: a key, then the version as a short string.
VERSION_KEYS = {"sklearn": re.compile(rb"_sklearn_version\x94?(?:q.)?(?:\x8c(.)|X(.)\x00\x00\x00)", re.DOTALL)}


def describe(paths: Iterable[Path]) -> dict[str, Any]:
    """`{"python": "3.11", "libraries": {"scikit-learn": "1.9.1", ...}, "modules": [...]}` for the pickles of `paths`.

    A version is the file's own where it has one, else that of this interpreter. `modules` are those of the classes that
    the files name: loading them imports these. Empty when no file is a pickle or none can be read: this is a help for
    later and never a reason to refuse a model.
    """
    tops: dict[str, str] = {}
    modules: dict[str, None] = {}
    for path in paths:
        if path.suffix.lower() not in SUFFIXES:
            continue
        try:
            if path.stat().st_size <= MAX_BYTES:
                content = _pickle_bytes(path)
                found = _modules(content)
                modules |= found
                tops |= _versions(content, {name.partition(".")[0] for name in found})
        except (OSError, zipfile.BadZipFile, zlib.error):
            continue
    if not modules:
        return {}
    libraries = {}
    for module, version in sorted(tops.items()):
        distribution, installed = installed_distribution(module)
        if version or installed:
            libraries[distribution] = version or installed
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return {"python": python, "libraries": libraries, "modules": list(modules)[:MAX_MODULES]}


def _pickle_bytes(path: Path) -> bytes:
    if not zipfile.is_zipfile(path):
        content = path.read_bytes()
        if not content.startswith((b"x\x01", b"x\x5e", b"x\x9c", b"x\xda", b"\x1f\x8b")):
            return content
        return zlib.decompressobj(wbits=47).decompress(content, MAX_BYTES)  # joblib's `compress=`
    with zipfile.ZipFile(path) as archive:  # PyTorch keeps its pickle in a zip file
        for info in archive.infolist():
            if info.filename.endswith("data.pkl") and info.file_size <= MAX_BYTES:
                return archive.read(info)
    return b""


def _modules(content: bytes) -> dict[str, None]:
    """The modules of the classes named in a pickle, in order, without the standard library's and the script's own."""
    modules: dict[str, None] = {}
    strings: list[str] = []
    try:
        for opcode, argument, _ in islice(pickletools.genops(content), MAX_OPCODES):
            if isinstance(argument, str) and "UNICODE" in opcode.name:
                strings = [*strings[-1:], argument]
            named = ""
            if opcode.name in ("GLOBAL", "INST") and isinstance(argument, str):
                named = argument.split(" ")[0]
            elif opcode.name == "STACK_GLOBAL" and len(strings) == 2:
                named = strings[0]
            top = named.partition(".")[0]
            if re.fullmatch(r"[A-Za-z_]\w*(\.\w+)*", named) and top not in _NOT_LIBRARIES:
                modules[named] = None
    except Exception:
        pass  # not a pickle, or joblib's raw array bytes between two parts of one: what was found so far stands
    return modules


def _versions(content: bytes, tops: Iterable[str]) -> dict[str, str]:
    """Each of these top-level modules with the version that the pickle gives, or ""."""
    modules = dict.fromkeys(tops, "")
    for module, pattern in VERSION_KEYS.items():
        match = pattern.search(content) if module in modules else None
        if match:
            length = (match[1] or match[2])[0]
            version = content[match.end() : match.end() + length].decode("ascii", "replace")
            modules[module] = version if re.fullmatch(r"[0-9][0-9A-Za-z.+-]*", version) else ""
    return modules
