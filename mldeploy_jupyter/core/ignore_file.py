"""Patterns of an ignore file (`.amlignore`), in the syntax of `.gitignore`."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Pattern:
    regex: re.Pattern[str]
    negated: bool
    folders_only: bool


def parse_patterns(text: str) -> list[Pattern]:
    """The patterns of an ignore file, in its order. Comments and empty lines are left out."""
    patterns = []
    for raw in text.splitlines():
        line = raw.rstrip()
        if not line or line.startswith("#"):
            continue
        negated = line.startswith("!")
        line = line[1:] if negated else line.removeprefix("\\")
        folders_only = line.endswith("/")
        line = line.rstrip("/")
        # A slash inside ties the pattern to the top folder; without one it matches at any depth.
        prefix = "" if "/" in line else "(?:.*/)?"
        patterns.append(Pattern(re.compile(prefix + _translate(line.lstrip("/"))), negated, folders_only))
    return patterns


def is_ignored(patterns: list[Pattern], path: str, *, folder: bool) -> bool:
    """Whether the last pattern that matches the relative `path` (with `/`) ignores it."""
    ignored = False
    for pattern in patterns:
        if (folder or not pattern.folders_only) and pattern.regex.fullmatch(path):
            ignored = not pattern.negated
    return ignored


def _translate(glob: str) -> str:
    parts = re.split(r"(\*\*/|/\*\*$|\*\*|\*|\?|\[[^\]]+\])", glob)
    special = {"**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    out = ""
    for part in parts:
        if part in special:
            out += special[part]
        elif part.startswith("[") and part.endswith("]") and len(part) > 2:
            out += "[" + ("^" + part[2:] if part[1] == "!" else part[1:])
        else:
            out += re.escape(part)
    return out
