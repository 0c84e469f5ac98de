"""Short runs of the load on this loop, against a server on the same one; clocks that are handed in."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest
import uvloop

from mldeploy_jupyter.latency.generator import housekeeping
from mldeploy_jupyter.latency.generator.lag import Watch
from mldeploy_jupyter.latency.generator.load import Load
from mldeploy_jupyter.latency.generator.recorder import Recorder
from mldeploy_jupyter.latency.payloads import Payload
from mldeploy_jupyter.latency.plan import LatencyPlan, PlannedService, check_plan, choose_duration
from mldeploy_jupyter.latency.recording import Outcome, Phase, read_samples
from mldeploy_jupyter.latency.summary import leave_out
from tests.unit.latency.generator.answering_thread import AnsweringThread


class Instant(asyncio.Protocol):
    """Answers everything at once, with the status that `said` returns."""

    def __init__(self, said: Callable[[bytes], int], opened: list[Any]) -> None:
        self.said, self.opened = said, opened

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.opened.append(transport)

    def data_received(self, data: bytes) -> None:
        status = self.said(data)
        if status:
            self.transport.write(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\nx-mldeploy-revision: 2-a\r\n\r\n" % status)


class Run:
    """What a run told and recorded."""

    def __init__(self, path: Path) -> None:
        self.path = path  # of its samples
        self.messages: list[dict[str, Any]] = []
        self.reason = ""
        self.report: dict[str, Any] = {}
        self.samples: np.ndarray[Any, Any] = np.array([])
        self.load: Any = None

    @property
    def measured(self) -> np.ndarray[Any, Any]:
        return self.samples[self.samples["phase"] == Phase.MEASURED]

    def notes(self, kind: str) -> list[str]:
        return [each["text"] for each in self.messages if each["type"] == "note" and each["kind"] == kind]


def run(
    folder: Path,
    services: int = 1,
    said: Callable[[bytes], int] = lambda request: 200,
    during: Callable[[Run], None] = lambda run: None,
    watch: Watch | None = None,
    key: Callable[[int], dict[str, Any]] = lambda asked: {"key": "K"},
    uri: str = "",
    **settings: Any,
) -> Run:
    """A run of a plan with `settings`, on the server at `uri` or on one of its own.

    `during` is called after 0.1 seconds. `key` answers the nth question for one.
    """
    path = folder / "samples.bin"
    found = Run(path)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        opened: list[Any] = []
        server = await loop.create_server(lambda: Instant(said, opened), "127.0.0.1", 0)
        address = uri or f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/score"
        planned = tuple(
            PlannedService(f"s{at}", address, cold=at == 0 and settings.get("warmup") != 0) for at in range(services)
        )
        plan = check_plan(LatencyPlan(planned, **{"warmup": 5, "duration": 0.3, "block": 0.1, **settings}))
        asked = 0

        def tell(message: dict[str, Any]) -> None:
            nonlocal asked
            found.messages.append(message)
            if message["type"] == "key":
                asked += 1
                answer = {"service": message["service"], "uri": address, **key(asked)}
                loop.call_soon(lambda: found.load.answer_key(answer))

        loop.call_later(0.1, during, found)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        origin = monotonic()
        recorder = Recorder(descriptor, services, origin)
        found.load = Load(plan, [Payload(b"{}")], recorder, tell, lambda: None, origin=origin, watch=watch)
        async with asyncio.timeout(20):
            found.reason = await found.load.run()
        found.report = found.load.report(found.reason)
        os.close(descriptor)
        server.close()
        for transport in opened:  # the loop would wait for them
            transport.abort()
        await asyncio.sleep(0.001)

    uvloop.run(main())
    found.samples = read_samples(path)
    return found


def once(happened: Callable[[Run], bool], act: Callable[[Run], None]) -> Callable[[Run], None]:
    """Acts when that has happened, however busy the machine is."""

    def look(run: Run) -> None:
        if happened(run):
            act(run)
        else:
            asyncio.get_running_loop().call_later(0.01, look, run)

    return look


def is_recorded(run: Run) -> bool:
    return len(read_samples(run.path)) >= 5


def test_every_planned_request_is_sent_and_recorded(tmp_path: Path) -> None:
    found = run(tmp_path, rate=100.0)
    assert found.reason == "finished" and len(found.measured) == 30
    assert np.allclose(np.diff(np.sort(found.measured["planned"])), 0.01)
    assert (found.samples["outcome"] == Outcome.OK).all() and (found.samples["revision"] == 2).all()
    assert [int((found.samples["phase"] == phase).sum()) for phase in Phase] == [1, 4, 30]
    assert (found.measured["planned"] <= found.measured["sent"]).all()
    assert (found.measured["sent"] <= found.measured["done"]).all()
    (service,) = found.report["services"]
    assert (service["planned"], service["sent"], service["done"], service["failed"]) == (30, 30, 30, 0)
    assert [block[:3] for block in found.report["blocks"]] == [[0, 0, 0], [1, 0, 0], [2, 0, 0]]


def test_services_take_turns_and_nothing_overlaps(tmp_path: Path) -> None:
    found = run(tmp_path, services=3, rate=100.0)
    assert np.bincount(found.measured["service"]).tolist() == [30, 30, 30]
    by_block = [found.measured[found.measured["block"] == block] for block in range(9)]
    assert all(len(set(each["service"].tolist())) == 1 for each in by_block if len(each))
    blocks = found.report["blocks"]
    for (_, _, _, begin, seconds, *_), following in itertools.pairwise(blocks):
        assert following[3] >= begin + seconds - 1e-5


def test_a_rate_is_chosen_from_the_warm_up(tmp_path: Path) -> None:
    found = run(tmp_path)
    assert 0 < found.report["rate"] <= 100 and "warm-up" in found.report["rate_reason"]
    assert len(found.measured) == len(np.arange(0, 0.3, 1 / found.report["rate"]))


def test_a_duration_is_chosen_with_the_rate(tmp_path: Path) -> None:
    """What p99 needs at a rate of 100 a second is ten seconds, instead of the most; here the run is ended before."""
    is_chosen = once(
        lambda found: any(each["type"] == "duration" for each in found.messages),
        lambda found: found.load.end("cancelled"),
    )
    found = run(tmp_path, duration=120.0, until_p99=True, during=is_chosen)
    needed = choose_duration(found.report["rate"])
    assert [each["seconds"] for each in found.messages if each["type"] == "duration"] == [needed] and needed < 120


def test_users_wait_for_their_answers(tmp_path: Path) -> None:
    found = run(tmp_path, mode="closed", users=3, max_requests=100_000)
    assert found.reason == "finished" and len(found.measured) > 30
    begins, ends = np.sort(found.measured["sent"]), np.sort(found.measured["done"])
    under_way = np.arange(1, len(begins) + 1) - np.searchsorted(ends, begins, side="right")
    assert under_way.max() <= 3
    assert sum(each["type"] == "key" for each in found.messages) == 1


def test_steps_of_a_ramp(tmp_path: Path) -> None:
    found = run(tmp_path, ramp=(50.0, 100.0), duration=0.2)
    assert np.bincount(found.measured["step"]).tolist() == [10, 20]


def test_a_ramp_ends_where_a_service_answers_fewer_than_half(tmp_path: Path) -> None:
    found = run(tmp_path, said=lambda request: 500, ramp=(50.0, 100.0), duration=0.2)
    assert set(found.measured["step"].tolist()) == {0} and len(found.notes("ramp")) == 1


def test_the_limit_on_requests_holds(tmp_path: Path) -> None:
    found = run(tmp_path, max_requests=12)
    assert found.reason == "limit" and len(found.samples) == 12 and len(found.notes("limit")) == 1


def test_a_service_that_never_answers_is_recorded_at_its_time_out(tmp_path: Path) -> None:
    found = run(tmp_path, said=lambda request: 0, rate=50.0, warmup=0, timeout=0.2, duration=0.2)
    assert found.reason == "finished" and set(found.samples["outcome"].tolist()) == {Outcome.TIMEOUT}
    waited = found.measured["done"] - found.measured["planned"] - found.measured["lag"] / 1000
    assert np.allclose(waited, 0.2, atol=1e-4)


def test_more_requests_than_connections_are_dropped_when_their_time_is_up(tmp_path: Path) -> None:
    found = run(tmp_path, said=lambda request: 0, rate=200.0, warmup=0, timeout=0.2, duration=0.2, connections=2)
    outcomes = np.bincount(found.measured["outcome"], minlength=10)
    assert outcomes[Outcome.DROPPED] >= 5 and outcomes[Outcome.TIMEOUT] >= 2
    assert np.isnan(found.measured["sent"][found.measured["outcome"] == Outcome.DROPPED]).all()
    assert found.report["services"][0]["dropped"] == outcomes[Outcome.DROPPED]


def test_a_cancelled_run_records_what_was_under_way(tmp_path: Path) -> None:
    found = run(
        tmp_path,
        said=lambda request: 0,
        rate=100.0,
        warmup=0,
        duration=60.0,
        during=lambda run: run.load.end("cancelled"),
    )
    assert found.reason == "cancelled" and len(found.samples) >= 5
    assert set(found.samples["outcome"].tolist()) == {Outcome.UNFINISHED}
    assert (found.samples["done"] >= found.samples["planned"]).all()


def test_a_machine_that_sleeps_ends_the_run_before_the_gap(tmp_path: Path) -> None:
    asleep = fell_asleep = 0.0
    begun = monotonic()

    def fall_asleep(run: Run) -> None:
        nonlocal asleep, fell_asleep
        asleep, fell_asleep = 3600.0, monotonic()

    watch = Watch(total=lambda: monotonic() + asleep)
    found = run(tmp_path, rate=200.0, warmup=0, duration=60.0, during=once(is_recorded, fall_asleep), watch=watch)
    assert found.reason == "slept" and found.notes("slept") == ["the machine slept for 3600.0 s: the run ends there"]
    answered = found.samples[found.samples["outcome"] == Outcome.OK]
    assert len(answered) >= 5 and answered["done"].max() < fell_asleep - begun
    assert found.report["lag"]["max"] < 1000


def test_a_new_key_is_fetched_after_an_answer_401(tmp_path: Path) -> None:
    def said(request: bytes) -> int:
        nonlocal count
        count += 1
        return 200 if b"Bearer new" in request or count < 20 else 401

    count = 0
    found = run(tmp_path, said=said, rate=100.0, key=lambda asked: {"key": "old" if asked == 1 else "new"})
    outcomes = np.bincount(found.samples["outcome"], minlength=10)
    assert outcomes[Outcome.UNAUTHORISED] >= 1 and outcomes[Outcome.OK] >= 25
    assert found.notes("key") == [
        f"has a new key: {outcomes[Outcome.UNAUTHORISED]} requests were answered 401 before it was here"
    ]


def test_a_key_that_is_wrong_for_good_is_asked_for_once_a_second(tmp_path: Path) -> None:
    found = run(tmp_path, said=lambda request: 401, rate=100.0)
    assert sum(each["type"] == "key" for each in found.messages) == 2
    assert found.notes("unauthorised") == ["answers 401 with the key that its workspace has"]


def test_a_throttled_service_is_noted_once(tmp_path: Path) -> None:
    found = run(tmp_path, said=lambda request: 429, rate=100.0)
    assert set(found.samples["outcome"].tolist()) == {Outcome.THROTTLED}
    assert found.notes("throttled") == ["answers 429: it has more requests than it takes"]


def test_a_service_that_is_away_for_a_while_is_told_to_be_back(tmp_path: Path) -> None:
    asked = itertools.count()
    said: Callable[[bytes], int] = lambda request: 500 if 20 <= next(asked) < 150 else 200  # noqa: E731
    found = run(tmp_path, said=said, rate=100.0, duration=2.0)
    (told,) = found.notes("back")
    assert re.fullmatch(r"answers again: for 1\.\d s every request failed", told)


def test_a_service_that_may_not_be_asked_is_sent_nothing(tmp_path: Path) -> None:
    got: list[bytes] = []
    found = run(
        tmp_path,
        said=lambda request: got.append(request) or 200,
        rate=50.0,
        key=lambda asked: {"refused": "not the service"},
    )
    assert got == [] and set(found.samples["outcome"].tolist()) == {Outcome.NO_CONNECTION}
    assert found.notes("refused") == ["was sent nothing: not the service"]


def test_a_full_disk_ends_the_run(tmp_path: Path) -> None:
    def fill(run: Run) -> None:
        def write(descriptor: int, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        run.load._recorder._write = write

    found = run(tmp_path, rate=100.0, duration=60.0, during=once(is_recorded, fill))
    assert found.reason == "limit" and "No space left" in found.notes("disk")[0]
    assert len(found.samples) > 0


class LateIn(Watch):
    """Late by 5 ms in some blocks, and in time in all others, however busy this machine is."""

    def __init__(self, *blocks: int) -> None:
        super().__init__()
        self.late_in = blocks

    def add(self, seconds: float, block: int) -> None:
        super().add(0.005 if block in self.late_in else 0.0, block)


def test_a_second_in_which_the_load_was_late_is_measured_again(tmp_path: Path) -> None:
    found = run(tmp_path, rate=50.0, warmup=0, duration=2.5, block=0.5, watch=LateIn(1))
    assert found.report["left_out"] == [1]
    assert [block[0] for block in found.report["blocks"]] == [0, 1, 2, 3, 4, 5]
    assert [block[5:] for block in found.report["blocks"]] == [[1.0, 5.0] if at == 1 else [0.0, 0.0] for at in range(6)]
    assert len(found.measured) == 150
    assert len(leave_out(found.samples, found.report["left_out"])) == 125  # as many as were planned


def test_a_load_that_was_late_too_often_is_not_measured_again(tmp_path: Path) -> None:
    found = run(tmp_path, rate=50.0, warmup=0, duration=2.5, block=0.5, watch=LateIn(1, 3))
    assert found.report["left_out"] == [] and len(found.report["blocks"]) == 5
    assert found.report["lag"]["p99"] > 1.0


def test_an_answer_that_came_in_time_is_no_time_out_because_it_is_read_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop stands still until the time of a request is up, with its answer in the socket."""
    monkeypatch.setattr(housekeeping, "LOOKS", 1)
    pause = threading.Event()
    with AnsweringThread(0.05) as service:
        found = run(
            tmp_path,
            uri=service.uri,
            during=lambda run: bool(pause.wait(0.25)),
            mode="closed",
            users=1,
            warmup=0,
            timeout=0.15,
        )
    assert len(found.samples) > 1 and set(found.samples["outcome"].tolist()) <= {Outcome.OK, Outcome.UNFINISHED}
