"""Workers in which nothing moves."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mldeploy_jupyter.serving.ipc.scoreboard import BEAT, STUCK, Scoreboard
from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.supervisor.watchdog import GRACE, LockDetector, check_heartbeat, silent_seconds
from tests.unit.serving.supervisor.fakes import FakeLog, FakeWorker


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
