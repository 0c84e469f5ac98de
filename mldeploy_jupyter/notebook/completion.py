"""Tab completion on the lines of magics: options, values, files, variables, and names from the workspace."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from mldeploy_jupyter.commands import complete, complete_line
from mldeploy_jupyter.notebook.dispatch import make_context
from mldeploy_jupyter.notebook.session import Session

# `%deploy x --po`, `svc = %deploy x --po`, `%%entry_script sc`
_LINE = r"(?s)^\s*(?:[\w.,\s\[\]]+=\s*)?(?P<sign>%%?)(?P<name>\w+)\s+(?P<rest>.*)$"


class Matcher:
    """A matcher of IPython's completer (API version 2). It matches only on lines of these magics."""

    matcher_api_version = 2
    matcher_identifier = "mldeploy"
    __name__ = "mldeploy"

    def __init__(self, session: Session, magics: Sequence[Any]) -> None:
        self.__qualname__ = "mldeploy"  # IPython expects a function
        self.magics = magics
        self._session = session
        self._by_name = {magic.name: magic for magic in magics}

    def __call__(self, context: Any) -> dict[str, Any]:
        from IPython.core.completer import SimpleCompletion

        found, fragment = self.find(context.text_until_cursor)
        if not found:
            return {"completions": []}
        return {
            "completions": [SimpleCompletion(text=word, type="param") for word in found],
            "matched_fragment": fragment,
            "suppress": True,
            "ordered": True,
        }

    def find(self, text: str) -> tuple[list[str], str]:
        """Completions of the last word of the line, and that word; none on the line of another magic."""
        match = re.match(_LINE, text)
        magic = self._by_name.get(match["name"]) if match else None
        if match is None or magic is None:
            return [], ""
        *before, fragment = _words(match["rest"])
        words = [*before, fragment]
        context = make_context(self._session)
        if magic.command is None:
            return complete_line(words, context), fragment
        found = complete(magic.command, words, context)
        if magic.name in ("register", "score") and before and not fragment.startswith("-"):
            found = sorted({*found, *_variables(self._session, fragment)})
        return found, fragment


def _words(rest: str) -> list[str]:
    # Not shlex: a quote may still be open.
    return re.split(r"\s+", rest) or [""]


def _variables(session: Session, start: str) -> list[str]:
    hidden = session.shell.user_ns_hidden
    return [name for name in session.namespace if name.startswith(start) and name not in hidden and name[:1] != "_"]
