"""Messages in a notebook's words. The layers below write them for a shell, without knowing who shows them."""

from __future__ import annotations

import re

from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.core.text import in_ipython_words

_SHELL_COMMAND = (
    r"(?<![%\w./-])mldeploy (?=(?:model|service|image|workspace|script|completion|prune|latency)\b|--help\b)"
)
# The commands that have a magic of their own, which takes the same words.
SHORT_MAGICS = {
    "model register": "register",
    "model deploy": "deploy",
    "service run": "score",
    "service update": "update",
    "latency": "latency",
    "service list": "services",
    "service get-logs": "logs",
    "service rollback": "rollback",
    "service stop": "stop",
    "service start": "start",
    "service cancel": "cancel",
    "service delete": "delete",
}
_SHORT_MAGIC = rf"%mldeploy ({'|'.join(SHORT_MAGICS)})(?![\w-])(?! (?:list|show|compare)\b)( -n(?= \w))?"
_SHORT_IN_SHELL = _SHORT_MAGIC.replace("%", r"(?<![%\w./-])", 1)
# The hint of a cause, such as "then deploy churn again", with the service's name.
_DEPLOY_AGAIN = r"(?<![%\w-])(deploy|update) (?!it )([a-z][a-z0-9-]*) again\b"


def in_notebook_words(text: str) -> str:
    """The text with shell commands replaced by `%mldeploy`."""
    return in_ipython_words(re.sub(_DEPLOY_AGAIN, r"%\1 \2", re.sub(_SHELL_COMMAND, "%mldeploy ", text)))


def in_short_magics(text: str) -> str:
    """The same, with the magic of its own where a command has one."""
    return re.sub(_SHORT_MAGIC, lambda match: f"%{SHORT_MAGICS[match[1]]}", in_notebook_words(text))


def in_magics(text: str) -> str:
    """The same for the text of an error that Python raised; `%mldeploy` stays where the text says it already."""
    return in_notebook_words(re.sub(_SHORT_IN_SHELL, lambda match: f"%{SHORT_MAGICS[match[1]]}", text))


def in_magic_words(error: UsageError, magic: str, command: str = "") -> UsageError:
    """The error about the magic of that name, with its `%`, which runs `command` of the command line."""

    def replaced(text: str) -> str:
        for name in (magic.lstrip("%"), command):
            if name:
                text = text.replace(f"mldeploy {name} --help", f"{magic}?")
                text = re.sub(rf"%?mldeploy {re.escape(name)}\b", magic, text)
        # In answer to %mldeploy, its own commands.
        return in_notebook_words(text) if magic == "%mldeploy" else in_short_magics(text)

    return UsageError(replaced(error.what), why=replaced(error.why), hint=replaced(error.hint))
