"""Workers in which nothing moves."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mldeploy_jupyter.serving.ipc.scoreboard import BEAT, STUCK, Scoreboard
from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.supervisor.watchdog import (
    GRACE,
    SILENT_CHECKS,
    STOPPED_CHECKS,
    LockDetector,
    Watchdog,
    check_heartbeat,
    find_hang,
    silent_seconds,
)
from mldeploy_jupyter.serving.system import procfs
from tests.polling import wait_until
from tests.unit.serving.supervisor.fakes import FakeLog, FakeWorker, pids


def silent_worker(seconds: float, timeout_ms: int = 1000) -> FakeWorker:
    """A live worker that has a request in flight and has been silent for so long."""
    worker = FakeWorker(Settings(scoring_timeout_ms=timeout_ms), scoreboard=Scoreboard())
    worker.slot, worker.state = worker.scoreboard.assign_slot(), "live"
    slot = worker.scoreboard.slot(worker.slot)
    slot.begin_request(b"r")
    slot.fields[BEAT] = int((time.monotonic() - seconds) * 1000)
    return worker


def test_a_worker_that_is_silent_beyond_its_deadline_is_ended() -> None:
    worker, log = silent_worker(1 + GRACE + 1), FakeLog()
    check_heartbeat(worker, log)
    assert worker.killed and worker.exit_failure()["code"] == "run-locked"
    assert worker.scoreboard.service_fields[STUCK] == 1 and "global lock for 7 s" in log.texts[0]


@pytest.mark.parametrize(("seconds", "timeout_ms"), [(1.0, 1000), (1 + GRACE - 1, 1000), (100.0, 0)])
def test_a_worker_within_its_deadline_or_without_one_is_left_alone(seconds: float, timeout_ms: int) -> None:
    worker = silent_worker(seconds, timeout_ms)
    check_heartbeat(worker, FakeLog())
    assert not worker.killed


def test_only_a_serving_worker_with_a_request_in_flight_counts_as_silent() -> None:
    worker = silent_worker(100)
    assert silent_seconds(worker) == pytest.approx(100, abs=5)
    worker.state = "starting"
    assert silent_seconds(worker) is None
    worker.state = "draining"
    worker.scoreboard.slot(worker.slot).fields[:] = worker.scoreboard.slot(0).fields  # nothing in flight
    assert silent_seconds(worker) is None


def process(proc: Path, wchan: str, ticks: int) -> None:
    """Writes a process 7 that waits in the kernel's function `wchan` and has used so much CPU."""
    (proc / "7").mkdir(parents=True, exist_ok=True)
    (proc / "7" / "wchan").write_text(wchan)
    fields = ["S", "1", *["0"] * 9, str(ticks), "0", *["0"] * 6, "100", *["0"] * 40]
    (proc / "7" / "stat").write_text("7 (python) " + " ".join(fields))


def test_time_without_work_counts_while_a_process_waits_for_a_lock(tmp_path: Path) -> None:
    process(tmp_path, "futex_wait_queue", 5)
    detector = LockDetector(7, tmp_path)
    assert detector.locked_seconds() == 0  # it has worked since it was started
    time.sleep(0.02)
    assert detector.locked_seconds() >= 0.02 and detector.is_locked()
    process(tmp_path, "futex_wait_queue", 6)
    assert detector.locked_seconds() == 0
    process(tmp_path, "do_sys_poll", 6)
    time.sleep(0.02)
    assert detector.locked_seconds() == 0 and not detector.is_locked()


def test_a_process_that_cannot_be_read_is_not_locked(tmp_path: Path) -> None:
    detector = LockDetector(7, tmp_path)
    assert detector.locked_seconds() == 0 and not detector.is_locked()


def beating_worker(pid: int = 0, **facts: object) -> FakeWorker:
    """A live worker that beats also without requests."""
    worker = silent_worker(0)
    worker.pid, worker.ready = pid or next(pids), {"event": "ready", "heartbeat": 2.0, **facts}
    worker.scoreboard.slot(worker.slot).end_request(-1)
    return worker


def check_often(worker: FakeWorker, times: int, each: Callable[[], None] = lambda: None) -> FakeLog:
    log = FakeLog()
    watchdog = Watchdog(lambda: [worker], log)
    for _ in range(times):
        each()
        watchdog.check()
    return log


def test_a_worker_without_a_request_whose_loop_stands_still_is_ended() -> None:
    worker = beating_worker()
    assert "event loop has not moved" in check_often(worker, SILENT_CHECKS + 1).texts[0]
    assert worker.killed and worker.exit_failure()["code"] == "worker-hung"
    assert worker.scoreboard.service_fields[STUCK] == 1


def test_a_worker_that_beats_is_left_alone() -> None:
    worker = beating_worker()
    fields = worker.scoreboard.slot(worker.slot).fields

    def beat() -> None:
        fields[BEAT] += 1

    check_often(worker, 3 * SILENT_CHECKS, beat)
    assert not worker.killed


def test_a_worker_of_an_older_version_beats_only_with_requests() -> None:
    worker = beating_worker()
    worker.ready = {"event": "ready"}
    check_often(worker, 3 * SILENT_CHECKS)
    assert not worker.killed


def test_a_call_that_keeps_the_global_lock_has_its_time_limit() -> None:
    """Nothing in the worker answers then. Where another thread does, the lock is free, and only the loop hangs."""
    worker = beating_worker()
    worker.scoreboard.slot(worker.slot).begin_request(b"r")
    worker.answers["stack"] = None
    check_often(worker, 3 * SILENT_CHECKS)
    assert not worker.killed
    worker.answers["stack"] = {"frames": []}
    check_often(worker, SILENT_CHECKS + 1)
    assert worker.killed


@pytest.mark.parametrize("ended", [False, True])
def test_a_call_that_ends_while_the_worker_is_asked_gives_it_time_to_beat(ended: bool) -> None:
    """Its other threads answer at once; the loop beats a moment later."""
    worker = beating_worker()
    slot = worker.scoreboard.slot(worker.slot)
    slot.begin_request(b"r")
    asked = 0

    def request(kind: str, timeout: float) -> dict[str, object]:
        nonlocal asked
        asked += 1
        return {"frames": []}

    worker.request = request  # type: ignore[method-assign]
    watchdog = Watchdog(lambda: [worker], FakeLog())
    while not asked:
        watchdog.check()
    if ended:
        slot.end_request(-1)
        watchdog.check()
    assert not worker.killed
    slot.fields[BEAT] += 1
    for _ in range(SILENT_CHECKS):
        watchdog.check()
    assert not worker.killed
    watchdog.check()
    assert worker.killed


def test_a_worker_that_a_signal_stopped_is_ended_in_any_state() -> None:
    with sleeping_process() as pid:
        worker = beating_worker(pid)
        worker.state = "starting"
        assert check_often(worker, STOPPED_CHECKS).texts == []
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: procfs.is_stopped(pid))
        assert find_hang(worker) == "a signal has stopped its process"
        assert "a signal has stopped" in check_often(worker, STOPPED_CHECKS).texts[0]
        assert worker.killed and worker.exit_failure()["stage"] == "import"


def test_a_worker_that_runs_between_the_checks_is_not_ended_although_each_finds_it_stopped() -> None:
    with sleeping_process() as pid:
        worker, log = beating_worker(pid), FakeLog()
        watchdog = Watchdog(lambda: [worker], log)
        for _ in range(2 * STOPPED_CHECKS):
            os.kill(pid, signal.SIGSTOP)
            wait_until(lambda: procfs.is_stopped(pid))
            watchdog.check()
            os.kill(pid, signal.SIGCONT)
            wait_until(lambda: not procfs.is_stopped(pid))
        assert log.texts == []
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: procfs.is_stopped(pid))
        for _ in range(STOPPED_CHECKS - 1):
            watchdog.check()
        assert log.texts == []
        watchdog.check()
        assert worker.killed


def test_a_live_worker_is_asked_whether_it_answers() -> None:
    worker = beating_worker()
    assert find_hang(worker) == ""
    worker.answers["ping"] = None
    assert "has not answered" in find_hang(worker)
    worker.scoreboard.slot(worker.slot).begin_request(b"r")  # a call of run() may keep it busy
    assert find_hang(worker) == ""
    worker.ready = {}
    worker.scoreboard.slot(worker.slot).end_request(-1)
    assert find_hang(worker) == ""  # of an older version: it does not know the question


@contextmanager
def sleeping_process() -> Iterator[int]:
    process = subprocess.Popen(["sleep", "60"])
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()
