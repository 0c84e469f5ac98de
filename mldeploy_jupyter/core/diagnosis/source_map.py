"""Maps the frames of a traceback from a service to the user's code: lines of the cell, the script, or its helpers."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path, PurePath
from typing import Any

from mldeploy_jupyter.core.script import notebook_cells
from mldeploy_jupyter.core.script.notebook_cells import CellRecord

Frame = dict[str, Any]  # file, line, function, text; as in `serving/ipc/failure.py`


@dataclass(frozen=True)
class ScriptInfo:
    """The entry script of a revision.

    `name` is what the user calls it, `path` its path inside the bundle, `text` its source. `cell` is the run of the
    cell that wrote it, `newest` the newest version of that cell's file, if known. `beside` names the Python files and
    packages that are in the folder of the original but were not shipped. `original` is the file that the user edits,
    "" when it is not known. `notebook_names` are the variables of the notebook, None when they are not known.
    """

    name: str = "score.py"
    path: str = ""
    text: str = ""
    cell: CellRecord | None = None
    newest: int = 0
    beside: tuple[str, ...] = ()
    original: str = ""
    notebook_names: Container[str] | None = None

    @classmethod
    def from_content(cls, content: bytes, cells: Path, **fields: Any) -> ScriptInfo:
        """The script with the cell that wrote it, if `cells` (the workspace's folder of cells) has that."""
        cell = notebook_cells.find_cell(cells, notebook_cells.script_digest(content))
        newest = notebook_cells.newest_version(cells, cell.file) if cell else 0
        return cls(text=content.decode("utf-8", "replace"), cell=cell, newest=newest, **fields)


@dataclass(frozen=True)
class CodeLocation:
    """A line of the user's code: how it is named, the lines around it, and its own text. Empty when unknown."""

    where: str = ""
    excerpt: list[dict[str, Any]] = field(default_factory=list)
    text: str = ""


UNKNOWN_LOCATION = CodeLocation()


@dataclass(frozen=True)
class SourceMap:
    """Knows which files of a service are the user's. `settings` are those of its server."""

    script: ScriptInfo
    settings: dict[str, Any]
    timezone: tzinfo | None = None

    def locate(self, frames: list[Frame]) -> CodeLocation:
        """The innermost of these frames in the user's own code. For a helper module, the line that called it is added.

        Frames are outermost first.
        """
        own = [frame for frame in frames if self.is_own(frame)]
        if not own:
            return UNKNOWN_LOCATION
        innermost, in_script = own[-1], [frame for frame in own if self.is_script(frame)]
        caller = self.locate_line(_line_number(in_script[-1])) if in_script else UNKNOWN_LOCATION
        if self.is_script(innermost):
            return caller
        line, text = _line_number(innermost), str(innermost.get("text") or "")
        where = f"{self.display_name(str(innermost.get('file')))} line {line}"
        if caller.where:
            return CodeLocation(f"{where}, called from {caller.where}", caller.excerpt, text)
        return CodeLocation(where, [{"line": line, "text": text, "guilty": True}] if text else [], text)

    def locate_line(self, line: int) -> CodeLocation:
        """A line of the entry script, counted from 1; the unknown location for 0."""
        if line <= 0:
            return UNKNOWN_LOCATION
        text = next(iter(self.script.text.split("\n")[line - 1 : line]), "")
        cell = self.script.cell
        if cell is None:
            excerpt = notebook_cells.lines_around(self.script.text, line)
            return CodeLocation(f"{self.script.name} line {line}", excerpt, text)
        where = notebook_cells.describe_line(cell, line, newest=self.script.newest, timezone=self.timezone)
        return CodeLocation(where, notebook_cells.cell_excerpt(cell, line), text)

    def locate_function(self, name: str) -> CodeLocation:
        """The first line of a function at the top level of the entry script."""
        match = re.search(rf"^(?:async )?def {name}\b", self.script.text, re.MULTILINE)
        return self.locate_line(self.script.text.count("\n", 0, match.start()) + 1 if match else 0)

    def is_own(self, frame: Frame) -> bool:
        """Whether the frame is in the user's code: the entry script or a helper module."""
        return self.is_script(frame) or self._is_helper(frame)

    def is_script(self, frame: Frame) -> bool:
        # The bundle's folder may have moved, so only the end of the path is compared.
        path = self.script.path or str(self.settings.get("entry_script") or "") or self.script.name
        suffix = PurePath(path).parts
        return PurePath(str(frame.get("file") or "")).parts[-len(suffix) :] == suffix

    def _is_helper(self, frame: Frame) -> bool:
        root, file = str(self.settings.get("app_root") or ""), str(frame.get("file") or "")
        if not root or "site-packages" in PurePath(file).parts:
            return False
        return PurePath(file).is_relative_to(root)

    def display_name(self, file: str) -> str:
        """A file of the bundle by the name the user gave it: its path below the source directory."""
        path = PurePath(file)
        for root in (self.settings.get("source_directory"), self.settings.get("app_root")):
            base = PurePath(str(self.settings.get("app_root") or ""), str(root or "")) if root else None
            if base is not None and path.is_relative_to(base):
                return str(path.relative_to(base))
        return path.name


def _line_number(frame: Frame) -> int:
    line = frame.get("line")
    return line if isinstance(line, int) else 0
