"""Log text cannot control a terminal: only colours are let through."""

from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mldeploy_jupyter.core.text import (
    CUT,
    capital,
    clean,
    cut,
    display_width,
    fit,
    format_size,
    json_text,
    one_line,
    printable,
    printable_line,
    without_overwritten,
)

SGR = re.compile(r"\x1b\[[0-9;:]*m")
FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

PIECES = [
    "\x1b",
    "[",
    "]",
    "m",
    "31",
    ";",
    "K",
    "P",
    "\\",
    "\x07",
    "\x9b",
    "\x9d",
    "\x9c",
    "\r",
    "\n",
    "\0",
    "\u202e",
    "8;;http://x",
    "é漢",
    "\udc80",
]
nasty = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3), st.characters()), max_size=40).map("".join)


@given(nasty)
@example("\x1b\x1b[31m[31mx")
@example("\x1b[3\x1b[K1mx")
@example("\x1b]0;title\x1b]0;\x07[2J")
def test_clean_keeps_no_escape_but_colours(text):
    cleaned = clean(text)
    assert not FORBIDDEN.search(SGR.sub("", cleaned))
    assert not FORBIDDEN.search(clean(text, colour=False))
    cleaned.encode("utf-8")


@given(nasty)
def test_printable_text_keeps_no_escape_and_every_line(text):
    shown = printable(text)
    assert not FORBIDDEN.search(shown)
    assert shown.count("\n") == text.replace("\r\n", "\n").count("\n")
    assert "\n" not in printable_line(text)
    assert printable(shown) == shown


@given(nasty)
def test_json_text_is_harmless_and_keeps_the_value(text):
    shown = json_text({text: [text]})
    assert not FORBIDDEN.search(shown) and "\x7f" not in shown
    assert json.loads(shown) == {text: [text]}


def test_what_printable_and_cut_show():
    assert printable("a\rb\x1b[31mc\r\nd") == "a\\x0dbc\nd"
    assert printable_line("two  spaces\tand\nlines ") == "two  spaces and lines"
    assert cut("x" * 400) == "x" * 299 + "…" and cut("short") == "short"


@given(nasty)
def test_cleaning_twice_is_cleaning_once(text):
    once = clean(text, colour=False)
    assert clean(once, colour=False) == once


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=80))
def test_plain_text_is_left_alone(text):
    assert clean(text) == text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
        ("\x1b[1;38;5;3mleft on", "\x1b[1;38;5;3mleft on\x1b[0m"),
        ("\x1b[2J\x1b[1;1Hgone\x1b[K", "gone"),
        ("\x1b]0;window title\x07text", "text"),
        ("\x1b]52;c;aGVsbG8=\x1b\\text", "text"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;never ended", "0;never ended"),
        ("\x1bPq#0\x1b\\sixel", "sixel"),
        ("\x9b31mC1", "C1"),
        ("nul\0 bell\x07", "nul\\x00 bell\\x07"),
        ("user\u202egpj.exe", "user\\u202egpj.exe"),
        ("\udc80 undecodable", "\\udc80 undecodable"),
        ("\u2028two", "\\u2028two"),
        (" 10%\r 50%\r100%", "100%"),
        (" 10%\r 50%\r", " 50%"),
        ("windows\r\nlines\r\n", "windows\nlines\n"),
        ("tab\tkept", "tab\tkept"),
    ],
)
def test_clean_on_known_attacks(raw, shown):
    assert clean(raw) == shown


def test_long_lines_are_cut_on_a_whole_character():
    cut = clean("é" * 10_000)
    assert cut.endswith(CUT) and len(cut.encode()) < 8192 + 40
    assert cut.removesuffix(CUT) == "é" * 4096
    assert clean("x" * 8190 + "\x1b[31mred") == "x" * 8190 + CUT


@pytest.mark.parametrize("piece", ["\x1b[", "\x1b]", "\x9d", "\x1b", "\x1b[31m", "\r", "\x1bP;", "a"])
def test_a_flood_on_one_line_takes_linear_time(piece):
    def took(count):
        started = time.thread_time()  # without what other processes take
        clean(piece * count)
        return time.thread_time() - started

    small, large = min(took(20_000) for _ in range(3)), min(took(200_000) for _ in range(3))
    assert large < 40 * small + 0.05


def test_display_width_and_fit():
    assert display_width("漢字e\u0301") == 5
    assert fit("漢字漢字", 5) == "漢字…" and fit("short", 5) == "short" and fit("x", 0) == ""
    assert one_line(" a\x1b[2J\n\tb ") == "a b"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1500, "1.5 kB"),
        (3_100_000, "3.1 MB"),
        (2e9, "2.0 GB"),
        (999_960_000_000, "1.0 TB"),
        (5e13, "50.0 TB"),
    ],
)
def test_format_size(count: float, text: str) -> None:
    assert format_size(count) == text


def test_what_a_later_line_of_the_same_source_replaces_is_left_out() -> None:
    lines = [
        ("a", "0%\r"),
        ("b", "0%\r"),
        ("a", "between"),
        ("a", "\r50%\r"),
        ("b", "\rdone"),
        ("a", "\r100%"),
        ("a", "\rof a child process"),
        ("a", "last"),
    ]
    kept = without_overwritten(lines, lambda line: line)
    assert kept == [
        ("a", "between"),
        ("b", "\rdone"),
        ("a", "\r100%"),
        ("a", "\rof a child process"),
        ("a", "last"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("there is no file a.pkl", "There is no file a.pkl"),
        ('the service\'s name, "a b"', 'The service\'s name, "a b"'),
        ("data[1]: expected 3 values", "data[1]: expected 3 values"),
        ("score.py cannot be read", "score.py cannot be read"),
        ("run() takes no argument", "run() takes no argument"),
        ("", ""),
    ],
)
def test_a_sentence_begins_with_a_capital_and_a_name_with_its_own(text: str, expected: str) -> None:
    assert capital(text) == expected
