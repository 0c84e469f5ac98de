"""Tab completion for the lines of magics: options, targets, files, and the names the workspace has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from mldeploy_jupyter.commands import complete, complete_line
from mldeploy_jupyter.notebook.session import Session

# `%deploy x --po`, `svc = %deploy x --po`, `%%entry_script sc`
_LINE = re.compile(r"^\s*(?:[\w.,\s\[\]]+=\s*)?(?P<sign>%%?)(?P<name>\w+)\s+(?P<rest>.*)$", re.DOTALL)


class Matcher:
    """One of IPython's matchers (API version 2). It answers only on a line of our magics."""

    matcher_api_version = 2
    matcher_identifier = "mldeploy"
    __name__ = "mldeploy"

    def __init__(self, session: Session, magics: Sequence[Any]) -> None:
        self.__qualname__ = "mldeploy"  # IPython takes a matcher for a function
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
        """What the last word of the line can become, and that word; nothing on a line that is not ours."""
        match = _LINE.match(text)
        magic = self._by_name.get(match["name"]) if match else None
        if match is None or magic is None:
            return [], ""
        from mldeploy_jupyter.notebook.magics import context_of

        *before, fragment = _words(match["rest"])
        words = [*before, fragment]
        context = context_of(self._session)
        if magic.command is None:
            return complete_line(words, context), fragment
        found = complete(magic.command, words, context)
        if magic.name in ("register", "score") and before and not fragment.startswith("-"):
            found = sorted({*found, *_variables(self._session, fragment)})
        return found, fragment


def _words(rest: str) -> list[str]:
    # Quotes may still be open, so this is not for shlex.
    return re.split(r"\s+", rest) or [""]


def _variables(session: Session, start: str) -> list[str]:
    hidden = session.shell.user_ns_hidden
    return [name for name in session.namespace if name.startswith(start) and name not in hidden and name[:1] != "_"]
