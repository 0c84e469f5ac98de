"""A deployment is followed live: redrawn on a terminal, line by line elsewhere."""

from __future__ import annotations

import io
import re
import threading
import time
from datetime import UTC, datetime
from itertools import count

import pytest

from mldeploy_jupyter.core.journal import fold, render_text
from mldeploy_jupyter.core.journal.journal import Event, Journal
from mldeploy_jupyter.core.journal.terminal import Clock, Screen, follow_deployment

NOW = datetime(2025, 6, 12, 14, 0, 9, tzinfo=UTC)
CAUSE = {
    "what": "init() raised KeyError",
    "why": "KeyError: 'coef_'",
    "hint": "%deploy diabetes",
    "where": "cell line 7",
}


def event(seq, stage, kind, text="", **data):
    return Event(seq, f"2025-06-12T14:00:0{seq}.000Z", stage, kind, text, data)


START = event(
    1, "", "state", state="running", service="diabetes", target="local", revision=1, stages=["check", "rollout"]
)
CHECKED = [event(2, "check", "started"), event(3, "check", "finished", "score.py, diabetes:7", seconds=0.1)]
ROLLING = [event(4, "rollout", "started"), event(5, "rollout", "log", "epoch 1\repoch 2\x1b[2J")]
LIVE = [START, *CHECKED, *ROLLING, event(6, "rollout", "finished", "1 worker", seconds=1.1)]
LIVE += [event(7, "", "state", state="live", scoring_uri="http://127.0.0.1:8890/score", seconds=1.3)]
FAILED = [START, *CHECKED, *ROLLING, event(6, "rollout", "failed", "init() raised KeyError", seconds=1.1)]
FAILED += [event(7, "", "state", "init() raised KeyError", state="failed", cause=CAUSE, seconds=1.3)]


class FakeTerminal(io.StringIO):
    """A terminal that carries out the control sequences it is written and fails on any other."""

    def __init__(self, rows: int = 24, columns: int = 80) -> None:
        super().__init__()
        self.lines, self.row, self.columns, self.rows = [""], 0, columns, rows

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        for token in re.findall(r"\x1b\[\d*[A-Za-z]|\x1b|[^\x1b\n\r]+|\n|\r", text):
            if token == "\n":
                self.row += 1
                if self.row == len(self.lines):
                    self.lines.append("")
            elif token == "\x1b[J":
                self.lines = [*self.lines[: self.row], ""]
            elif token == "\x1b[2K":
                self.lines[self.row] = ""
            elif up := re.fullmatch(r"\x1b\[(\d+)A", token):
                self.row = max(0, self.row - int(up[1]))
            elif token != "\r" and not re.fullmatch(r"\x1b\[\d*m", token):
                assert "\x1b" not in token, repr(token)
                self.lines[self.row] += token
                assert len(self.lines[self.row]) < self.columns
        return super().write(text)

    @property
    def shown(self) -> list[str]:
        return self.lines[: self.row]


def show(source, out, size=lambda: (80, 24), monotonic=time.monotonic, sleep=time.sleep, **options):
    clock = Clock(lambda: NOW, monotonic, sleep)
    return follow_deployment(source, Screen(out, size=size), clock=clock, **options)


def counter():
    """A monotonic clock that is a second later at each call, so that no drawing is skipped."""
    return map(float, count()).__next__


def test_without_a_terminal_every_finished_stage_is_one_line(snapshot):
    for name, events in {"live": LIVE, "failed": FAILED}.items():
        out = io.StringIO()
        timeline = show(events, out)
        assert timeline.ended
        assert "\x1b" not in out.getvalue()
        assert out.getvalue() == snapshot(name=name)


def test_on_a_terminal_the_last_drawing_is_the_timeline():
    for events in (LIVE, FAILED):
        screen = FakeTerminal()
        show(events, screen, monotonic=counter())
        assert screen.shown == render_text(fold(events), 79)
        assert screen.getvalue().count("\x1b[J") >= 3, "it was redrawn in place"


def test_a_running_stage_shows_its_last_lines_beneath():
    screen, seen = FakeTerminal(), []

    def events():
        yield from [START, *CHECKED, *ROLLING]
        yield event(6, "rollout", "progress", "init() has run for 5 s")
        seen.append(list(screen.shown))
        yield from LIVE[-2:]

    show(events(), screen, monotonic=counter())
    (lines,) = seen
    assert "     epoch 2" in lines
    assert lines[-1].startswith("Ctrl+C stops watching only.")
    assert not any("epoch" in line for line in screen.shown)


def test_a_flood_of_lines_is_drawn_a_few_times_only():
    log = [event(5, "rollout", "log", f"line {number}") for number in range(20_000)]
    screen = FakeTerminal()
    started = time.perf_counter()
    show([START, *CHECKED, ROLLING[0], *log, *LIVE[-2:]], screen)
    took = time.perf_counter() - started
    assert screen.getvalue().count("\x1b[J") <= took / 0.1 + 2
    assert screen.shown[-1].startswith("Live at")


def test_colour_is_for_terminals_that_want_it(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    screen = FakeTerminal()
    show(LIVE, screen)
    assert "\x1b[32m" in screen.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    screen = FakeTerminal()
    show(LIVE, screen)
    assert not re.search(r"\x1b\[\d+m", screen.getvalue())


@pytest.mark.parametrize("out", [FakeTerminal, io.StringIO])
def test_an_interrupt_leaves_the_drawing_whole_and_is_raised(out):
    def events():
        yield from [START, *CHECKED, *ROLLING]
        raise KeyboardInterrupt

    stream = out()
    with pytest.raises(KeyboardInterrupt):
        show(events(), stream)
    assert stream.getvalue().endswith("\n")
    assert "error:" not in stream.getvalue()


@pytest.mark.parametrize("out", [FakeTerminal, io.StringIO])
def test_a_caller_that_raises_the_error_can_leave_its_lines_out(out):
    stream = out()
    show(FAILED, stream, errors=False)
    assert "error:" not in stream.getvalue() and "✗ Roll out" in re.sub(r"\x1b\[\d*m", "", stream.getvalue())
    stream = out()
    show(LIVE, stream, errors=False)
    assert "Live at http://127.0.0.1:8890/score after 1.3 s" in stream.getvalue()


def test_a_narrow_terminal_is_never_overfull():
    screen = FakeTerminal(columns=30)
    show(LIVE[:-1], screen, size=lambda: (30, 24))
    assert len(screen.shown) == 4 and all(len(line) < 30 for line in screen.shown)


def test_a_low_terminal_is_redrawn_within_its_rows():
    screen = FakeTerminal()
    show(LIVE, screen, size=lambda: (80, 6), monotonic=counter())
    assert max(int(rows) for rows in re.findall(r"\x1b\[(\d+)A", screen.getvalue())) <= 5
    assert screen.shown == render_text(fold(LIVE), 79)


def test_a_terminal_made_narrower_is_redrawn_from_its_first_row():
    screen, widths = FakeTerminal(), [80]

    def events():
        yield from LIVE[:-1]
        widths[0] = 40
        yield LIVE[-1]

    show(events(), screen, size=lambda: (widths[0], 24), monotonic=counter())
    ups = [int(rows) for rows in re.findall(r"\x1b\[(\d+)A", screen.getvalue())]
    assert ups[-1] > 6, "the old lines take more rows than there were lines"


def test_a_stream_without_unicode_gets_none_and_never_fails():
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    odd = event(6, "rollout", "failed", "naïve \udc80 漢字", seconds=1)
    show([START, *CHECKED, ROLLING[0], odd, FAILED[-1]], out)
    assert b"ok Check" in raw.getvalue() and b"!! Roll out" in raw.getvalue() and b"na\\xefve" in raw.getvalue()


def test_a_journal_is_followed_while_it_is_written(tmp_path):
    path = tmp_path / "events.jsonl"
    out, shown = io.StringIO(), threading.Event()
    results = []

    class Waiting(io.StringIO):
        def write(self, text):
            if "Check" in text:
                shown.set()
            return out.write(text)

    thread = threading.Thread(target=lambda: results.append(follow_deployment(path, Screen(Waiting()))))
    thread.start()
    journal = Journal(path)
    journal.write("", "state", state="running", service="diabetes", target="local", stages=["check"])
    journal.write("check", "started")
    journal.write("check", "finished", "score.py", seconds=0.1)
    assert shown.wait(60), "a finished stage is shown at once, before the deployment ends"
    assert "Live at" not in out.getvalue()
    journal.write("", "state", state="live", scoring_uri="http://127.0.0.1:1/score", seconds=0.5)
    thread.join(60)
    journal.close()
    assert results[0].state == "Live"
    assert out.getvalue().endswith("Live at http://127.0.0.1:1/score after 0.5 s\n")


def test_following_stops_when_told_to_and_time_goes_on_until_then(tmp_path):
    path, sleeps = tmp_path / "events.jsonl", []
    journal = Journal(path)
    journal.write("", "state", state="running", service="diabetes", target="local", stages=["check"])
    journal.write("check", "started")
    journal.close()
    screen = FakeTerminal()
    timeline = show(path, screen, stop=lambda: len(sleeps) >= 5, sleep=sleeps.append, monotonic=counter())
    assert not timeline.ended and max(sleeps) <= 0.05
    assert screen.getvalue().count("Check") >= 1
    assert "Ctrl+C" not in "".join(screen.shown), "nobody watches any more"


def test_a_missing_journal_is_waited_for_until_told_to_stop(tmp_path):
    out = io.StringIO()
    timeline = follow_deployment(tmp_path / "none.jsonl", Screen(out), stop=lambda: True)
    assert timeline.state == "Not started" and out.getvalue() == ""
