"""A timeline is what its journal adds up to."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mldeploy_jupyter.core.journal import Timeline, apply_event, fold, update_elapsed
from mldeploy_jupyter.core.journal.journal import STAGES, Event
from mldeploy_jupyter.core.journal.timeline import LOG_LINES_KEPT
from tests.unit.core.journal.journals import (
    CAUSE,
    IMAGE_STAGES,
    JOURNALS,
    NEEDED,
    begun,
    building,
    failed,
    live,
    running,
)


def test_a_stage_that_was_cancelled_did_not_fail() -> None:
    script = running().at(11.9, "rollout", "failed", "cancelled").at(12, "", "state", "cancelled", state="cancelled")
    stage = fold(script.events).stage("rollout")
    assert stage is not None and (stage.status, stage.detail) == ("Cancelled", "")


def test_every_stage_ends_with_a_status():
    def words(writer):
        return [stage.status for stage in fold(writer.events).stages]

    assert words(running())[2:4] == ["Running", "Not needed"] and words(running())[4] == "Waiting"
    assert words(live()) == ["Done", "Done", "Done", "Not needed", "Done", "Done", "Done"]
    assert words(failed())[2:] == ["Failed", "Not needed", "Not reached", "Not reached", "Not reached"]
    assert words(JOURNALS["cancelled"])[2] == "Cancelled" and words(JOURNALS["interrupted"])[2] == "Interrupted"
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
    assert stage.lines == timeline.lines == 5 * LOG_LINES_KEPT


def test_a_new_timeline_has_all_seven_stages():
    assert [stage.id for stage in Timeline().stages] == [name for name in STAGES if name != "image"]


def test_an_image_takes_the_place_of_the_environment():
    timeline = fold(JOURNALS["image"].events)
    assert [stage.id for stage in timeline.stages] == IMAGE_STAGES
    assert len(IMAGE_STAGES) == 7


def test_a_step_ends_when_the_next_one_begins_and_the_last_with_its_stage():
    writer = building()
    stage = fold(writer.events).stage("image")
    assert stage is not None
    assert [(step.title, step.status, step.seconds) for step in stage.steps] == [
        ("1/3 Python environment", "Done", 6.0),
        ("2/3 model churn:3", "Running", 0.0),
    ]
    assert (stage.detail, stage.fraction, stage.steps[1].fraction) == ("model churn:3", 0.6, 0.6)
    stage = fold(writer.at(10, "image", "failed", "no space left", seconds=8.4).events).stage("image")
    assert stage is not None
    assert [(step.status, step.seconds, step.fraction) for step in stage.steps] == [
        ("Done", 6.0, None),
        ("Failed", 2.0, None),
    ]


@pytest.mark.parametrize("number", [float("inf"), float("nan"), 10**400])
def test_numbers_that_no_journal_should_hold_are_left_out(number: float) -> None:
    event = Event(seq=0, time="2025-06-12T14:00:00.000Z", stage="", kind="state", data={"revision": number})
    assert fold([event]).revision == 0
