"""The heads of answers: three ways to build one, which must agree."""

from __future__ import annotations

import asyncio
import os
import select
from typing import Any

import pytest

from mldeploy_jupyter.serving.http.exchange import Exchange, KnownExchange
from mldeploy_jupyter.serving.ipc.scoreboard import Scoreboard
from mldeploy_jupyter.serving.log import writer
from mldeploy_jupyter.serving.scoring.messages import JSON, Request, Response
from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.worker.jobs import BatchResult, Job
from mldeploy_jupyter.serving.worker.responder import Responder
from tests.polling import wait_until
from tests.unit.serving.log.output_pipe import captured_output


class Sent:
    """A connection that keeps what is sent. `direct`: the script's thread serves it."""

    private, peer = False, None

    def __init__(self, direct: bool = False) -> None:
        self.head = self.body = b""
        self.direct_fd = 3 if direct else -1

    def send(self, exchange: Exchange, head: bytes, body: bytes) -> None:
        self.head, self.body = head, body

    def send_direct(self, exchange: Exchange, answer: bytes) -> None:
        head, _, self.body = answer.partition(b"\r\n\r\n")
        self.head = head + b"\r\n"


def answered(response: Response | None, direct: bool = False, **settings: Any) -> Sent:
    """What is sent for a response, or for a batch of one request."""
    scoreboard, loop, sent = Scoreboard(), asyncio.new_event_loop(), Sent(direct)
    slot = scoreboard.slot(scoreboard.assign_slot())
    responder = Responder(Settings(revision=3, **settings), slot, loop, lambda: False)
    exchange = KnownExchange(sent, 0.0, {"origin": "https://a.example"}, b"")
    exchange.id_headers = b"x-ms-request-id: i\r\n"
    if response is not None:
        responder.send_response(exchange, response)
    else:
        job = Job(exchange, Request())
        job.queued, job.started = 1.0, 1.001
        responder.send_batch(BatchResult([job], [b"[1]"], (2.0, 3.0, 4.0)))
    assert list(slot.status_counts()) == [(response.status if response else 200, 1)]
    loop.close()
    return sent


def fields(sent: Sent) -> tuple[bytes, set[bytes]]:
    line, *headers = sent.head.rstrip(b"\r\n").split(b"\r\n")
    assert len(headers) == len(set(headers))
    return line, {header for header in headers if not header.startswith(b"date:")}


TIMINGS = {"queue": 1.0, "parse": 2.0, "run": 3.0, "serialise": 4.0}


@pytest.mark.parametrize("origins", [[], ["*"], ["https://b.example"]], ids=["none", "any", "other"])
def test_a_single_answer_and_one_of_a_batch_have_the_same_head(origins: list[str]) -> None:
    single = answered(Response(200, b"[1]", timings=dict(TIMINGS)), cors_origins=origins)
    for direct in (False, True):
        for response in (Response(200, b"[1]", timings=dict(TIMINGS)), None):
            other = answered(response, direct, cors_origins=origins)
            assert fields(single) == fields(other) and single.body == other.body == b"[1]"
    assert (b"access-control-allow-origin: https://a.example" in fields(single)[1]) is (origins == ["*"])


def test_the_usual_head_is_the_general_one() -> None:
    usual = answered(Response(200, b"[1]", timings=dict(TIMINGS)))
    general = answered(Response(200, b"[1]", headers=list(JSON), timings=dict(TIMINGS)))
    assert usual.head.split(b"\r\n")[0] == b"HTTP/1.1 200 OK" and fields(usual) == fields(general)
    assert b"server-timing: queue;dur=1.000, parse;dur=2.000, run;dur=3.000, serialise;dur=4.000" in fields(usual)[1]


@pytest.mark.parametrize("status", [204, 205])
def test_an_answer_without_a_body_sends_none(status: int) -> None:
    sent = answered(Response(status, b"dropped"))
    assert sent.body == b"" and (b"content-length: 0" in fields(sent)[1]) is (status == 205)


def test_a_failed_run_is_marked_and_has_no_time_of_run() -> None:
    response = Response(500, b"{}", timings={"queue": 0.0, "parse": 0.0, "run": 1.0}, failed=True)
    headers = fields(answered(response))[1]
    assert b"x-ms-run-function-failed: true" in headers
    assert not any(header.startswith(b"x-ms-run-fn-exec-ms") for header in headers)


def test_a_script_cannot_replace_the_ids_of_a_request_and_may_set_others() -> None:
    own = [(b"x-ms-request-id", b"own"), (b"x-request-id", b"own"), (b"x-own", b"1")]
    headers = fields(answered(Response(200, b"x", headers=own)))[1]
    assert {b"x-ms-request-id: i", b"x-request-id: own", b"x-own: 1"} <= headers
    assert b"x-ms-request-id: own" not in headers


class Logged(Sent):
    """A connection that notes what was in the log when the answer left."""

    def __init__(self, pipe: int) -> None:
        super().__init__()
        self.pipe, self.entry = pipe, b""

    def send(self, exchange: Exchange, head: bytes, body: bytes) -> None:
        super().send(exchange, head, body)
        self.entry = os.read(self.pipe, 65536) if select.select([self.pipe], [], [], 0)[0] else b""


@pytest.mark.parametrize(("status", "reached_script", "is_written"), [(500, True, True), (400, True, True),
    (429, False, False), (200, True, False)])  # fmt: skip
def test_a_failed_request_is_in_the_log_before_its_answer_leaves(
    status: int, reached_script: bool, is_written: bool
) -> None:
    """Also beside others. One that was refused, which a client can repeat at will, is not written at once."""
    scoreboard, loop, (read, write) = Scoreboard(), Timers(), os.pipe()
    responder = Responder(Settings(), scoreboard.slot(scoreboard.assign_slot()), loop, lambda: True)
    writer.start(write, "3", "")
    try:
        for _ in range(2):
            connection = Logged(read)
            exchange = KnownExchange(connection, 0.0, {}, b"")
            if reached_script:
                exchange.job = Job(exchange, Request())
            responder.send_response(exchange, Response(status, b"{}", timings={"queue": 0.0}))
            assert (b'"status":%d' % status in connection.entry) is is_written
            assert connection.entry.count(b"\n") == is_written
        assert bool(loop.later) is not is_written
        writer.flush_access()
        assert bool(select.select([read], [], [], 0)[0]) is not is_written
    finally:
        writer.start(-1, "", "")
        loop.close()
        os.close(read)
        os.close(write)


class Timers(asyncio.SelectorEventLoop):
    """A loop that keeps what is to be called later."""

    def __init__(self) -> None:
        super().__init__()
        self.later: list[tuple[float, Any]] = []

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        self.later.append((delay, callback))


def test_the_first_entry_after_a_pause_is_written_at_once_and_those_that_follow_together() -> None:
    scoreboard, loop = Scoreboard(), Timers()
    slot = scoreboard.slot(scoreboard.assign_slot())
    responder = Responder(Settings(), slot, loop, lambda: False)
    with captured_output() as pipe:
        for _ in range(3):
            exchange = KnownExchange(Sent(), 0.0, {}, b"")
            responder.send_response(exchange, Response(200, b"[1]", timings=dict(TIMINGS)))
            wait_until(lambda: pipe.chunks)
        ((delay, flush),) = loop.later
        flush()
        wait_until(lambda: len(pipe.chunks) > 1)
        assert delay <= 0.02 and [chunk.count(b"\n") for chunk in pipe.chunks] == [1, 2]
        pipe.read_entries()
    loop.close()
