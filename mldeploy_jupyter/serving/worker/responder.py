"""Sends answers: builds their headers, counts them on the scoreboard, and adds them to the access log."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from time import perf_counter

from ..http.direct_poll import LONG_ANSWER, Timers
from ..http.exchange import Exchange
from ..ipc.scoreboard import Slot
from ..log import writer
from ..scoring.messages import JSON, Response
from ..settings import Settings
from .jobs import BatchResult

FLUSH_DELAY = 0.02  # seconds that the access log may lag behind the answers while they follow each other closely

_STATUS_LINES = {s.value: b"HTTP/1.1 %d %b\r\n" % (s.value, s.phrase.encode()) for s in HTTPStatus if s.value >= 200}

_BODILESS = frozenset((204, 205, 304))

_ID_NAMES = frozenset((b"x-request-id", b"x-ms-request-id", b"x-ms-client-request-id", b"traceid"))

_USUAL_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b%b"
    b"x-ms-run-function-failed: false\r\n"
    b"server-timing: queue;dur=%.3f, parse;dur=%.3f, run;dur=%.3f, serialise;dur=%.3f\r\n"
    b"x-ms-run-fn-exec-ms: %.3f\r\n"
)

_BATCH_HEAD = b"%bcontent-length: %d\r\n%bx-ms-run-function-failed: false\r\nserver-timing: queue;dur=%.3f%b"

_USUAL_ANSWER, _BATCH_ANSWER = _USUAL_HEAD + b"\r\n%b", _BATCH_HEAD + b"\r\n%b"


class Responder:
    """Sends answers, with the lock of `http.direct_poll`. `busy()`: whether more requests wait or run."""

    def __init__(self, settings: Settings, slot: Slot, loop: Timers, busy: Callable[[], bool]) -> None:
        self._slot = slot
        self._loop = loop
        self._busy = busy
        self._origins = settings.cors_origins
        self._revision = b"x-mldeploy-revision: %b\r\n" % settings.label.encode("latin-1", "replace")
        self._flush_scheduled = False
        self._now = 0.0  # when the present answer is sent
        self._flushed = -1.0
        self._common = b""  # the headers of every answer: date and revision
        self._date_ends = 0.0  # when they are made anew

    def send_response(self, exchange: Exchange, response: Response) -> None:
        """Sends, counts and logs one answer."""
        status, body, timings = response.status, response.body, response.timings
        scored = exchange.path == "/score"
        self._now = now = perf_counter()
        if now >= self._date_ends:
            self._renew_date()
        if scored and response.headers is JSON and len(timings) == 4 and not self._origins and not response.failed:
            queue, parse, run, serialise = timings["queue"], timings["parse"], timings["run"], timings["serialise"]
            connection, ids = exchange.connection, exchange.id_headers
            if connection.direct_fd >= 0 and len(body) < LONG_ANSWER:
                answer = _USUAL_ANSWER % (
                    len(body), self._common, ids, queue, parse, run, serialise, run, body,
                )  # fmt: skip
                connection.send_direct(exchange, answer)
            else:
                head = _USUAL_HEAD % (len(body), self._common, ids, queue, parse, run, serialise, run)
                connection.send(exchange, head, body)
            seconds = perf_counter() - exchange.started
            self._slot.record_usual(status, seconds, queue / 1000, parse / 1000, run / 1000, serialise / 1000)
        else:
            queue, run = timings.get("queue", 0.0), timings.get("run", 0.0)
            body = b"" if status in _BODILESS else body
            head = self._head(exchange, response, len(body), scored)
            failed = status >= 400 and exchange.job is not None
            if failed:  # who gets the answer may read the log next; a client that was refused cannot cause writes
                self._add_entry(exchange, status, perf_counter() - exchange.started, queue, run, len(body))
                writer.flush_access()
            exchange.connection.send(exchange, head, body)
            if not scored and status < 400:
                return
            seconds = perf_counter() - exchange.started
            if scored:
                self._slot.record_request(status, seconds, timings)
            if failed:
                return
        self._add_entry(exchange, status, seconds, queue, run, len(body))
        if not self._flush_scheduled:
            self._schedule_flush()

    def _add_entry(
        self, exchange: Exchange, status: int, seconds: float, queue: float, run: float, bytes_out: int
    ) -> None:
        batch = exchange.job.batch if exchange.job is not None else 1
        writer.add_access(
            exchange.quoted_id, exchange.method, exchange.path, status, seconds * 1000, queue, run,
            exchange.body_size, bytes_out, batch,
        )  # fmt: skip

    def send_batch(self, result: BatchResult) -> None:
        """Sends the answers of one call of `run()`, all of them 200, then counts and logs them together."""
        self._now = now = perf_counter()
        if now >= self._date_ends:
            self._renew_date()
        jobs, bodies = result.jobs, result.bodies
        common = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n%b" % self._common
        parse, run, serialise = result.timings
        timings = b", parse;dur=%.3f, run;dur=%.3f, serialise;dur=%.3f\r\nx-ms-run-fn-exec-ms: %.3f\r\n" % (
            parse, run, serialise, run,
        )  # fmt: skip
        exchanges: list[Exchange] = [job.exchange for job in jobs]
        waits = [job.started - job.queued for job in jobs]
        for exchange, body, wait in zip(exchanges, bodies, waits, strict=True):
            connection, ids = exchange.connection, exchange.id_headers
            if connection.direct_fd >= 0 and len(body) < LONG_ANSWER and not self._origins:
                answer = _BATCH_ANSWER % (common, len(body), ids, wait * 1000, timings, body)
                connection.send_direct(exchange, answer)
                continue
            head = common
            if self._origins:
                head += b"".join(b"%b: %b\r\n" % pair for pair in _cors(self._origins, exchange.headers))
            connection.send(exchange, _BATCH_HEAD % (head, len(body), ids, wait * 1000, timings), body)
        sent = perf_counter()
        durations = [sent - exchange.started for exchange in exchanges]
        self._slot.record_batch(durations, waits, parse / 1000, run / 1000, serialise / 1000)
        entries = [
            (exchange.quoted_id, seconds * 1000, wait * 1000, exchange.body_size, len(body))
            for exchange, body, wait, seconds in zip(exchanges, bodies, waits, durations, strict=True)
        ]
        writer.add_access_batch(exchange.method, exchange.path, entries, run, result.size)
        if not self._flush_scheduled:
            self._schedule_flush()

    def _renew_date(self) -> None:
        self._date_ends = self._now + 1.0
        self._common = b"date: %b\r\n%b" % (_http_date().encode(), self._revision)

    def _head(self, exchange: Exchange, response: Response, length: int, scored: bool) -> bytes:
        status = response.status
        ids, headers = exchange.id_headers, response.headers
        if scored and headers is not JSON:  # as in v1, a script cannot replace the request's ids
            headers = [pair for pair in headers if pair[0] not in _ID_NAMES or pair[0] + b": " not in ids]
        parts = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d -\r\n" % status]
        parts += [b"%b: %b\r\n" % pair for pair in headers]
        if status not in (204, 304):
            parts.append(b"content-length: %d\r\n" % length)
        parts += (self._common, ids)
        if scored:
            parts.append(b"x-ms-run-function-failed: %b\r\n" % (b"true" if response.failed else b"false"))
            if response.timings:
                parts.append(_timing_headers(response.timings, response.failed))
            if self._origins:
                parts += [b"%b: %b\r\n" % pair for pair in _cors(self._origins, exchange.headers)]
        return b"".join(parts)

    def _schedule_flush(self) -> None:
        """Writes the first entry after a pause at once, and those that follow closely together.

        Each write wakes the supervisor, which costs more than the answer does.
        """
        if self._now - self._flushed > FLUSH_DELAY and not self._busy():
            self._flushed = self._now
            writer.flush_access()  # the client may read the log next, and finds its request there
        else:
            self._flush_scheduled = True
            self._loop.call_later(FLUSH_DELAY, self._flush)

    def _flush(self) -> None:
        self._flush_scheduled = False
        self._flushed = perf_counter()
        writer.flush_access()


def _timing_headers(timings: dict[str, float], failed: bool) -> bytes:
    """`Server-Timing`, in milliseconds, and v1's header with the time of `run()`."""
    text = ", ".join(f"{name};dur={value:.3f}" for name, value in timings.items())
    line = f"server-timing: {text}\r\n"
    if "run" in timings and not failed:
        line += f"x-ms-run-fn-exec-ms: {timings['run']:.3f}\r\n"
    return line.encode()


def _cors(origins: list[str], headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    origin = headers.get("origin")
    if origin is None or ("*" not in origins and origin not in origins):
        return [(b"vary", b"origin")]
    allow = origin.encode("latin-1")
    return [
        (b"vary", b"origin"),
        (b"access-control-allow-origin", allow),
        (b"access-control-allow-methods", b"GET, POST"),
        (b"access-control-allow-headers", b"authorization, content-type, x-request-id, x-ms-client-request-id"),
        (
            b"access-control-expose-headers",
            b"x-request-id, x-ms-request-id, x-ms-run-function-failed, x-mldeploy-revision",
        ),
    ]


def _http_date() -> str:
    from email.utils import formatdate

    return formatdate(usegmt=True)
