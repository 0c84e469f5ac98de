"""The facts that the rules look at: the failure, its exceptions and frames, the script, the settings, the models."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.diagnosis.cause import Cause
from mldeploy_jupyter.core.diagnosis.source_map import CodeLocation, Frame, ScriptInfo, SourceMap
from mldeploy_jupyter.core.text import SHOWN_LIMIT, one_line

# "from 'x' (/lib/x.py)" and "<module 'x' from '/lib/x.py'>": the paths of library files mean nothing to users.
_LIBRARY_FILE = re.compile(r" \((?:/[^()]*|unknown location)\)$| from '[^']*'(?=>)")

# A line of the stack that Python's fault handler writes as the process dies.
_FATAL_FRAME = re.compile(r'File "([^"]+)", line (\d+) in (.+)$')

ExceptionData = dict[str, Any]  # type, module, message, attributes, frames, cause; as in `serving/ipc/failure.py`


@dataclass
class Facts:
    """Everything a rule may look at. `failure` and `settings` may hold anything: they come from other processes."""

    failure: dict[str, Any]
    script: ScriptInfo
    settings: dict[str, Any]
    models: list[Any]
    timezone: tzinfo | None = None

    @property
    def source(self) -> SourceMap:
        return SourceMap(self.script, self.settings, self.timezone)

    # The failure

    @property
    def code(self) -> str:
        return str(self.failure.get("code") or "")

    @property
    def stage(self) -> str:
        return str(self.failure.get("stage") or "")

    @property
    def message(self) -> str:
        """One clean line, although a script's own text may hold escapes and line breaks."""
        return shorten(str(self.failure.get("message") or ""))

    @property
    def memory(self) -> dict[str, Any]:
        memory = self.failure.get("memory")
        return memory if isinstance(memory, dict) else {}

    @property
    def log_tail(self) -> list[str]:
        return self.texts("log_tail")

    @property
    def last_log_line(self) -> str:
        return next((line for line in reversed(self.log_tail) if line.strip()), "")

    def texts(self, name: str) -> list[str]:
        """A list of texts in the failure; other values are left out."""
        value = self.failure.get(name)
        return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []

    def other_models(self) -> dict[str, list[str]]:
        """The files of registered models that the service was not given, by the model's name, the last one first."""
        found = self.failure.get("other_models")
        return found if isinstance(found, dict) else {}

    def exceptions(self) -> Iterator[ExceptionData]:
        """The exception, then the exceptions that caused it."""
        exception = self.failure.get("exception")
        while isinstance(exception, dict):
            yield exception
            exception = exception.get("cause")

    def find_exception(self, *types: str) -> ExceptionData | None:
        """The first exception of the chain whose type has one of these names."""
        return next((e for e in self.exceptions() if e.get("type") in types), None)

    def frames(self) -> list[Frame]:
        """All known frames, outermost first; those of the outermost exception last, since they count most."""
        lists = [exception.get("frames") for exception in reversed(list(self.exceptions()))]
        lists.append(self.failure.get("frames"))
        found = [frame for part in lists if isinstance(part, list) for frame in part if isinstance(frame, dict)]
        return found or self._fatal_frames()

    def _fatal_frames(self) -> list[Frame]:
        found = [match for line in self.log_tail if (match := _FATAL_FRAME.search(line))]
        return [{"file": m[1], "line": int(m[2]), "function": m[3], "text": ""} for m in reversed(found)]

    # The service

    @property
    def service(self) -> str:
        return str(self.settings.get("service") or "")

    @property
    def versions(self) -> dict[str, str]:
        """The versions of the distributions in the service's environment, as far as known."""
        for source in (self.failure, self.settings):
            if isinstance(source.get("versions"), dict):
                return {str(name): str(version) for name, version in source["versions"].items()}
        return {}

    @property
    def packages(self) -> dict[str, Any]:
        """Where the service's packages come from, as `package_source` says; empty where that is not known."""
        packages = self.settings.get("packages")
        return packages if isinstance(packages, dict) else {}

    @property
    def is_check(self) -> bool:
        """Whether the script was only checked, by a cell or by `mldeploy script check`: there is no service."""
        return bool(self.settings.get("checking"))

    def source_lacks(self, path: str) -> bool:
        """Whether the folder of the script that the user edits lacks the file; False when that is not known."""
        return bool(self.script.original) and not Path(self.script.original).parent.joinpath(path).is_file()

    # Locations in the user's code

    def location(self) -> CodeLocation:
        """The innermost frame in the user's own code."""
        return self.source.locate(self.frames())

    def location_of_death(self) -> CodeLocation:
        """Where the process was when it died; without a stack, the start of init() if that had begun."""
        location = self.location()
        if location.where or self.stage != "init":
            return location
        return self.source.locate_function("init")

    # Parts of a cause

    def retry_hint(self) -> str:
        """The end of a hint: what to do once the script is corrected."""
        if self.is_check:
            return f"then {self.deploy_hint()}"
        if self.script.cell is not None:
            return f"run the cell again, then {self.deploy_hint()}"
        return f"save {self.script.name}, then {self.deploy_hint()}"

    def deploy_hint(self) -> str:
        """The end of a hint: what to do once something else is corrected.

        Neutral, because a cause may be shown in a notebook or a shell; a notebook turns "deploy NAME again" into the
        magic.
        """
        if self.is_check:
            return "run the cell again" if self.script.cell is not None else "check it again"
        word = "update" if self.settings.get("updating") and self.service else "deploy"
        return f"{word} {self.service} again" if self.service else "deploy again"

    def cause(
        self, code: str, what: str, why: str = "", hint: str = "", location: CodeLocation | None = None, **data: Any
    ) -> Cause:
        """A cause at this location, by default where the exception was raised. Empty `data` is left out."""
        location = self.location() if location is None else location
        data = {"failure": self.code, "stage": self.stage, **data}
        data = {key: value for key, value in data.items() if value not in (None, "", [], {})}
        return Cause(code, what, why, hint, location.where, location.excerpt, data)


# Returns the cause if the rule recognises the failure.
Rule = Callable[[Facts], Cause | None]


def describe_exception(exception: ExceptionData) -> str:
    """`KeyError: 'coef_'` on one line."""
    text = shorten(str(exception.get("message") or ""))
    return f"{exception.get('type')}: {text}" if text else str(exception.get("type"))


def exception_attribute(exception: ExceptionData, name: str) -> str:
    attributes = exception.get("attributes")
    return str(attributes.get(name) or "") if isinstance(attributes, dict) else ""


def shorten(text: str, limit: int = SHOWN_LIMIT) -> str:
    """The text on one clean line, without the paths of library files, at most `limit` characters long."""
    line = _LIBRARY_FILE.sub("", one_line(text))
    return line if len(line) <= limit else line[:limit].rstrip() + "…"


def describe_stage(stage: str) -> str:
    """When it happened, in words; "" for a stage that says nothing to users."""
    words = {"import": "while the script was imported", "init": "in init()", "probe": "while the sample was scored"}
    return {**words, "run": "in run()"}.get(stage, "")


def quoted_text(text: str) -> str:
    """The first quoted part of a message."""
    match = re.search(r"['\"]([^'\"]+)['\"]", text)
    return match[1] if match else ""
