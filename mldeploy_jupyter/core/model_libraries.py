"""What a model file says of the libraries it needs. Files are scanned, never loaded: unpickling runs code."""

from __future__ import annotations

import pickletools
import re
import sys
import zipfile
from collections.abc import Iterable
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any

MAX_BYTES = 64_000_000  # larger files are not scanned
MAX_OPCODES = 200_000
SUFFIXES = frozenset({".pkl", ".pickle", ".joblib", ".sav", ".model", ".pt", ".pth", ".bin"})

# Import names whose distribution is called otherwise.
DISTRIBUTIONS = {"sklearn": "scikit-learn", "PIL": "pillow", "cv2": "opencv-python", "yaml": "PyYAML"}

# Versions that libraries write into their own pickles: a key, then the version as a short string.
VERSION_KEYS = {"sklearn": re.compile(rb"_sklearn_version\x94?(?:q.)?(?:\x8c(.)|X(.)\x00\x00\x00)", re.DOTALL)}


def describe(paths: Iterable[Path]) -> dict[str, Any]:
    """`{"python": "3.11", "libraries": {"scikit-learn": "1.9.1", ...}}` for the pickles among `paths`.

    A version is the file's own where it has one, else that of this interpreter. Empty when no file is a pickle or
    none can be read: this is a help for later messages and never a reason to refuse a model.
    """
    modules: dict[str, str] = {}
    for path in paths:
        if path.suffix.lower() not in SUFFIXES:
            continue
        try:
            if path.stat().st_size <= MAX_BYTES:
                modules.update(_scan(_pickle_bytes(path)))
        except (OSError, zipfile.BadZipFile):
            continue
    libraries = {}
    for module, version in sorted(modules.items()):
        distribution, installed = _installed(module)
        if version or installed:
            libraries[distribution] = version or installed
    return {"python": f"{sys.version_info[0]}.{sys.version_info[1]}", "libraries": libraries} if modules else {}


def _pickle_bytes(path: Path) -> bytes:
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:  # PyTorch keeps its pickle in a zip file
        for info in archive.infolist():
            if info.filename.endswith("data.pkl") and info.file_size <= MAX_BYTES:
                return archive.read(info)
    return b""


def _scan(content: bytes) -> dict[str, str]:
    """Top-level modules of the classes named in a pickle, with the version it gives or ""."""
    modules: dict[str, str] = {}
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
            if re.fullmatch(r"[A-Za-z_]\w*", top) and top not in sys.stdlib_module_names:
                modules[top] = ""
    except Exception:
        # Not a pickle, or joblib's raw array bytes between two parts of one: what was found so far stands.
        if not modules:
            return {}
    for module, pattern in VERSION_KEYS.items():
        match = pattern.search(content) if module in modules else None
        if match:
            length = (match[1] or match[2])[0]
            version = content[match.end() : match.end() + length].decode("ascii", "replace")
            modules[module] = version if re.fullmatch(r"[0-9][0-9A-Za-z.+-]*", version) else ""
    return modules


def _installed(module: str) -> tuple[str, str]:
    """The distribution that provides `module` and its version here, "" when it has none."""
    for name in (DISTRIBUTIONS.get(module, module), module):
        try:
            return name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    for name in metadata.packages_distributions().get(module, []):
        return name, metadata.version(name)
    return module, ""
