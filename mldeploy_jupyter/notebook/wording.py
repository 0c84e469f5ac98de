"""Messages in the words of a notebook. Those who write them do not know whether a shell or a notebook shows them."""

from __future__ import annotations

import re

_SHELL = re.compile(r"(?<![%\w./-])mldeploy (?=(?:model|service|workspace|prune)\b|--help\b)")
# The hint of a cause: "then deploy churn again". The name is a service's, as the engine wrote it.
_AGAIN = re.compile(r"(?<![%\w-])(deploy|update) (?!it )([a-z][a-z0-9-]*) again\b")


def as_typed_here(text: str) -> str:
    """The text with the command line's words as they are typed in a notebook."""
    return _AGAIN.sub(r"%\1 \2", _SHELL.sub("%mldeploy ", text))
