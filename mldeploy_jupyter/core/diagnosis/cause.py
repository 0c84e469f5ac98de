"""What a cause is, and the facts it is found from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import PurePath
from typing import Any

from mldeploy_jupyter.core.errors import DeploymentFailed
from mldeploy_jupyter.core.records import JsonRecord
from mldeploy_jupyter.core.script import notebook_cells
from mldeploy_jupyter.core.script.notebook_cells import CellRecord
from mldeploy_jupyter.core.text import one_line

# "from 'x' (/lib/x.py)" and "<module 'x' from '/lib/x.py'>": the file says nothing to who reads it.
_LIBRARY_FILE = re.compile(r" \((?:/[^()]*|unknown location)\)$| from '[^']*'(?=>)")

_FATAL_FRAME = re.compile(r'File "([^"]+)", line (\d+) in (.+)$')


@dataclass(frozen=True)
class Cause(JsonRecord):
    """Why a deployment failed: one sentence each for what, why and hint, without a full stop.

    `code` is stable and made for machines. `where` is a line of the cell, or of the file where there is no cell.
    `excerpt` holds the lines around it, each `{"line", "text", "guilty"}`. `data` are the facts behind the words.
    """

    code: str
    what: str
    why: str = ""
    hint: str = ""
    where: str = ""
    excerpt: list[dict[str, Any]] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)

    def to_error(self, service: str = "", deployment_id: str = "") -> DeploymentFailed:
        """The error that `wait_for_deployment` raises."""
        hint = self.hint or f"read the log with mldeploy service get-logs -n {service}"
        return DeploymentFailed(
            self.what, why=self.why, hint=hint, where=self.where, cause=self, deployment_id=deployment_id
        )


@dataclass(frozen=True)
class ScriptInfo:
    """The entry script of a revision.

    `name` is what the user calls it, `path` its place inside the bundle (a frame's file ends with it), `text` its
    source, `cell` the run of the cell that wrote it and `newest` the newest version of that cell's file, if known.
    `beside` names the Python files and packages that lie beside the original but were not shipped.
    """

    name: str = "score.py"
    path: str = ""
    text: str = ""
    cell: CellRecord | None = None
    newest: int = 0
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """A place in the user's code."""

    where: str = ""
    excerpt: list[dict[str, Any]] = field(default_factory=list)
    text: str = ""  # the line itself


NOWHERE = Place()


@dataclass
class Facts:
    """Everything a rule may look at."""

    failure: dict[str, Any]
    script: ScriptInfo
    settings: dict[str, Any]
    models: list[Any]
    timezone: tzinfo | None = None

    @property
    def code(self) -> str:
        return str(self.failure.get("code") or "")

    @property
    def stage(self) -> str:
        return str(self.failure.get("stage") or "")

    @property
    def message(self) -> str:
        """One clean line: a script's own text may hold escapes and line breaks."""
        return brief(str(self.failure.get("message") or ""))

    @property
    def service(self) -> str:
        return str(self.settings.get("service") or "")

    @property
    def memory(self) -> dict[str, Any]:
        memory = self.failure.get("memory")
        return memory if isinstance(memory, dict) else {}

    @property
    def versions(self) -> dict[str, str]:
        for source in (self.failure, self.settings):
            if isinstance(source.get("versions"), dict):
                return {str(name): str(version) for name, version in source["versions"].items()}
        return {}

    @property
    def log_tail(self) -> list[str]:
        return self.texts("log_tail")

    def texts(self, name: str) -> list[str]:
        """A list of texts in the failure; whatever is something else is left out."""
        value = self.failure.get(name)
        return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []

    def exceptions(self) -> Iterator[dict[str, Any]]:
        """The exception and then its causes, outermost first."""
        exception = self.failure.get("exception")
        while isinstance(exception, dict):
            yield exception
            exception = exception.get("cause")

    def find(self, *types: str) -> dict[str, Any] | None:
        """The first exception of the chain whose type has one of these names."""
        return next((e for e in self.exceptions() if e.get("type") in types), None)

    def frames(self) -> list[dict[str, Any]]:
        """All frames known, outermost first; those of the outermost exception last, for they count most."""
        lists = [exception.get("frames") for exception in reversed(list(self.exceptions()))]
        lists.append(self.failure.get("frames"))
        found = [frame for part in lists if isinstance(part, list) for frame in part if isinstance(frame, dict)]
        return found or self._fatal_frames()

    def _fatal_frames(self) -> list[dict[str, Any]]:
        """The stack that Python's fault handler wrote into the log, innermost first, as the process died."""
        found = [match for line in self.log_tail if (match := _FATAL_FRAME.search(line))]
        return [{"file": m[1], "line": int(m[2]), "function": m[3], "text": ""} for m in reversed(found)]

    @property
    def checking(self) -> bool:
        """Whether the script was only tried, by the cell that wrote it: no service is meant."""
        return bool(self.settings.get("checking"))

    def again(self) -> str:
        """What to do once the script is corrected."""
        if self.checking:
            return "then run the cell again"
        if self.script.cell is not None:
            return f"run the cell again, then {self.deploy()}"
        return f"save {self.script.name}, then {self.deploy()}"

    def deploy(self) -> str:
        """What to do once something else is corrected.

        Neutral, because who writes this down does not know whether a notebook or a shell will show it; a notebook
        turns "deploy NAME again" into the magic.
        """
        if self.checking:
            return "run the cell again"
        word = "update" if self.settings.get("updating") and self.service else "deploy"
        return f"{word} {self.service} again" if self.service else "deploy again"

    def place(self) -> Place:
        """The innermost frame in the user's own code, as a line of the cell where there is one."""
        return self.place_of(self.frames())

    def place_of_death(self) -> Place:
        """Where the process was when it died; without a stack, the start of init() if it was in there."""
        place = self.place()
        if place.where or self.stage != "init":
            return place
        return self.line_of_script(_line_of(self.script.text, "init"))

    def place_of(self, frames: list[dict[str, Any]]) -> Place:
        own = [frame for frame in frames if self.is_script(frame) or self.is_helper(frame)]
        if not own:
            return Place()
        last, scripts = own[-1], [frame for frame in own if self.is_script(frame)]
        caller = self.line_of_script(_line(scripts[-1])) if scripts else Place()
        if self.is_script(last):
            return caller
        where = f"{self.shown(str(last.get('file')))} line {_line(last)}"
        text = str(last.get("text") or "")
        if caller.where:
            return Place(f"{where}, called from {caller.where}", caller.excerpt, text)
        return Place(where, [{"line": _line(last), "text": text, "guilty": True}] if text else [], text)

    def line_of_script(self, line: int) -> Place:
        """A line of the entry script (from 1) as the user knows it."""
        text = next(iter(self.script.text.split("\n")[line - 1 : line]), "") if line > 0 else ""
        if line <= 0:
            return NOWHERE
        cell = self.script.cell
        if cell is None:
            return Place(f"{self.script.name} line {line}", notebook_cells.lines_around(self.script.text, line), text)
        where = notebook_cells.where(cell, line, newest=self.script.newest, timezone=self.timezone)
        return Place(where, notebook_cells.excerpt(cell, line), text)

    def is_script(self, frame: dict[str, Any]) -> bool:
        path = self.script.path or str(self.settings.get("entry_script") or "") or self.script.name
        suffix = PurePath(path).parts
        return PurePath(str(frame.get("file") or "")).parts[-len(suffix) :] == suffix

    def is_helper(self, frame: dict[str, Any]) -> bool:
        root, file = str(self.settings.get("app_root") or ""), str(frame.get("file") or "")
        if not root or "site-packages" in PurePath(file).parts:
            return False
        return PurePath(file).is_relative_to(root)

    def shown(self, file: str) -> str:
        """A file of the bundle by the name the user gave it."""
        path = PurePath(file)
        for root in (self.settings.get("source_directory"), self.settings.get("app_root")):
            base = PurePath(str(self.settings.get("app_root") or ""), str(root or "")) if root else None
            if base is not None and path.is_relative_to(base):
                return str(path.relative_to(base))
        return path.name

    def cause(
        self, code: str, what: str, why: str = "", hint: str = "", place: Place | None = None, **data: Any
    ) -> Cause:
        """A cause at this place, by default where the exception was raised."""
        place = self.place() if place is None else place
        facts = {"failure": self.code, "stage": self.stage, **data}
        facts = {key: value for key, value in facts.items() if value not in (None, "", [], {})}
        return Cause(code, what, why, hint, place.where, place.excerpt, facts)


Rule = Callable[[Facts], Cause | None]


def described(exception: dict[str, Any]) -> str:
    """`KeyError: 'coef_'` on one line."""
    text = brief(str(exception.get("message") or ""))
    return f"{exception.get('type')}: {text}" if text else str(exception.get("type"))


def brief(text: str, limit: int = 400) -> str:
    """The text on one clean line, without the places of library files, cut when it is long."""
    line = _LIBRARY_FILE.sub("", one_line(text))
    return line if len(line) <= limit else line[:limit].rstrip() + "…"


def attribute(exception: dict[str, Any], name: str) -> str:
    attributes = exception.get("attributes")
    return str(attributes.get(name) or "") if isinstance(attributes, dict) else ""


def during(stage: str) -> str:
    """When it happened, in words."""
    words = {"import": "while the script was imported", "init": "in init()", "probe": "while the sample was scored"}
    return {**words, "run": "in run()"}.get(stage, "")


def _line_of(text: str, function: str) -> int:
    match = re.search(rf"^(?:async )?def {function}\b", text, re.MULTILINE)
    return text.count("\n", 0, match.start()) + 1 if match else 0


def _line(frame: dict[str, Any]) -> int:
    line = frame.get("line")
    return line if isinstance(line, int) else 0
