"""Finds the files that go into a bundle with the entry script.

With a source directory: all its files, except those that its `.amlignore` names and those that never belong in a
service. Without one: the script and the modules beside it that it imports, directly or indirectly, found in the syntax
tree. A module imported by a computed name is not found; that needs a source directory.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from mldeploy_jupyter.core.bundle.ignore_file import Pattern, is_ignored, parse_patterns
from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.core.text import format_size

ALWAYS_IGNORED = frozenset(
    {".git", ".hg", ".svn", ".mldeploy", "__pycache__", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache"}
)

MAX_LEVELS = 200  # of folders below each other

SIZE_LIMIT = 300 * 1000 * 1000  # bytes; models are registered instead, so a larger folder is a mistake


def list_source_files(
    entry_script: Path | str,
    source_directory: Path | str | None = None,
    dependencies: Mapping[str, str] | None = None,
    *,
    size_limit: int = SIZE_LIMIT,
) -> dict[str, Path]:
    """Relative path (with `/`) -> absolute path of each file, sorted by relative path.

    `entry_script` is relative to `source_directory`, if given, otherwise to the current directory; the paths are then
    relative to the script's folder. `dependencies` are further files and folders: relative path -> absolute path.

    Raises:
        UserErrorException: the script is missing or outside the directory, folders are nested more than 200 levels
            deep, or the files have more than `size_limit` bytes together; the error names the largest.
    """
    if source_directory is None:
        script = Path(entry_script).absolute()
        folder, relative = script.parent, script.name
        files = {relative: script, **_find_imported(script, folder)} if script.is_file() else {}
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
    for name, path in (dependencies or {}).items():
        files |= _list_dependency(name, Path(path))
    _check_size(files, folder, size_limit)
    return dict(sorted(files.items()))


def _list_dependency(name: str, path: Path) -> dict[str, Path]:
    if not path.exists():
        raise UserErrorException(
            f"there is no {name}",
            why=f"it is among the dependencies of the entry script; looked for {path}",
            hint="correct its path; a URL cannot be a dependency here",
        )
    return {f"{name}/{below}": file for below, file in _walk(path)} if path.is_dir() else {name: path}


def _find_imported(script: Path, folder: Path) -> dict[str, Path]:
    """The modules and packages in `folder` that `script` imports, and those that they import."""
    files: dict[str, Path] = {}
    pending = [script]
    while pending:
        for name in _imported_names(pending.pop()):
            module, package = folder / f"{name}.py", folder / name
            if package.is_dir() and ((package / "__init__.py").is_file() or not module.is_file()):
                if not any(package.glob("*.py")) or _is_environment(package):
                    continue
                found = {f"{name}/{relative}": path for relative, path in _walk(package)}
            elif module.is_file() and module != script:
                found = {module.name: module}
            else:
                continue
            pending += [path for key, path in found.items() if key not in files and path.suffix == ".py"]
            files |= found
    return files


def _imported_names(path: Path) -> set[str]:
    """The top-level names of the modules that a file imports."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return set()  # the check of the entry script reports it; a helper may be a template
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


def _walk_below(folder: Path, prefix: str, patterns: list[Pattern], parents: set[str]) -> Iterator[tuple[str, Path]]:
    if len(parents) > MAX_LEVELS:
        raise UserErrorException(
            f"the source directory is nested too deeply: {prefix[:40]}...",
            why=f"it has more than {MAX_LEVELS} levels of folders",
            hint="name the folder in .amlignore (syntax of .gitignore)",
        )
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        relative, path = prefix + entry.name, folder / entry.name
        if entry.name in ALWAYS_IGNORED or is_ignored(patterns, relative, folder=entry.is_dir()):
            continue
        if entry.is_dir():
            real = os.path.realpath(path)
            if real not in parents and not _is_environment(path):  # a link to a parent would never end
                yield from _walk_below(path, relative + "/", patterns, parents | {real})
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
        f"the source directory holds {format_size(total)}, more than {format_size(limit)}",
        why="the largest: " + ", ".join(f"{name} ({format_size(sizes[name])})" for name in largest),
        hint="name data in .amlignore (syntax of .gitignore), and register models with Model.register",
        where=str(folder),
    )
