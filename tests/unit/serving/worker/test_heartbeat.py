"""A worker whose script's thread takes nothing is found, and one that is busy or quick is left alone."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from mldeploy_jupyter.serving.ipc.scoreboard import BEAT, Scoreboard
from mldeploy_jupyter.serving.worker.heartbeat import SCRIPT_SILENCE, Heartbeat
from mldeploy_jupyter.serving.worker.script_thread import AsyncScriptThread, ScriptThread
from tests.polling import wait_until


class Clockwork:
    """A heartbeat without a loop: `tick(seconds)` beats once, so much later."""

    oldest: object = None
    running = False

    def __init__(self, script_thread: ScriptThread | None) -> None:
        self.now = 0.0
        self.stuck = 0
        self.scheduled = 0
        scoreboard = Scoreboard()
        self.slot = scoreboard.slot(scoreboard.assign_slot())
        self._heartbeat = Heartbeat(
            self,  # type: ignore[arg-type]
            self.slot,
            self,  # type: ignore[arg-type]
            lambda: script_thread,
            self._count,
            lambda: self.now,
        )

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self.scheduled += 1

    def tick(self, seconds: float = 2.0) -> None:
        self.now += seconds
        self._heartbeat.beat()

    def _count(self) -> None:
        self.stuck += 1


def test_each_beat_writes_the_time_and_schedules_the_next() -> None:
    clockwork = Clockwork(None)
    clockwork.tick()
    assert abs(clockwork.slot.fields[BEAT] / 1000 - time.monotonic()) < 5 and clockwork.scheduled == 1


def test_a_thread_that_takes_no_job_is_reported_once() -> None:
    clockwork = Clockwork(ScriptThread())  # nobody serves it
    for _ in range(20):
        clockwork.tick()
    assert clockwork.stuck == 1
    assert clockwork.now > SCRIPT_SILENCE


def test_a_thread_that_makes_calls_or_has_taken_jobs_is_left_alone() -> None:
    clockwork = Clockwork(ScriptThread())
    clockwork.running = True
    for _ in range(20):
        clockwork.tick()
    clockwork.running = False
    for number in range(20):  # between two calls, each time with another request at the head of the queue
        clockwork.oldest = (number,)
        clockwork.tick()
    assert clockwork.stuck == 0
    for _ in range(4):
        clockwork.tick()
    assert clockwork.stuck == 1


def test_a_process_that_stood_still_blames_no_thread() -> None:
    clockwork = Clockwork(ScriptThread())
    clockwork.tick()
    clockwork.tick(60)
    clockwork.tick()
    assert clockwork.stuck == 0
    for _ in range(2):
        clockwork.tick()
    assert clockwork.stuck == 1


def test_an_idle_thread_answers_and_no_job_seems_to_wait() -> None:
    script_thread = ScriptThread()
    thread = threading.Thread(target=script_thread.serve)
    thread.start()
    try:
        for _ in range(3):
            wait_until(script_thread.poke())
            assert script_thread.waiting == 0
    finally:
        script_thread.stop()
        thread.join(60)


def test_a_sign_of_life_is_not_counted_as_waiting() -> None:
    script_thread = ScriptThread()
    answered = script_thread.poke()
    assert script_thread.waiting == 0 and not answered()


def test_an_async_thread_answers_from_its_loop() -> None:
    script_thread = AsyncScriptThread(asyncio.new_event_loop)
    answered = script_thread.poke()
    assert not answered()
    thread = threading.Thread(target=script_thread.serve)
    thread.start()
    wait_until(answered)
    script_thread.stop()
    thread.join(60)
    script_thread.user_loop.close()
