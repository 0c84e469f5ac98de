"""The entry scripts that a form offers, and what it says of the chosen one."""

from __future__ import annotations

import ast
from collections.abc import Container
from pathlib import Path
from typing import Protocol

MAX_SCRIPTS = 50  # entry scripts that a form offers
MAX_BYTES = 1_000_000  # a larger file is data and not read


class Scripts(Protocol):
    """The scripts of the place that a form shows in."""

    def choices(self) -> list[dict[str, str]]:
        """The scripts as choices of a form, the likeliest first. A value is the path that a command would take."""

    def source_directory(self) -> str:
        """The folder that is shipped with the first script; "" for the script alone."""

    def warning(self, path: Path) -> str:
        """What a person should know before this file is deployed as it is; "" for nothing."""


class FolderScripts:
    """The scripts of a folder, by default of the current one. In another, their paths are absolute."""

    def __init__(self, folder: Path = Path()) -> None:
        self._folder = folder

    def choices(self) -> list[dict[str, str]]:
        return scripts_in(self._folder)

    def source_directory(self) -> str:
        return ""

    def warning(self, path: Path) -> str:
        return ""


def scripts_in(folder: Path = Path(), exclude: Container[Path] = ()) -> list[dict[str, str]]:
    """Entry scripts in the folder, newest first, as the choices of a form. `exclude` has absolute paths."""
    found = []
    for path in folder.glob("*.py"):
        try:
            text = path.read_text("utf-8") if path.stat().st_size < MAX_BYTES else ""
            if "def run(" in text and path.absolute() not in exclude:
                found.append((path.stat().st_mtime, path, text))
        except (OSError, ValueError):
            continue
    newest = sorted(found, reverse=True)[:MAX_SCRIPTS]
    return [script_choice(str(path), text, path.name) for _, path, text in newest]


def script_choice(value: str, source: str, label: str = "") -> dict[str, str]:
    """An entry script as a choice of a form. Its detail names the functions: `init() and run(data)`."""
    return {"value": value, "label": label or value, "detail": _functions(source)}


def _functions(source: str) -> str:
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError):
        return ""
    functions = {node.name: node for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    found = [functions[name] for name in ("init", "run") if name in functions]
    return " and ".join(f"{node.name}({', '.join(arg.arg for arg in node.args.args)})" for node in found)
