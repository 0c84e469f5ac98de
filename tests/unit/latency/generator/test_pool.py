"""A pool and its connections against real sockets on this loop: each test says what the server does."""

from __future__ import annotations

import asyncio
import math
import ssl
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import uvloop

from mldeploy_jupyter.latency.generator.connection import Answer, Request
from mldeploy_jupyter.latency.generator.pool import Pool, describe_failure
from mldeploy_jupyter.latency.payloads import Payload
from mldeploy_jupyter.latency.recording import Outcome, Phase
from tests.unit.latency.generator.answering_thread import OK, AnsweringThread

# What a server does with the bytes of one request: returns those of the answer; None closes the connection.
Serve = Callable[[bytes], Awaitable[bytes | None]]


class Site:
    """A server, a pool, and what the pool told."""

    def __init__(self, limit: int = 8, payloads: list[Payload] | None = None, timeout: float = 5.0) -> None:
        self.ended: list[tuple[Request, Answer, float]] = []
        self.questions = 0
        self.reasons: list[str] = []
        self.requests: list[bytes] = []
        self.accepted = 0
        self.pool = Pool(
            0, payloads or [Payload(b"{}")], limit, timeout,
            ask_key=self._ask, cannot_connect=lambda index, why: self.reasons.append(why), ended=self._end,
        )  # fmt: skip
        self.key: str | None = "K"
        self.uri = ""
        self.servers: list[asyncio.Server] = []
        self.writers: list[asyncio.StreamWriter] = []
        _sites.append(self)

    async def listen(
        self,
        handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
        tls: ssl.SSLContext | None = None,
    ) -> str:
        """Starts a server and makes it the service's address."""

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.writers.append(writer)
            self.accepted += 1
            try:
                await handle(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
        self.servers.append(server)
        self.uri = f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}/score"
        self.pool.locate(self.uri)
        return self.uri

    async def close(self) -> None:
        self.pool.close()
        for writer in self.writers:
            writer.close()
        for server in self.servers:
            server.close()
        for _ in range(3):
            await asyncio.sleep(0.001)

    async def serve(self, serve: Serve, tls: ssl.SSLContext | None = None) -> str:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                answer = await serve(self.requests[-1])
                if answer is None:
                    return
                writer.write(answer)

        return await self.listen(handle, tls)

    def send(self, count: int = 1) -> None:
        for _ in range(count):
            self.pool.send(Request(monotonic(), monotonic(), 0, Phase.MEASURED, 0, 0))

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.001)

    async def ask(self, count: int = 1) -> list[Answer]:
        """Sends and waits for the answers to all that was sent so far."""
        before = len(self.ended)
        self.send(count)
        await self.until(lambda: len(self.ended) == before + count)
        return [answer for _, answer, _ in self.ended[before:]]

    def _ask(self, index: int) -> None:
        self.questions += 1
        asyncio.get_running_loop().call_soon(self._answer)

    def _answer(self) -> None:
        if self.key is None:
            self.pool.refuse()
        else:
            self.pool.use_key(self.key, self.uri)

    def _end(self, pool: Pool, request: Request, answer: Answer, done: float) -> None:
        self.ended.append((request, answer, done))


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Runs the test on the loop that the generator uses, and closes what its sites have open."""

    async def main() -> None:
        try:
            await asyncio.wait_for(test(), 30)
        finally:
            while _sites:
                await _sites.pop().close()

    uvloop.run(main())


_sites: list[Site] = []


async def _ok(request: bytes) -> bytes:
    return OK


def test_the_key_is_asked_for_once_and_connections_are_kept() -> None:
    async def test() -> None:
        site = Site(payloads=[Payload(b"1"), Payload(b"22", "text/plain")])
        await site.serve(_ok)
        for _ in range(5):
            assert [answer.outcome for answer in await site.ask()] == [Outcome.OK]
        assert (site.questions, site.accepted) == (1, 1)
        assert all(b"\r\nauthorization: Bearer K\r\n" in each for each in site.requests)
        assert [each.partition(b"\r\n\r\n")[2] for each in site.requests] == [b"1", b"22", b"1", b"22", b"1"]
        requests = [request for request, _, _ in site.ended]
        assert requests[0].connect > 0 and all(math.isnan(each.connect) for each in requests[1:])
        assert all(each.planned <= each.begun <= each.sent for each in requests)

    run(test)


def test_nothing_is_sent_to_what_is_not_proven() -> None:
    async def test() -> None:
        site = Site()
        site.key = None
        await site.serve(_ok)
        assert [answer.outcome for answer in await site.ask(3)] == [Outcome.NO_CONNECTION] * 3
        assert site.requests == []

    run(test)


def test_a_service_that_went_away_is_proven_again_before_it_gets_the_key() -> None:
    async def test() -> None:
        site = Site()

        async def once(request: bytes) -> bytes | None:
            return None if len(site.requests) == 2 else OK

        await site.serve(once)
        outcomes = [(await site.ask())[0].outcome for _ in range(3)]
        assert outcomes == [Outcome.OK, Outcome.NO_CONNECTION, Outcome.OK]
        assert site.questions == 2

    run(test)


def test_another_program_on_its_port_gets_nothing() -> None:
    async def test() -> None:
        site = Site()
        await site.serve(_ok)
        await site.ask()
        for writer in site.writers:  # the service dies, and another program answers at its address
            writer.close()
        got: list[bytes] = []

        async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            got.append(await reader.read(1))

        await site.until(lambda: not site.pool.is_open)
        await site.listen(other)
        site.key = None  # the parent sees that it is another
        assert [answer.outcome for answer in await site.ask()] == [Outcome.NO_CONNECTION]
        await site.until(lambda: got)
        assert got == [b""]

    run(test)


def test_at_most_so_many_connections_and_the_others_wait() -> None:
    async def test() -> None:
        site = Site(limit=3)
        gate = asyncio.Event()

        async def slow(request: bytes) -> bytes:
            await gate.wait()
            return OK

        await site.serve(slow)
        site.send(10)
        await site.until(lambda: site.questions)
        await site.until(lambda: len(site.requests) == 3)
        gate.set()
        await site.until(lambda: len(site.ended) == 10)
        assert site.accepted == 3
        assert all(math.isnan(request.connect) for request, _, _ in site.ended[3:])

    run(test)


def test_a_time_out_of_one_that_was_sent_and_of_one_that_never_was() -> None:
    async def test() -> None:
        site = Site(limit=1)

        async def never(request: bytes) -> bytes:
            await asyncio.sleep(60)
            return OK

        await site.serve(never)
        first, second = (Request(monotonic(), monotonic(), 0, Phase.MEASURED, 0, 0) for _ in range(2))
        site.pool.send(first)
        site.pool.send(second)
        await site.until(lambda: site.requests)
        site.pool.expire(second, 100.5)
        site.pool.expire(first, 100.0)
        assert [(answer.outcome, done) for _, answer, done in site.ended] == [
            (Outcome.DROPPED, 100.5),
            (Outcome.TIMEOUT, 100.0),
        ]
        assert math.isnan(second.sent) and not math.isnan(first.sent)
        site.pool.close()

    run(test)


def test_a_port_where_nobody_listens() -> None:
    async def test() -> None:
        site = Site()
        await site.serve(_ok)
        site.servers[0].close()
        await site.servers[0].wait_closed()
        assert [answer.outcome for answer in await site.ask(5)] == [Outcome.NO_CONNECTION] * 5
        assert site.requests == [] and "refused" in site.reasons[0]
        await site.pool.prepare()  # returns as well

    run(test)


def test_a_server_that_closes_every_connection_at_once_ends_every_request() -> None:
    async def test() -> None:
        site = Site()

        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            pass

        await site.listen(hang_up)
        assert {answer.outcome for answer in await site.ask(4)} == {Outcome.NO_CONNECTION}
        assert site.accepted <= 20

    run(test)


def test_what_is_read_from_an_answer() -> None:
    async def test() -> None:
        site = Site()

        async def timed(request: bytes) -> bytes:
            return (
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-MLDeploy-Revision: 12-ab34\r\n"
                b"Server-Timing: queue;dur=1.5, parse;dur=0.25, run; dur=7, other;dur=3, serialise;dur=1.2.3\r\n\r\n42"
            )

        await site.serve(timed)
        (answer,) = await site.ask()
        assert (answer.status, answer.revision, answer.queue, answer.parse, answer.run) == (200, 12, 1.5, 0.25, 7.0)
        assert math.isnan(answer.serialise)

    run(test)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's stamps are Linux's")
def test_an_answer_that_is_read_late_was_not_given_late() -> None:
    """The loop does something else for 20 ms after each request, and finds the answer afterwards."""

    async def test() -> None:
        site = Site()
        with AnsweringThread() as service:
            site.uri = service.uri
            site.pool.locate(site.uri)
            await site.ask()
            pause = threading.Event()
            for _ in range(10):
                site.send()
                pause.wait(0.02)
                await site.until(lambda: len(site.ended) == site.pool.sent)
        assert min(done - request.sent for request, _, done in site.ended[1:]) < 0.01
        assert all(request.sent < done for request, _, done in site.ended)

    run(test)


def test_outcomes_by_status() -> None:
    async def test() -> None:
        expected = {
            200: Outcome.OK, 204: Outcome.OK, 302: Outcome.BROKEN_ANSWER, 400: Outcome.CLIENT_ERROR,
            401: Outcome.UNAUTHORISED, 403: Outcome.UNAUTHORISED, 404: Outcome.CLIENT_ERROR,
            429: Outcome.THROTTLED, 500: Outcome.SERVER_ERROR, 503: Outcome.SERVER_ERROR, 504: Outcome.SERVER_ERROR,
        }  # fmt: skip
        site = Site()
        statuses = list(expected)

        async def each(request: bytes) -> bytes:
            status = statuses[len(site.requests) - 1]
            return b"HTTP/1.1 %d X\r\n%b\r\n" % (status, b"" if status == 204 else b"content-length: 0\r\n")

        await site.serve(each)
        assert {status: (await site.ask())[0].outcome for status in statuses} == expected
        assert site.accepted == 1

    run(test)


def test_a_503_that_says_when_to_come_again_is_no_error_of_the_script() -> None:
    async def test() -> None:
        site = Site()

        async def busy(request: bytes) -> bytes:
            return b"HTTP/1.1 503 X\r\nRetry-After: 1\r\ncontent-length: 0\r\n\r\n"

        await site.serve(busy)
        assert [(answer.status, answer.outcome) for answer in await site.ask()] == [(503, Outcome.UNAVAILABLE)]

    run(test)


def test_answers_in_pieces_in_chunks_after_a_hint_and_until_the_end() -> None:
    async def test() -> None:
        answers: list[bytes | None] = [
            b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n42\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n42",
        ]
        site = Site()

        async def next_one(request: bytes) -> bytes | None:
            return answers[len(site.requests) - 1]

        await site.serve(next_one)
        outcomes = [(await site.ask())[0].outcome for _ in answers]
        assert outcomes == [Outcome.OK] * 3 and site.accepted == 1
        answers.append(OK)
        assert (await site.ask())[0].outcome is Outcome.OK and site.accepted == 2
        assert site.questions == 1  # a close that was announced is not a reason to doubt

    run(test)


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    async def test() -> None:
        site = Site()

        async def until_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n{}")
            writer.write(b"HTTP/1.0 200 OK\r\n\r\nall of it")

        await site.listen(until_end)
        assert [answer.outcome for answer in await site.ask()] == [Outcome.OK]

    run(test)


def test_broken_answers() -> None:
    async def test() -> None:
        site = Site()

        async def nonsense(request: bytes) -> bytes:
            return (
                b"SSH-2.0-OpenSSH_9\r\n" if len(site.requests) == 1 else b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"
            )

        await site.serve(nonsense)
        assert [(await site.ask())[0].outcome for _ in range(2)] == [Outcome.BROKEN_ANSWER] * 2

    run(test)


def test_a_service_that_moves_is_followed() -> None:
    async def test() -> None:
        site = Site()
        await site.serve(_ok)
        await site.ask()
        new = await site.serve(_ok)
        site.pool.use_key("K2", new)
        await site.ask()
        assert b"Bearer K2" in site.requests[-1] and site.accepted == 2

    run(test)


@pytest.mark.parametrize("trusted", [True, False])
def test_tls_and_a_certificate_that_is_not_trusted(
    trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async def test() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        site = Site()
        await site.serve(_ok, context)
        answers = [(await site.ask())[0].outcome for _ in range(2)]
        if trusted:
            assert answers == [Outcome.OK] * 2 and site.accepted == 1
        else:
            assert answers == [Outcome.NO_CONNECTION] * 2 and site.requests == []
            assert "certificate verify failed" in site.reasons[0]

    run(test)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "connection refused"),
        (TimeoutError(), "no connection in time"),
        (TimeoutError(110, "Connection timed out"), "connection timed out"),
        (OSError("host has no address"), "host has no address"),
    ],
)
def test_why_there_is_no_connection_is_said_without_numbers(error: OSError, words: str) -> None:
    assert describe_failure(error) == words
