"""The record of a start, for those who ask while it runs and after it."""

from __future__ import annotations

import threading
from typing import Any

from mldeploy_jupyter.serving.container.start_record import MAX_EVENTS, StartRecord
from tests.polling import wait_until


def test_everybody_gets_all_events_and_the_answer() -> None:
    record, early, answers = StartRecord(), [], []
    record.add({"event": "stage", "stage": "rollout"})
    thread = threading.Thread(target=lambda: answers.append(record.follow(early.append)))
    thread.start()
    wait_until(lambda: len(early) == 1)
    assert not record.await_follower(0)
    record.add({"event": "log", "text": "a line"})
    record.finish({"ok": True})
    thread.join(10)
    late: list[dict[str, Any]] = []
    assert answers == [{"ok": True}] == [record.follow(late.append)]
    assert [event["event"] for event in late] == ["stage", "log"] and early == late
    assert record.await_follower(0)


def test_a_script_that_prints_much_fills_no_memory() -> None:
    record, events = StartRecord(), []
    for number in range(MAX_EVENTS + 10):
        record.add({"event": "log", "text": str(number)})
    record.add({"event": "stage", "stage": "probe"})
    record.finish({"ok": True})
    record.follow(events.append)
    assert len(events) == MAX_EVENTS + 1 and events[-1]["event"] == "stage"
