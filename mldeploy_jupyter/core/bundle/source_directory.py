"""Which files travel with an entry script.

With a source directory: all of it, except what its `.amlignore` names and what never belongs into a service.
Without one: the script and the modules beside it that it imports, found in the syntax tree, and those that
these import. A module that is imported by a computed name is not found: give a source directory then.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mldeploy_jupyter.core.errors import UserErrorException

NEVER = frozenset(
    {".git", ".hg", ".svn", ".mldeploy", "__pycache__", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache"}
)

SIZE_LIMIT = 300 * 1000 * 1000  # bytes; models travel as models, so more than this is a mistake


def source_files(
    entry_script: Path | str, source_directory: Path | str | None = None, *, size_limit: int = SIZE_LIMIT
) -> dict[str, Path]:
    """Relative path (with `/`) -> absolute path of each file, sorted by relative path.

    `entry_script` is relative to `source_directory` if that is given, else to the current directory; paths
    are then relative to the script's own folder. Raises `UserErrorException` for a script that is missing or
    outside the directory, and for more than `size_limit` bytes, naming the largest files.
    """
    if source_directory is None:
        script = Path(entry_script).absolute()
        folder = script.parent
        files = {script.name: script} if script.is_file() else {}
        relative = script.name
        if files:
            files |= _imported(script, folder)
    else:
        folder = Path(source_directory).absolute()
        relative = Path(os.path.relpath(folder / entry_script, folder)).as_posix()
        files = dict(_walk(folder))
        script = folder / relative
        if script.is_file() and not relative.startswith("../"):
            files[relative] = script  # even if a pattern ignores it
    if relative not in files:
        raise UserErrorException(
            f"there is no entry script {relative}",
            why=f"looked in {folder}",
            hint="correct entry_script or source_directory",
        )
    _check_size(files, folder, size_limit)
    return dict(sorted(files.items()))


def _imported(script: Path, folder: Path) -> dict[str, Path]:
    """The modules and packages in `folder` that `script` imports, and what they import from there."""
    files: dict[str, Path] = {}
    waiting = [script]
    while waiting:
        for name in _import_names(waiting.pop()):
            module, package = folder / f"{name}.py", folder / name
            if package.is_dir() and ((package / "__init__.py").is_file() or not module.is_file()):
                if not any(package.glob("*.py")) or _is_environment(package):
                    continue
                new = {f"{name}/{relative}": path for relative, path in _walk(package)}
            elif module.is_file() and module != script:
                new = {module.name: module}
            else:
                continue
            waiting += [path for key, path in new.items() if key not in files and path.suffix == ".py"]
            files |= new
    return files


def _import_names(path: Path) -> set[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return set()  # the check of the script says it better; a helper may be a template
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    ignore_file = folder / ".amlignore"
    patterns = parse_patterns(ignore_file.read_text("utf-8", "replace")) if ignore_file.is_file() else []
    yield from _walk_below(folder, "", patterns, {os.path.realpath(folder)})


def _walk_below(folder: Path, prefix: str, patterns: list[Pattern], seen: set[str]) -> Iterator[tuple[str, Path]]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        relative, path = prefix + entry.name, folder / entry.name
        if entry.name in NEVER or is_ignored(patterns, relative, folder=entry.is_dir()):
            continue
        if entry.is_dir():
            real = os.path.realpath(path)
            if real not in seen and not _is_environment(path):  # a link back up would not end
                yield from _walk_below(path, relative + "/", patterns, seen | {real})
        elif entry.is_file() and not entry.name.endswith((".pyc", ".pyo")):
            yield relative, path


def _is_environment(folder: Path) -> bool:
    return (folder / "pyvenv.cfg").is_file() or (folder / "conda-meta").is_dir()


def _check_size(files: dict[str, Path], folder: Path, limit: int) -> None:
    sizes = {relative: path.stat().st_size for relative, path in files.items()}
    total = sum(sizes.values())
    if total <= limit:
        return
    largest = sorted(sizes, key=lambda relative: (-sizes[relative], relative))[:3]
    raise UserErrorException(
        f"the source directory holds {_mb(total)}, more than {_mb(limit)}",
        why="the largest: " + ", ".join(f"{name} ({_mb(sizes[name])})" for name in largest),
        hint="name data in .amlignore (syntax of .gitignore), and register models with Model.register",
        where=str(folder),
    )


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


@dataclass(frozen=True)
class Pattern:
    regex: re.Pattern[str]
    negated: bool
    folders_only: bool


def parse_patterns(text: str) -> list[Pattern]:
    """The patterns of an ignore file, in its order. Comments and empty lines are left out."""
    patterns = []
    for raw in text.splitlines():
        line = raw.rstrip()
        if not line or line.startswith("#"):
            continue
        negated = line.startswith("!")
        line = line[1:] if negated else line.removeprefix("\\")
        folders_only = line.endswith("/")
        line = line.rstrip("/")
        # A slash inside ties the pattern to the top folder; without one it matches at any depth.
        prefix = "" if "/" in line else "(?:.*/)?"
        patterns.append(Pattern(re.compile(prefix + _translate(line.lstrip("/"))), negated, folders_only))
    return patterns


def is_ignored(patterns: list[Pattern], path: str, *, folder: bool) -> bool:
    """Whether the last pattern that matches the relative `path` (with `/`) ignores it."""
    ignored = False
    for pattern in patterns:
        if (folder or not pattern.folders_only) and pattern.regex.fullmatch(path):
            ignored = not pattern.negated
    return ignored


def _translate(glob: str) -> str:
    parts = re.split(r"(\*\*/|/\*\*$|\*\*|\*|\?|\[[^\]]+\])", glob)
    special = {"**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    out = ""
    for part in parts:
        if part in special:
            out += special[part]
        elif part.startswith("[") and part.endswith("]") and len(part) > 2:
            out += "[" + ("^" + part[2:] if part[1] == "!" else part[1:])
        else:
            out += re.escape(part)
    return out
