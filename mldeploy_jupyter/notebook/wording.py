"""Messages in a notebook's words. The layers below write them for a shell, without knowing who shows them."""

from __future__ import annotations

import re

from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.core.text import in_ipython_words

_SHELL_COMMAND = re.compile(r"(?<![%\w./-])mldeploy (?=(?:model|service|workspace|script|prune)\b|--help\b)")
# The hint of a cause, such as "then deploy churn again", with the service's name.
_DEPLOY_AGAIN = re.compile(r"(?<![%\w-])(deploy|update) (?!it )([a-z][a-z0-9-]*) again\b")


def in_notebook_words(text: str) -> str:
    """The text with shell commands replaced by the magics that do the same."""
    return in_ipython_words(_DEPLOY_AGAIN.sub(r"%\1 \2", _SHELL_COMMAND.sub("%mldeploy ", text)))


def in_magic_words(error: UsageError, magic: str, command: str = "") -> UsageError:
    """The error about the magic of that name, which runs `command` of the command line."""

    def replaced(text: str) -> str:
        for name in (magic, command):
            if name:
                text = text.replace(f"mldeploy {name} --help", f"%{magic}?")
                text = re.sub(rf"%?mldeploy {re.escape(name)}\b", f"%{magic}", text)
        return in_notebook_words(text)

    return UsageError(replaced(error.what), why=replaced(error.why), hint=replaced(error.hint))
