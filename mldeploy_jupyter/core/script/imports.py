"""The modules that a service will import from elsewhere: read from its source's text, and from its models' pickles."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mldeploy_jupyter.core.records import ModelRecord


def imported_modules(source: dict[str, Path]) -> list[str]:
    """Full names, in the order of the text: of `import a.b` and of `from a.b import c`, `a.b`.

    `source` maps paths below the source folder to files. Its own modules are left out, and so is what functions other
    than `init` import: they may never be called. A file that cannot be read or parsed has no imports.
    """
    own = {PurePosixPath(name).parts[0].removesuffix(".py") for name in source}
    own |= {PurePosixPath(name).stem for name in source}
    found: dict[str, None] = {}
    for name, path in source.items():
        if name.endswith(".py"):
            try:
                text = path.read_text("utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            found |= dict.fromkeys(_names(text))
    return [name for name in found if name.partition(".")[0] not in own]


def modules_of(models: Iterable[ModelRecord]) -> list[str]:
    """What loading these registered models imports, as far as `model_libraries.py` found it out."""
    return list(dict.fromkeys(name for model in models for name in model.details.get("modules", [])))


@lru_cache(maxsize=64)
def _names(text: str) -> tuple[str, ...]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return ()
    found: list[str] = []
    for node in _statements(tree.body):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module and node.module != "__future__":
            found.append(node.module)
    return tuple(dict.fromkeys(found))


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when the module is imported, and those of `init`."""
    for node in body:
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name == "init":
                yield from _statements(node.body)
        elif not isinstance(node, ast.If) or "TYPE_CHECKING" not in ast.unparse(node.test):
            for part in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(node, part, []))
            for handler in getattr(node, "handlers", []):
                yield from _statements(handler.body)
