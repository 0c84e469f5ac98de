"""Makes text safe to show in a terminal or on a page, and fits it into columns.

Logs come from the user's code and its libraries; names, tags, descriptions, errors and answers from colleagues, model
files and clients. Shown raw, they could move the cursor, rename the window, write to the clipboard, reverse the reading
order or begin a line that looks like one of ours. `clean` is for logs and lets colours through, `printable` for all
other text, `printable_line` for a field that has one line, `json_text` for data.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import unicodedata
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

LINE_LIMIT = 8192  # bytes of UTF-8; longer lines are cut
WHOLE = sys.maxsize  # the limit that cuts nothing
CUT = " … (line cut)"
SHOWN_LIMIT = 300  # characters of a line of an error; an exception may carry megabytes of data

# Patterns are compiled when they are first needed (`re` keeps them): most text has nothing to replace.
_SGR = r"\x1b\[[0-9;:]{0,64}m"
# In the order tried: a colour; a string up to its terminator (OSC, DCS, SOS, PM, APC, in 7 and 8 bit form); any
# other CSI; a two-character escape, which also takes the start of a string without an end; a lone escape.
_ESCAPE = (
    r"(?P<sgr>\x1b\[[0-9;:]{0,64}m)"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\x9d\x90\x98\x9e\x9f]*(?:\x07|\x1b\\|\x9c)"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|\x1b[ -/]*[0-~]?"
)
# Control characters but tab and line feed; marks that change the reading order; line separators.
_CONTROL = r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
_SURROGATE = r"[\ud800-\udfff]"
# What `json.dumps` leaves as it is: DEL, C1 controls, direction marks, line separators, surrogates.
_NOT_IN_JSON = r"[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"


def clean(text: str, *, colour: bool = True, limit: int = LINE_LIMIT) -> str:
    """The text without escape sequences other than SGR colours, or without any when `colour` is false.

    Of a progress bar that overwrites itself with carriage returns, the last state stays. Cursor moves, OSC, DCS and
    the like are dropped; other control characters, direction marks and lone surrogates are shown as escapes. Lines
    longer than `limit` bytes of UTF-8 are cut. A line that leaves a colour on gets a reset at its end.
    """
    text = text.replace("\r\n", "\n")
    return "\n".join(_clean_line(line, colour, limit) for line in text.split("\n"))


def without_overwritten(lines: Iterable[T], describe: Callable[[T], tuple[Hashable, str]]) -> list[T]:
    """The lines without those that a later one replaces, such as the earlier states of a progress bar.

    `describe` gives a line's source and its text. A line that begins with a carriage return replaces the last one of
    the same source if that ends with one (`serving.log.streams`).
    """
    kept: list[T | None] = []
    unfinished: dict[Hashable, int] = {}  # where the last line of each source that is not finished stands
    for line in lines:
        source, text = describe(line)
        if text.startswith("\r") and source in unfinished:
            kept[unfinished.pop(source)] = None
        if text.endswith("\r"):
            unfinished[source] = len(kept)
        kept.append(line)
    return [line for line in kept if line is not None]


def printable(text: str) -> str:
    """The text, of any number of lines, without escape sequences. Other control characters are shown as escapes."""
    return "\n".join(_without_controls(line) for line in text.replace("\r\n", "\n").split("\n"))


def printable_line(text: str) -> str:
    """`printable` on one line, with every other space as it is: paths and names may have several."""
    if text.isascii() and text.isprintable():  # nearly every cell of a long table
        return text.strip()
    return printable(text).replace("\n", " ").replace("\t", " ").strip()


def cut(text: str, limit: int = SHOWN_LIMIT) -> str:
    """At most `limit` characters of the text, the last one `…` when it was longer."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def json_text(data: Any, *, indent: int | None = None) -> str:
    """The data as JSON that a terminal shows as it is: `\\u009b` for control characters and direction marks."""
    text = json.dumps(data, indent=indent, ensure_ascii=False, default=str)
    return re.sub(_NOT_IN_JSON, lambda match: f"\\u{ord(match[0]):04x}", text)


def strip_colours(text: str) -> str:
    """The text without SGR colour sequences."""
    return re.sub(_SGR, "", text)


def display_width(text: str) -> int:
    """Columns of the text in a terminal: two for a wide character, none for a combining one. Takes no escapes."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) != 0 for char in text)


def fit(text: str, width: int, ellipsis: str = "…") -> str:
    """The text in at most `width` columns; `ellipsis` marks the cut."""
    if display_width(text) <= width:
        return text
    room = width - display_width(ellipsis)
    if room < 0:
        return ""
    kept = text[:room]
    while display_width(kept) > room:
        kept = kept[:-1]
    return kept.rstrip() + ellipsis


def one_line(text: str) -> str:
    """The text on one line, cleaned and without colours."""
    return " ".join(clean(text, colour=False).split())


_PIP = r"(?<!-m )(?<!uv )(?<![%!\w./-])(?:((?![!%])\S*python[\d.]*) -m )?(uv )?pip install\b"


def in_ipython_words(text: str, has_pip: bool | None = None) -> str:
    """The text with `pip install`, which is meant for a shell, as it is typed in a notebook.

    `has_pip` is whether this interpreter has pip; in an environment that uv made, `%uv pip` does the same.
    """

    def replaced(match: re.Match[str]) -> str:
        if match[1] not in (None, "python", sys.executable):
            return f"!{match[0]}"
        pip = importlib.util.find_spec("pip") is not None if has_pip is None else has_pip
        return "%pip install" if pip and not match[2] else "%uv pip install"

    return re.sub(_PIP, replaced, text)


def capital(text: str) -> str:
    """A sentence with a capital, which begins with a word; a name, such as `data[1]` or `score.py`, stays as it is."""
    return text[:1].upper() + text[1:] if re.match(r"[a-z]+[ ,]", text) else text


def format_versions(newest_first: Sequence[object]) -> str:
    """The versions of something, oldest first: `version 1`, `versions 1, 2`."""
    return f"version{'s' if len(newest_first) > 1 else ''} {', '.join(str(each) for each in reversed(newest_first))}"


def format_size(count: float) -> str:
    """A number of bytes for people, in powers of 1000: `512 bytes`, `3.1 MB`, `2.0 GB`."""
    if count < 999.5:
        return f"{count:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.95:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} TB"


def _without_controls(line: str) -> str:
    if line.isprintable():
        return line
    line = re.sub(_ESCAPE, "", line)
    return re.sub(_SURROGATE, _visible, re.sub(_CONTROL, _visible, line))


def _clean_line(line: str, colour: bool, limit: int) -> str:
    if line.isprintable():
        return _cut(line, limit)
    line = re.sub(_ESCAPE, lambda match: match["sgr"] or "" if colour else "", line)
    line = _fold(line)
    line = re.sub(_CONTROL, _visible, line)
    line = re.sub(_SURROGATE, _visible, line)
    line = _cut(line, limit)
    last = None
    for last in re.finditer(_SGR, line):  # noqa: B007 (only the last match is used)
        pass
    return line + "\x1b[0m" if last is not None and last[0] not in ("\x1b[0m", "\x1b[m") else line


def _fold(line: str) -> str:
    """The last of the parts that overwrite each other after carriage returns."""
    parts = [part for part in line.split("\r") if part]
    if len(parts) < 2:
        return "".join(parts)
    # A terminal would leave the end of a longer part behind a shorter one; readers want the last state only.
    return parts[-1]


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _cut(line: str, limit: int) -> str:
    encoded = line.encode("utf-8")
    if len(encoded) <= limit:
        return line
    kept = encoded[:limit].decode("utf-8", "ignore")
    # The cut may have gone through a colour sequence, which would then swallow the text after it.
    broken = re.search(r"\x1b[^m]*$", kept)
    return (kept[: broken.start()] if broken else kept) + CUT
