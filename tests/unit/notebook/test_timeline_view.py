"""The view of a timeline: kept up to date, at a limited rate, with the final state at the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mldeploy_jupyter.core.journal import Timeline
from mldeploy_jupyter.core.journal.journal import Journal
from mldeploy_jupyter.notebook.timeline_view import TimelineView


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 12, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def stamp(self) -> str:
        return self.now().isoformat(timespec="milliseconds")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Journal:
    return Journal(tmp_path / "events.jsonl", clock.stamp)


def begin(journal: Journal) -> None:
    journal.write("", "state", state="running", service="churn", target="local", revision=1, stages=["check", "bundle"])


def test_the_first_timeline_is_shown_before_the_first_event(tmp_path: Path, clock: Clock) -> None:
    shown: list[tuple[str, bool]] = []
    first = Timeline("Deploying", "churn", "local")
    view = TimelineView(
        tmp_path / "none.jsonl",
        lambda bundle, again: shown.append((bundle["text/plain"], again)),
        first=first,
        now=clock.now,
        clock=clock,
    )
    assert view.refresh() is False
    assert shown[0][0].startswith("churn   deploying to this machine") and shown[0][1] is False


def test_a_flood_of_events_is_at_most_four_updates_a_second(journal: Journal, clock: Clock) -> None:
    updates: list[float] = []
    view = TimelineView(journal.path, lambda *_: updates.append(clock.seconds), now=clock.now, clock=clock)
    begin(journal)
    journal.write("check", "started")

    def flood(seconds: float | None = None) -> bool:
        # Stands for Event.wait in the view's own loop: time passes and the runner writes.
        clock.seconds += seconds if seconds is not None else 0.0
        for number in range(50):
            journal.write("check", "progress", f"step {number} at {clock.seconds:.2f}")
        if clock.seconds >= 5:
            journal.write("", "state", state="live", scoring_uri="http://127.0.0.1:1/score", seconds=5.0)
        return view.timeline.ended

    view.ended.wait = flood  # type: ignore[method-assign, assignment]
    view.wait()
    assert 10 < len(updates) <= 5 * 4 + 2
    assert view.timeline.state == "Live"


def test_the_elapsed_time_advances_once_a_second(journal: Journal, clock: Clock) -> None:
    shown: list[str] = []
    view = TimelineView(
        journal.path, lambda bundle, again: shown.append(bundle["text/plain"]), now=clock.now, clock=clock
    )
    begin(journal)
    view.refresh()
    for _ in range(12):
        clock.seconds += 0.25
        view.refresh()
    assert len(shown) == 4 and shown[-1].splitlines()[0].endswith("3 s")


def test_a_silent_journal_makes_it_check_the_runner(journal: Journal, clock: Clock) -> None:
    checks: list[float] = []

    def check() -> None:
        checks.append(clock.seconds)
        journal.write("", "state", "its runner died", state="interrupted")

    view = TimelineView(journal.path, lambda *_: None, check_runner=check, now=clock.now, clock=clock)
    begin(journal)

    def tick(seconds: float | None = None) -> bool:
        clock.seconds += seconds or 0.0
        return view.timeline.ended

    view.ended.wait = tick  # type: ignore[method-assign, assignment]
    view.wait()
    assert len(checks) == 1 and checks[0] >= 2.0
    assert view.timeline.state == "Interrupted"


def test_catching_up_waits_for_the_last_event_of_an_ended_deployment(journal: Journal, clock: Clock) -> None:
    view = TimelineView(journal.path, lambda *_: None, is_over=lambda: True, now=clock.now, clock=clock)
    begin(journal)

    def late(seconds: float | None = None) -> bool:
        clock.seconds += seconds or 0.0
        journal.write("", "state", state="live", scoring_uri="http://127.0.0.1:1/score", seconds=1.0)
        return False

    view.ended.wait = late  # type: ignore[method-assign, assignment]
    assert view.catch_up() is True
    assert view.timeline.state == "Live"


def test_an_old_journal_keeps_its_times(journal: Journal, clock: Clock) -> None:
    begin(journal)
    clock.seconds += 7
    journal.write("", "state", "its runner died", state="interrupted")
    clock.seconds += 1000
    view = TimelineView(
        journal.path, lambda *_: None, first=Timeline("Deploying", "churn", "local"), now=clock.now, clock=clock
    )
    view.refresh()
    assert view.timeline.elapsed == pytest.approx(7.0)
