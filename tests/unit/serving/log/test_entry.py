"""One entry: formatted, parsed, and shown to a person."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mldeploy_jupyter.serving.log import entry


def test_a_formatted_line_parses_to_its_fields() -> None:
    line = entry.format_line("ready é", level="warning", logger="supervisor", pid=7, extra=[1, None, "x"])
    parsed = entry.parse_line(line)
    assert parsed is not None and line.isascii() and line.endswith(b"\n")
    del parsed["time"]
    assert parsed == {
        "level": "warning",
        "pid": 7,
        "extra": [1, None, "x"],
        "logger": "supervisor",
        "message": "ready é",
    }


@pytest.mark.parametrize("line", ["", "plain", "[1]", '{"time": "t"}', "[" * 100_000])
def test_a_line_that_is_no_entry_parses_to_none(line: str) -> None:
    assert entry.parse_line(line) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (2**70, str(2**70)),
        (0.5, "0.5"),
        (float("nan"), '"nan"'),
        (("a", 1), '["a",1]'),
        ({"a": 1}, "\"{'a': 1}\""),
        ("\udc80", '"\\\\udc80"'),
        ("x" * (entry.MAX_TEXT + 3), json.dumps("x" * entry.MAX_TEXT + "... (3 more characters)")),
    ],
    ids=["None", "bool", "int", "float", "nan", "tuple", "dict", "surrogate", "long"],
)
def test_any_value_becomes_json(value: Any, text: str) -> None:
    assert entry.to_json(value) == text
    json.loads(text)


@pytest.mark.parametrize(
    ("fields", "source", "text"),
    [
        (
            {"logger": "print", "revision": "3", "pid": 42, "message": "a\nb", "request_id": "i"},
            "r3 42",
            "[i] a\n[i] b",
        ),
        ({"logger": "print", "revision": "3", "message": "m", "request_ids": ["a", "b"]}, "r3 ", "[a +1] m"),
        ({"logger": "server", "level": "warning", "message": "m"}, "server", "warning: m"),
        ({"logger": "mine", "level": "error", "message": "m", "traceback": "T\n  l"}, "mine", "error: mine: m\nT\n  l"),
        ({"logger": "access", "method": "GET", "path": "/a\nb", "status": 404}, "access", "GET '/a\\nb' 404 0 bytes"),
        ({"logger": "access", "method": "GET", "path": "/a 200", "status": 404}, "access", "GET '/a 200' 404 0 bytes"),
    ],
    ids=["print", "batch", "warning", "logger", "access", "forged"],
)
def test_an_entry_is_shown_as_text(fields: dict[str, Any], source: str, text: str) -> None:
    assert (entry.source_of(fields), entry.text_of(fields)) == (source, text)
