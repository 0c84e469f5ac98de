"""The timeline is a fold of the journal; its two plain forms are pinned."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mldeploy_jupyter.core.journal import (
    Timeline,
    apply_event,
    fold,
    format_duration,
    render_html,
    render_text,
    update_elapsed,
)
from mldeploy_jupyter.core.journal.journal import STAGES, Event
from mldeploy_jupyter.core.journal.timeline import LOG_LINES_KEPT
from mldeploy_jupyter.core.text import display_width, strip_colours

CAUSE = {
    "what": "init() could not read the model file",
    "why": "KeyError: 'coef_'. The file holds a Pipeline; its coefficients are in the last step",
    "hint": "load it with joblib and call predict, run the cell again, then deploy diabetes-regression again",
    "where": "cell [3] line 7, run at 14:03",
    "excerpt": [
        {"line": 6, "text": "    global coef", "guilty": False},
        {"line": 7, "text": "\tcoef = <1>", "guilty": True},
    ],
}
NEEDED = ["check", "bundle", "environment", "rollout", "probe", "switch"]


class Writer:
    """Events with numbers and times of their own."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def at(self, moment: float, stage: str, kind: str, text: str = "", **data) -> Writer:
        minutes, rest = divmod(moment, 60)
        time = f"2025-06-12T14:{int(minutes):02d}:{rest:06.3f}Z"
        self.events.append(Event(len(self.events) + 1, time, stage, kind, text, data))
        return self

    def stage(self, begin: float, end: float, stage: str, detail: str = "") -> Writer:
        return self.at(begin, stage, "started").at(end, stage, "finished", detail, seconds=end - begin)


def begun(**more) -> Writer:
    data = {"service": "diabetes-regression", "target": "local", "revision": 3, "operation": "deploy", "stages": NEEDED}
    last = {"rollout": 4.0, "probe": 0.0123}
    return Writer().at(0, "", "state", "", state="running", last_seconds=last, **{**data, **more})


def running() -> Writer:
    w = (
        begun()
        .stage(0, 0.4, "check", "score.py, diabetes:7, schema from the sample")
        .stage(0.4, 1.6, "bundle", "14 files, 3.1 MB")
    )
    w.at(1.6, "environment", "started").at(2, "environment", "log", "Resolved \x1b[32m3\x1b[0m packages\x1b[2J")
    w.at(2.5, "environment", "log", "careful", level="warning")
    return w.at(9, "environment", "progress", "412 of 660 MB", fraction=0.62)


def live() -> Writer:
    w = (
        running()
        .at(84, "environment", "finished", "made anew", seconds=82.4)
        .stage(84, 88, "rollout", "1 worker, port 8890")
    )
    w.stage(88, 88.0094, "probe", "sample scored").stage(88.01, 88.06, "switch", "from revision 2")
    return w.at(
        88.1, "", "state", "", state="live", scoring_uri="http://127.0.0.1:8890/score", revision=3, seconds=88.1
    )


def failed() -> Writer:
    w = running().at(10, "environment", "failed", "init() raised KeyError", seconds=8.4)
    return w.at(10, "", "state", CAUSE["what"], state="failed", cause=CAUSE, seconds=10.0, serving=2)


ENDS = {
    "running": running(),
    "live": live(),
    "failed": failed(),
    "cancelled": running().at(12, "", "state", "the deployment was cancelled", state="cancelled", serving=2),
    "interrupted": running().at(12, "", "state", "the runner died", state="interrupted"),
    "updating": begun(operation="update").at(0.1, "check", "started"),
    "nothing yet": Writer(),
    "failed before any stage": begun().at(
        0.2, "", "failed", "no such model", cause={"what": "no such model", "hint": "register it"}
    ),
    "image": begun(target="docker", titles={"environment": "Build image"}, stages=list(STAGES)),
}


@pytest.mark.parametrize("name", ENDS)
def test_the_terminal_form(name, snapshot):
    timeline = fold(ENDS[name].events)
    lines = render_text(timeline, log_lines=3, watching=True)
    assert "\n".join(lines) == snapshot
    assert all(display_width(line) <= 80 for line in lines)
    drawn = [line for line in lines if line.startswith(" ") and any(s.title in line for s in timeline.stages)]
    assert len(drawn) == (7 if name in ("nothing yet", "image") else 6), "a stage that the plan leaves out has no line"


def test_without_unicode_only_ascii_is_written(snapshot):
    assert "\n".join(render_text(fold(failed().events), unicode=False)) == snapshot(name="failed")
    assert "\n".join(render_text(fold(running().events), unicode=False)) == snapshot(name="running")
    for writer in ENDS.values():
        assert "\n".join(render_text(fold(writer.events), unicode=False, log_lines=3, watching=True)).isascii()


def test_colour_only_adds_sgr():
    for writer in ENDS.values():
        timeline = fold(writer.events)
        plain = render_text(timeline, log_lines=3, watching=True)
        coloured = render_text(timeline, colour=True, log_lines=3, watching=True)
        assert [strip_colours(line) for line in coloured] == plain
        assert coloured != plain or not timeline.service


def test_a_stage_that_was_cancelled_did_not_fail() -> None:
    script = running().at(11.9, "rollout", "failed", "cancelled").at(12, "", "state", "cancelled", state="cancelled")
    stage = fold(script.events).stage("rollout")
    assert stage is not None and (stage.status, stage.detail) == ("Cancelled", "")


@pytest.mark.parametrize("name", ["running", "live", "failed", "cancelled"])
def test_the_saved_form(name, snapshot):
    assert render_html(fold(ENDS[name].events)) == snapshot


def test_the_saved_form_is_one_heading_one_table_one_line_and_obeys_nobody():
    evil = '<script>alert("x")</script>\x1b[31m&'
    w = begun(service=evil).stage(0, 1, "check", evil)
    w.at(2, "", "state", evil, state="failed", cause={"what": evil, "why": evil, "hint": evil, "where": evil})
    html = render_html(fold(w.events))
    seen: list[tuple[str, list]] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: seen.append((tag, attrs))
    parser.feed(html)
    tags = [tag for tag, _ in seen]
    assert set(tags) <= {"p", "strong", "table", "thead", "tbody", "tr", "th", "td", "br", "code"}
    assert (tags.count("p"), tags.count("table"), tags.count("tr")) == (2, 1, 7)
    sides = {("style", "text-align: left"), ("style", "text-align: right")}
    assert {attribute for _, attrs in seen for attribute in attrs} == sides
    assert "\x1b" not in html and "<script" not in html


def test_every_stage_ends_with_a_word_that_says_how_it_was():
    def words(writer):
        return [stage.status for stage in fold(writer.events).stages]

    assert words(running())[2:4] == ["Running", "Not needed"] and words(running())[4] == "Waiting"
    assert words(live()) == ["Done", "Done", "Done", "Not needed", "Done", "Done", "Done"]
    assert words(failed())[2:] == ["Failed", "Not needed", "Not reached", "Not reached", "Not reached"]
    assert words(ENDS["cancelled"])[2] == "Cancelled" and words(ENDS["interrupted"])[2] == "Interrupted"
    skipped = begun().at(0, "bundle", "started").at(0, "bundle", "finished", "unchanged", skipped=True)
    assert words(skipped)[1] == "Not needed"
    without_failed_event = running().at(10, "", "state", "x", state="failed", cause=CAUSE)
    assert words(without_failed_event)[2] == "Failed"


def test_durations_come_from_the_monotonic_clock_not_from_the_times():
    w = begun().at(5, "check", "started").at(2, "check", "finished", seconds=0.7)  # the wall clock went back
    timeline = fold(w.events)
    assert timeline.stage("check").seconds == 0.7 and timeline.elapsed >= 0
    later = fold(running().events, now=datetime(2025, 6, 12, 14, 0, 30, tzinfo=UTC))
    assert later.elapsed == 30 and later.stage("environment").seconds == pytest.approx(28.4)
    earlier = fold(running().events, now=datetime(2025, 6, 12, 13, 0, tzinfo=UTC))
    assert earlier.elapsed == 0 and earlier.stage("environment").seconds == 0


def test_an_ended_deployment_does_not_age():
    timeline = fold(live().events, now=datetime(2026, 1, 1, tzinfo=UTC))
    assert timeline.elapsed == 88.1
    update_elapsed(timeline, datetime(2027, 1, 1, tzinfo=UTC))
    assert timeline.elapsed == 88.1


def test_last_durations_come_from_the_caller_or_the_journal():
    assert fold(begun().events).stage("rollout").last_seconds == 4.0
    assert fold(begun().events, previous={"rollout": 1.5}).stage("rollout").last_seconds == 1.5


def test_a_journal_that_is_continued_starts_its_stages_over():
    w = running().at(12, "", "state", "the runner died", state="interrupted")
    w.at(60, "", "state", "", state="running", stages=NEEDED).at(60, "check", "started")
    timeline = fold(w.events)
    assert timeline.state == "Deploying" and not timeline.ended and timeline.finished == ""
    assert [stage.status for stage in timeline.stages][:3] == ["Running", "Waiting", "Waiting"]


def test_a_flood_of_lines_keeps_the_last_ones():
    timeline = fold(begun().at(0, "check", "started").events)
    for number in range(5 * LOG_LINES_KEPT):
        apply_event(timeline, Event(number, "2025-06-12T14:00:01.000Z", "check", "log", str(number)))
    stage = timeline.stage("check")
    assert stage.log[-1] == str(5 * LOG_LINES_KEPT - 1) and LOG_LINES_KEPT <= len(stage.log) <= 2 * LOG_LINES_KEPT


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
def test_durations_are_written_as_the_design_says(seconds, text):
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


@settings(max_examples=300, deadline=None)
@given(st.lists(odd_events, max_size=12), st.integers(20, 200))
def test_any_journal_can_be_shown(events, width):
    timeline = fold(events, now=datetime(2025, 6, 12, 15, tzinfo=UTC))
    lines = render_text(timeline, width, log_lines=3, watching=True)
    assert not re.search(
        r"[\x00-\x1f\x7f-\x9f\u202e\ud800-\udfff]", "".join(lines) + render_html(timeline).replace("\n", "")
    )
    assert len(timeline.stages) == 7


def test_a_new_timeline_has_all_seven_stages():
    assert [stage.title for stage in Timeline().stages] == list(STAGES.values())


@pytest.mark.parametrize("number", [float("inf"), float("nan"), 10**400])
def test_numbers_that_no_journal_should_hold_are_left_out(number: float) -> None:
    event = Event(seq=0, time="2025-06-12T14:00:00.000Z", stage="", kind="state", data={"revision": number})
    assert fold([event]).revision == 0
