"""A timeline as plain text, pinned by snapshots."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mldeploy_jupyter.core.journal import fold, format_duration, render_html, render_text, stage_lines
from mldeploy_jupyter.core.journal.journal import Event
from mldeploy_jupyter.core.journal.timeline import StageView
from mldeploy_jupyter.core.text import display_width, strip_colours
from tests.unit.core.journal.journals import JOURNALS, failed, running


@pytest.mark.parametrize("name", JOURNALS)
def test_render_text(name, snapshot):
    timeline = fold(JOURNALS[name].events)
    lines = render_text(timeline, log_lines=3, watching=True)
    assert "\n".join(lines) == snapshot
    assert all(display_width(line) <= 80 for line in lines)
    drawn = [line for line in lines if line.startswith(" ") and any(s.title in line for s in timeline.stages)]
    assert len(drawn) == (7 if name in ("nothing yet", "image", "building") else 6), (
        "a stage that the plan leaves out has no line"
    )


def test_without_unicode_only_ascii_is_written(snapshot):
    assert "\n".join(render_text(fold(failed().events), unicode=False)) == snapshot(name="failed")
    assert "\n".join(render_text(fold(running().events), unicode=False)) == snapshot(name="running")
    for writer in JOURNALS.values():
        assert "\n".join(render_text(fold(writer.events), unicode=False, log_lines=3, watching=True)).isascii()


def test_colour_adds_only_control_sequences():
    for writer in JOURNALS.values():
        timeline = fold(writer.events)
        plain = render_text(timeline, log_lines=3, watching=True)
        coloured = render_text(timeline, colour=True, log_lines=3, watching=True)
        assert [strip_colours(line) for line in coloured] == plain
        assert coloured != plain or not timeline.service


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (-1, "0.0 s"),
        (0.0001, "0.1 ms"),
        (0.0094, "9.4 ms"),
        (0.00999, "10 ms"),
        (0.0994, "99 ms"),
        (0.0996, "0.1 s"),
        (0.4, "0.4 s"),
        (38.2, "38.2 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (84, "1 min 24 s"),
        (3599.6, "1 h 0 min"),
        (7500, "2 h 5 min"),
    ],
)
def test_format_duration(seconds, text):
    assert format_duration(seconds) == text


words = st.text(max_size=30)
odd_events = st.builds(
    Event,
    seq=st.integers(0, 9),
    time=st.sampled_from(["2025-06-12T14:00:00.000Z", "2025-06-12T13:00:00+02:00", "2025-06-12T14:00:00Z", "", "soon"]),
    stage=st.sampled_from(["", "check", "probe", "nowhere"]),
    kind=st.sampled_from(["started", "log", "progress", "finished", "state", "failed", "new"]),
    text=words,
    data=st.dictionaries(
        st.sampled_from(
            ["state", "fraction", "seconds", "cause", "stages", "last_seconds", "revision", "service", "level"]
        ),
        st.one_of(
            st.none(),
            words,
            st.floats(),
            st.booleans(),
            st.sampled_from(["live", "running", "failed"]),
            st.lists(words, max_size=2),
            st.just({"what": "x", "excerpt": [{"line": 1}]}),
        ),
        max_size=4,
    ),
)


@settings(max_examples=300)
@given(st.lists(odd_events, max_size=12), st.integers(20, 200))
def test_any_journal_renders_without_control_characters(events, width):
    timeline = fold(events, now=datetime(2025, 6, 12, 15, tzinfo=UTC))
    lines = render_text(timeline, width, log_lines=3, watching=True)
    assert not re.search(
        r"[\x00-\x1f\x7f-\x9f\u202e\ud800-\udfff]", "".join(lines) + render_html(timeline).replace("\n", "")
    )
    assert len(timeline.stages) == 7


def test_how_a_stage_ended_is_shown_in_full():
    text = "1 model; port 80 is reserved for the system's own services; choose one from 1024 on"
    stage = StageView("check", "Check", status="Done", detail=text)
    for width in (60, 80, 120):
        first, *rest = stage_lines(stage, width)
        assert all(display_width(line) <= width for line in (first, *rest))
        assert all(line.startswith(" " * 20) for line in rest)
        assert " ".join(line.split("   ")[-1].strip() for line in (first, *rest)) == text
    assert len(stage_lines(stage, 40)) == 1
    assert len(stage_lines(replace(stage, status="Running"), 60)) == 1
