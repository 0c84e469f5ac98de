"""The environment variables of the process that deployed a revision, which its workers inherit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

# Names that would change how a worker starts.
DROPPED = frozenset({"PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONHOME", "PYTHONPATH", "MPLBACKEND", "JPY_PARENT_PID"})

# Names that describe a terminal, a session or a kernel, or that libraries set when they are imported: they differ from
# one shell or kernel to the next, and no script depends on them.
_PASSING = frozenset(
    {
        "_", "STY", "PWD", "OLDPWD", "SHLVL", "TERM", "COLUMNS", "LINES", "WINDOWID", "CLICOLOR",
        "CLICOLOR_FORCE", "FORCE_COLOR", "NO_COLOR", "PAGER", "GIT_PAGER", "DISPLAY", "INVOCATION_ID",
        "JOURNAL_STREAM", "XDG_SESSION_ID", "KMP_INIT_AT_FORK", "KMP_DUPLICATE_LIB_OK", "BASHOPTS", "SHELLOPTS",
    }
)  # fmt: skip
_PASSING_PREFIXES = ("JPY_", "KERNEL_", "IPY", "PYDEVD_", "SSH_", "TMUX", "VSCODE_", "TERM_", "PYTEST_", "MLDEPLOY_")


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """What workers inherit of the caller's environment."""
    return {name: value for name, value in environ.items() if name not in DROPPED}


def digest(environ: Mapping[str, str]) -> str:
    """A digest of what a script could find there; "" never. Variables of a terminal or kernel do not count."""
    told = hashlib.sha256()
    for name, value in sorted(environ.items()):
        if name not in DROPPED and name not in _PASSING and not name.startswith(_PASSING_PREFIXES):
            told.update(f"{name}={value}\0".encode("utf-8", "surrogateescape"))
    return told.hexdigest()
