"""Lines of a service's log as text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mldeploy_jupyter.api.webservices.log_text import format_log_line, last_lines
from mldeploy_jupyter.targets import LogLine


def test_a_log_entry_has_its_time_source_and_request_once() -> None:
    request = "30ce33ef-d48e-4625-9073-136d0000000d"
    line = LogLine("2026-11-26T13:42:24.506Z", "r1 16037", f"[{request}] a\n[{request}] b", request_ids=(request,))
    assert format_log_line(line, today="2026-11-26") == "13:42:24Z r1 136d0000000d a\n    b"
    assert format_log_line(line, today="2026-11-27") == "11-26 13:42:24Z r1 136d0000000d a\n    b"
    every = format_log_line(line, timestamps=True).split("\n")
    assert every == [f"{line.time} [r1 16037] [{request}] {text}" for text in "ab"]
    several = replace(line, text="[me +1] a", request_ids=("me", "you"))
    assert format_log_line(several, today="2026-11-26") == "13:42:24Z r1 me a"
    forged = replace(line, text="['a b\\x85'] a", request_ids=("a b\x85",))
    assert format_log_line(forged, today="2026-11-26") == "13:42:24Z r1 'a b\\x85' a"
    assert format_log_line(LogLine(time="", source="raw", text="a\nb")) == "a\nb"


@pytest.mark.parametrize(
    ("count", "entry", "entries", "cut"),
    [
        (0, None, 0, 0),
        (1, "c", 1, 0),
        (2, "b1", 2, 2),
        (3, "b1", 2, 1),
        (4, "b1", 2, 0),
        (5, "a", 3, 0),
        (9, None, 3, 0),
    ],
)
def test_the_last_lines_may_begin_within_an_entry(count: int, entry: str | None, entries: int, cut: int) -> None:
    log = [LogLine("", "", text) for text in ("a", "b1\nb2\nb3", "c")]
    first, *rest = last_lines(log[len(log) - min(count, len(log)) :], count)
    assert (first and first.text.split("\n")[0], rest) == (entry, [entries, cut])
