"""Whole runs, each part in a process of its own, against a server that makes its delays on purpose."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.latency.measuring import MAX_LAG, Measurement
from mldeploy_jupyter.latency.recording import RECORD, Outcome, Phase, read_samples
from tests.benchmarks.latency.lab import KnownServer, Seen, begin, measure
from tests.polling import stop_process, wait_until


def outcomes(samples: np.ndarray[Any, Any]) -> dict[Outcome, int]:
    """How many samples have each outcome."""
    return {Outcome(int(one)): int((samples["outcome"] == one).sum()) for one in np.unique(samples["outcome"])}


def wait_for_samples(measurement: Measurement, count: int) -> None:
    wait_until(lambda: len(read_samples(measurement.samples)) >= count, what=f"{count} samples")


@pytest.mark.parametrize("profile", [("fixed", 20), ("bimodal", 10, 60, 0.2)])
def test_it_reports_the_delays_that_the_server_measured(profile: tuple[object, ...]) -> None:
    with KnownServer(*profile) as server:
        seen = measure([server.uri], rate=100.0, duration=3.0, warmup=0)
        delays = server.read_delays()
    assert seen.ending.reason == "finished" and len(seen.samples) == len(delays) == 300
    assert np.percentile(seen.latencies, 50) == pytest.approx(np.percentile(delays, 50), rel=0.1, abs=5)


def test_an_open_loop_sees_a_stall_that_a_closed_one_misses() -> None:
    with KnownServer("stall", 2, 200, 1000) as server:
        opened = measure([server.uri], rate=100.0, duration=4.0)
        closed = measure([server.uri], mode="closed", users=1, duration=4.0)
    # A fifth of all times are in a stall, a tenth in its first half. A busy machine delays requests by less.
    seen_open, seen_closed = ((one.latencies > 100).mean() for one in (opened, closed))
    assert seen_open > 0.07 and seen_closed < seen_open / 2, (seen_open, seen_closed)
    assert closed.ending.rate is None


def test_a_thousand_requests_a_second_in_bounded_memory() -> None:
    with KnownServer("fixed", 0) as server:
        seen = measure([server.uri], rate=1000.0, duration=3.0)
    assert outcomes(seen.samples) == {Outcome.OK: 3000}
    late = seen.ending.lag["p99"]
    assert (
        seen.ending.invalid_reason == "" if late <= MAX_LAG else f"late by {late:.1f} ms" in seen.ending.invalid_reason
    )


def test_a_service_that_dies_in_the_middle_ends_and_the_others_go_on(tmp_path: Path) -> None:
    with KnownServer("fixed", 2) as dying, KnownServer("fixed", 2) as living:
        measurement = begin([dying.uri, living.uri], tmp_path / "samples", rate=50.0, duration=8.0)
        wait_for_samples(measurement, 60)
        dying.kill()
        ending = measurement.wait()
    samples = read_samples(tmp_path / "samples")
    dead, alive = (samples[samples["service"] == at] for at in (0, 1))
    assert ending.reason == "finished"
    assert [service["died"] for service in ending.services] == [True, False]
    assert outcomes(alive) == {Outcome.OK: 405}
    assert outcomes(dead)[Outcome.NO_CONNECTION] >= 3 and len(dead) < 405
    (note,) = [note for note in ending.notes if note["kind"] == "died"]
    assert note["service"] == 0 and note["text"].startswith("refused every connection for ")


def test_a_service_that_is_gone_for_good_ends_the_run(tmp_path: Path) -> None:
    with KnownServer("fixed", 2) as server:
        pass
    ending = begin([server.uri], tmp_path / "samples", rate=50.0, duration=600.0).wait()
    assert ending.reason == "died" and ending.elapsed < 300


def test_a_service_that_comes_back_is_measured_on(tmp_path: Path) -> None:
    with KnownServer("fixed", 2) as first:
        measurement = begin([first.uri], tmp_path / "samples", rate=50.0, duration=600.0)
        wait_for_samples(measurement, 40)

    def count(outcome: Outcome) -> int:
        return outcomes(read_samples(measurement.samples)).get(outcome, 0)

    wait_until(lambda: count(Outcome.NO_CONNECTION), what="a refused connection")
    with KnownServer("fixed", 2, port=first.port):
        before = count(Outcome.OK)
        wait_until(lambda: count(Outcome.OK) > before + 60 or not measurement.running, what="it to be measured on")
        assert measurement.stop().reason == "cancelled"


@pytest.mark.parametrize(
    ("status", "outcome"), [(429, Outcome.THROTTLED), (503, Outcome.UNAVAILABLE), (500, Outcome.SERVER_ERROR)]
)
def test_a_service_that_refuses_is_reported_by_kind(status: int, outcome: Outcome) -> None:
    with KnownServer("status", status, 1) as server:
        seen = measure([server.uri], rate=50.0, duration=1.0)
    assert outcomes(seen.samples) == {outcome: 50}
    assert seen.ending.services[0]["failed"] == 50
    noted = {Outcome.THROTTLED: ["throttled"], Outcome.UNAVAILABLE: ["unavailable"]}
    assert [note["kind"] for note in seen.ending.notes] == noted.get(outcome, [])


def test_a_service_that_hangs_counts_at_the_time_out() -> None:
    with KnownServer("hang") as server:
        seen = measure([server.uri], rate=20.0, duration=1.0, timeout=0.5, warmup=0)
    assert outcomes(seen.samples) == {Outcome.TIMEOUT: 20}
    assert (seen.latencies >= 500).all()


def test_a_cancelled_run_keeps_what_was_measured(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    with KnownServer("fixed", 2) as server:
        measurement = begin([server.uri], tmp_path / "samples", events.append, rate=50.0, duration=600.0)
        wait_for_samples(measurement, 30)
        with pytest.raises(TimeoutError):
            measurement.wait(0.01)
        measurement.cancel()
        ending = measurement.wait(60)
    assert ending.reason == "cancelled" and 0.3 < ending.services[0]["seconds"] < 60 and not measurement.running
    assert [event["type"] for event in events][-1] == "end" and "progress" in {event["type"] for event in events}
    assert len(read_samples(measurement.samples)) >= 30


def test_a_view_that_fails_does_not_end_the_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    told: list[dict[str, Any]] = []

    def view(event: dict[str, Any]) -> None:
        told.append(event)
        raise ZeroDivisionError

    with KnownServer("fixed", 2) as server:
        ending = begin([server.uri], tmp_path / "samples", view, rate=50.0, duration=0.5).wait()
    assert ending.reason == "finished" and len(told) == 1
    assert capfd.readouterr().err.count("Traceback") == 1


def test_a_run_that_is_cancelled_before_it_has_begun(tmp_path: Path) -> None:
    with KnownServer("fixed", 2) as server:
        assert begin([server.uri], tmp_path / "samples", rate=50.0, duration=600.0).stop().reason == "cancelled"


@pytest.mark.parametrize("with_service", [False, True], ids=["the generator alone", "the service as well"])
def test_a_generator_that_is_stopped_cuts_the_run_there(tmp_path: Path, with_service: bool) -> None:
    with KnownServer("fixed", 2) as server:
        measurement = begin([server.uri], tmp_path / "samples", rate=50.0, duration=600.0)
        wait_for_samples(measurement, 30)
        stopped = [measurement.pid, server.pid] if with_service else [measurement.pid]
        for pid in stopped:
            stop_process(pid)
        pause = threading.Event()
        pause.wait(2.5)  # the gap that it has to find
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        ending = measurement.wait(60)
    samples = read_samples(measurement.samples)
    assert ending.reason == "stalled"  # the machine was awake
    assert [note["kind"] for note in ending.notes] == ["stalled"]
    # On a machine that is very busy, it may have stood still before it was stopped.
    assert ending.notes[0]["time"] - samples["done"].max() > 1.0
    assert ending.lag["max"] < 1000


# A busy machine makes a load late by more than 1 ms in any second; by 100 ms only what stops it.
LATE_BY_100_MS = """
from mldeploy_jupyter.latency.generator import lag
lag.LATE_SECONDS = 0.1
from mldeploy_jupyter.latency.generator.__main__ import main
main()
"""


def test_a_second_in_which_the_load_stood_still_is_left_out_and_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mldeploy_jupyter.latency.measuring.GENERATOR", ["-c", LATE_BY_100_MS])
    monkeypatch.setattr("mldeploy_jupyter.latency.measuring.MAX_LAG", 100.0)
    with KnownServer("fixed", 2) as server:
        measurement = begin([server.uri], tmp_path / "samples", rate=100.0, duration=12.0, warmup=0)
        wait_for_samples(measurement, 220)
        stop_process(measurement.pid)
        threading.Event().wait(0.5)  # half a second is no sleep of the machine
        os.kill(measurement.pid, signal.SIGCONT)
        ending = measurement.wait(60)
    assert ending.reason == "finished" and ending.lag["p99"] > 100 and ending.invalid_reason == ""
    assert ending.left_out in ([2], [2, 3])
    assert len(ending.blocks) == 12 + len(ending.left_out)
    stopped = [block for block in ending.blocks if block[0] in ending.left_out]
    assert max(block[6] for block in stopped) > 400
    samples = read_samples(measurement.samples)
    seen = Seen(samples, ending)
    assert len(samples) == 100 * len(ending.blocks) and len(seen.latencies) == 1200
    assert seen.latencies.max() < 400 < (samples["done"] - samples["planned"]).max() * 1000


def test_a_generator_that_is_killed_is_an_error_and_what_it_wrote_is_there(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    with KnownServer("fixed", 2) as server:
        measurement = begin([server.uri], tmp_path / "samples", events.append, rate=50.0, duration=600.0)
        wait_for_samples(measurement, 30)
        os.kill(measurement.pid, signal.SIGKILL)
        with pytest.raises(MldeployError) as caught:
            measurement.wait(60)
    assert str(caught.value).splitlines() == [
        "error: the load's own process ended before the run did",
        "cause: signal 9 ended it",
        "hint: run it again; what was measured until then is kept: mldeploy latency list",
    ]
    assert measurement.ending().invalid_reason and events[-1]["reason"] == "crashed"
    assert (tmp_path / "samples").stat().st_size >= 30 * RECORD.size


CALLER = """
import sys, json
from pathlib import Path
from tests.benchmarks.latency.lab import begin
measurement = begin([sys.argv[1]], Path(sys.argv[2]), rate=50.0, duration=600.0)
print(measurement.pid, flush=True)
try:
    measurement.wait()
except KeyboardInterrupt:
    print(json.dumps(measurement.ending().to_dict()), flush=True)
"""


@pytest.fixture
def caller(tmp_path: Path) -> Any:
    """Starts a process that measures an address, and returns it with the pid of its generator."""
    started: list[subprocess.Popen[str]] = []

    def start(uri: str) -> tuple[subprocess.Popen[str], int]:
        process = subprocess.Popen(
            [sys.executable, "-c", CALLER, uri, str(tmp_path / "samples")], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        return process, int(process.stdout.readline())

    yield start
    for process in started:
        process.kill()
        process.communicate()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_the_load_ends_with_the_process_that_measures(caller: Any, tmp_path: Path) -> None:
    with KnownServer("fixed", 2) as server:
        process, generator = caller(server.uri)
        wait_until(lambda: server.count() > 30)
        process.kill()
        wait_until(lambda: not alive(generator), 60, "the generator to end")
    samples = read_samples(tmp_path / "samples")
    assert len(samples) > 20 and (samples["phase"] == Phase.MEASURED).any()


def test_an_interrupt_ends_the_run_and_its_report_is_there(caller: Any) -> None:
    with KnownServer("fixed", 2) as server:
        process, generator = caller(server.uri)
        wait_until(lambda: server.count() > 30)
        process.send_signal(signal.SIGINT)
        ending = json.loads(process.communicate(timeout=60)[0])
        assert ending["reason"] == "cancelled" and ending["services"][0]["done"] > 10
        assert not alive(generator)
