"""The modules that a service imports: read from the source of its script, and recorded with its models."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mldeploy_jupyter.core.records import ModelRecord


def modules_to_preload(source: dict[str, Path], models: Iterable[ModelRecord]) -> list[str]:
    """What a service with this source and these models imports, from its code and for unpickling its models.

    `source` maps paths below the source folder to files. A model's modules were found when it was registered.
    """
    recorded = dict.fromkeys(name for model in models for name in model.details.get("modules", []))
    return [*imported_modules(source), *recorded]


def imported_modules(source: dict[str, Path]) -> list[str]:
    """Full names in the order of the text: `a.b` for `import a.b` and for `from a.b import c`.

    Modules of the source itself are omitted, and so are imports inside functions other than `init`, which may never
    be called. A file that cannot be read or parsed has no imports.
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
            found |= dict.fromkeys(_imports_of(text))
    return [name for name in found if name.partition(".")[0] not in own]


@lru_cache(maxsize=64)  # updates read the same files again
def _imports_of(text: str) -> tuple[str, ...]:
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
