"""Reads `.amlignore`, which has the syntax and the rules of `.gitignore`.

The package pathspec is not used: it is made for whole paths and decides differently from git in cases that matter
here, such as `*` followed by `!*/` and `!*.py`. The tests compare this module with git itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Pattern:
    """A line of the file. `regex` matches whole paths, `negated` patterns include again what earlier ones ignored."""

    regex: re.Pattern[str]
    negated: bool
    folders_only: bool


def parse_patterns(text: str) -> list[Pattern]:
    """The patterns of an ignore file, in its order, without comments and empty lines."""
    patterns = []
    for raw in text.splitlines():
        line = raw.rstrip()
        if not line or line.startswith("#"):
            continue
        negated = line.startswith("!")
        line = line[1:] if negated else line.removeprefix("\\")
        folders_only = line.endswith("/")
        line = line.rstrip("/")
        # A slash inside the pattern anchors it to the top folder; without one it matches at any depth.
        prefix = "" if "/" in line else "(?:.*/)?"
        try:
            regex = re.compile(prefix + _translate(line.lstrip("/")))
        except re.error:  # such as [z-a], which matches nothing in git either
            continue
        patterns.append(Pattern(regex, negated, folders_only))
    return patterns


def is_ignored(patterns: list[Pattern], path: str, *, folder: bool) -> bool:
    """Whether the patterns ignore the file or folder at the relative `path` (with `/`): the last match decides.

    As with git, the content of an ignored folder is ignored, too; the caller does not descend into it.
    """
    ignored = False
    for pattern in patterns:
        if (folder or not pattern.folders_only) and pattern.regex.fullmatch(path):
            ignored = not pattern.negated
    return ignored


def _translate(glob: str) -> str:
    """The glob as a regular expression."""
    special = {"**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    regex = ""
    for part in re.split(r"(\*\*/|/\*\*$|\*\*|\*|\?|\[[^\]]+\])", glob):
        if part in special:
            regex += special[part]
        elif part.startswith("[") and part.endswith("]") and len(part) > 2:
            regex += "[" + ("^" + part[2:] if part[1] == "!" else part[1:]).replace("[", "\\[")
        else:
            regex += re.escape(part)
    return regex
