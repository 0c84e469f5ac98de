"""Why a deployment failed, with the place in the user's code: which cell, which line, in which function."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.core.script.notebook_cells import CellRecord, find_cell, script_digest
from mldeploy_jupyter.panel.context import PanelContext

if TYPE_CHECKING:
    from mldeploy_jupyter.core.journal import Timeline
    from mldeploy_jupyter.core.records import DeploymentRecord
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

# As `core/script/notebook_cells.py` and `core/diagnosis/source_map.py` write a place: `cell [3] line 7, run at 14:03`,
# `score.py line 7`, `helper.py line 2, called from cell [3] line 7`; configuration files as `environment.yml, line 3`.
_PLACE = re.compile(r"(?:(?P<cell>cell)(?: \[(?P<number>\d+)\])?|(?P<file>[^\s,][^,]*?)),? line (?P<line>\d+)")


def describe_timeline_cause(
    context: PanelContext, folder: WorkspaceFolder, record: DeploymentRecord, timeline: Timeline
) -> dict[str, Any]:
    """The cause of a failed deployment as the protocol has it. The store has it where the journal does not."""
    cause = timeline.cause or record.cause or {}
    return {
        "what": str(cause.get("what") or timeline.message or "the deployment failed"),
        "why": str(cause.get("why") or ""),
        "hint": context.words(str(cause.get("hint") or "")),
        "where": _locate(context, folder, record, cause),
    }


def _locate(
    context: PanelContext, folder: WorkspaceFolder, record: DeploymentRecord, cause: dict[str, Any]
) -> dict[str, Any] | None:
    place = str(cause.get("where") or "")
    found = _PLACE.match(place)
    if found is None:
        return {"text": place, "file": "", "line": None, "cell": None, "excerpt": []} if place else None
    line = int(found["line"])
    excerpt = _excerpt(cause)
    source = find_script(folder, record)
    file = found["file"] or (source.name if source is not None else "")
    function, cell = "", None
    if found["cell"] and source is not None:
        function = _function_at(source.text, line - (source.cell.offset if source.cell is not None else 1))
        number = int(found["number"]) if found["number"] else None
        cell = context.cell_number(source.file, number)
    elif found["cell"]:
        cell = int(found["number"]) if found["number"] else None
    elif source is not None and file == source.name:
        function = _function_at(source.text, line)
    _, _, called = place.partition(", called from ")
    text = f"in {function}() of {file}" if function else f"in {file}" if file else place
    text = f"{text}, called from {called}" if called else text
    return {"text": text, "file": file, "line": line, "cell": cell, "excerpt": excerpt}


def _excerpt(cause: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"line": line["line"], "text": str(line.get("text") or ""), "guilty": bool(line.get("guilty"))}
        for line in cause.get("excerpt") or []
        if isinstance(line, dict) and isinstance(line.get("line"), int)
    ]


class Script:
    """The entry script that a deployment had. `file` is the file that the user edits, `cell` the cell that wrote it."""

    def __init__(self, file: str, content: bytes, cell: CellRecord | None) -> None:
        self.file, self.name = file, Path(file).name
        self.text = content.decode("utf-8", "replace")
        self.cell = cell


def find_script(folder: WorkspaceFolder, record: DeploymentRecord) -> Script | None:
    """The entry script of a deployment: the bundle's copy, else the file as it is now; None when neither is there."""
    inference = record.request.get("inference_config") or {}
    file = str(inference.get("entry_path") or inference.get("entry_script") or "")
    content = _bundled_script(folder, record)
    if content is None and file:
        with suppress(OSError):
            content = Path(file).read_bytes()
    if content is None:
        return None
    cell = find_cell(folder.cells, script_digest(content))
    return Script(file or (cell.file if cell is not None else "score.py"), content, cell)


def _bundled_script(folder: WorkspaceFolder, record: DeploymentRecord) -> bytes | None:
    from mldeploy_jupyter.core.bundle import builder

    store = folder.open_store()
    revision = store.get_revision(record.service, record.revision) if record.revision else None
    if revision is None or not revision.bundle_digest:
        return None
    try:
        bundle = builder.load(folder.bundles / revision.bundle_digest)
        return (bundle.app / bundle.entry_script).read_bytes()
    except (MldeployError, OSError, ValueError, KeyError):  # pruned or damaged
        return None


def _function_at(source: str, line: int) -> str:
    """The function, by its qualified name, that has the line of this source; "" at the top level."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return ""
    name, node = "", next((node for node in tree.body if _spans(node, line)), None)
    while node is not None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{name}.{node.name}" if name else node.name
        node = next((child for child in _statements(node) if _spans(child, line)), None)
    return name


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    """The statements directly inside this one, those of its handlers and cases too."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        elif isinstance(child, ast.ExceptHandler | ast.match_case):
            yield from _statements(child)


def _spans(node: ast.stmt, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)
