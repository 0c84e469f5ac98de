"""An answer on its way out: its headers, what is counted of it, and its line in the log."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from time import perf_counter

from ..http.exchange import Exchange
from ..ipc.scoreboard import Slot
from ..log import writer
from ..scoring.messages import JSON, Response
from ..settings import Settings
from .jobs import BatchResult, Job

FLUSH = 0.05  # seconds that the log may be behind the answers while there are more

_LINES = {s.value: b"HTTP/1.1 %d %b\r\n" % (s.value, s.phrase.encode()) for s in HTTPStatus if s.value >= 200}

_BODILESS = frozenset((204, 205, 304))


class Responder:
    """On the loop's thread. `busy()`: whether more requests wait or run."""

    def __init__(self, settings: Settings, slot: Slot, busy: Callable[[], bool]) -> None:
        self._slot = slot
        self._busy = busy
        self._origins = settings.cors_origins
        self._revision = b"x-mldeploy-revision: %b\r\n" % settings.label.encode("latin-1", "replace")
        self._flushing = False
        self._second = -1.0
        self._date = b""

    def send(self, x: Exchange, response: Response) -> None:
        """Sends the answer, counts it, writes it down."""
        status, body, timings = response.status, response.body, response.timings
        scored = x.path == "/score"
        self._renew_date()
        if scored and response.headers is JSON and len(timings) == 4 and not self._origins and not response.failed:
            q, p, r, s = timings["queue"], timings["parse"], timings["run"], timings["serialise"]
            head = _USUAL % (len(body), self._date, self._revision, x.ids, q, p, r, s, r)
        else:
            body = b"" if status in _BODILESS else body
            head = self._head(x, response, len(body), scored)
        x.connection.send(x, head, body)
        if not scored and status < 400:
            return
        seconds = perf_counter() - x.began
        if scored:
            self._slot.record_request(status, seconds, timings)
        queue, run = timings.get("queue", 0.0), timings.get("run", 0.0)
        batch = x.job.batch if x.job is not None else 1
        writer.add_access(x.id, x.method, x.path, status, seconds * 1000, queue, run, x.size, len(body), batch)
        self._flush_soon(x)

    def send_together(self, jobs: list[Job], shared: BatchResult) -> None:
        """The answers of one call of `run()`, all of them good: what they have in common is made once."""
        self._renew_date()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n%b%b" % (self._date, self._revision)
        parse, run, serialise = shared.timings
        rest = b", parse;dur=%.3f, run;dur=%.3f, serialise;dur=%.3f\r\nx-ms-run-fn-exec-ms: %.3f\r\n" % (
            parse, run, serialise, run,
        )  # fmt: skip
        queued, taken, lines = [], [], []
        for job in jobs:
            x: Exchange = job.exchange
            body = job.answer
            wait = (job.started - job.queued) * 1000
            own = head
            if self._origins:
                own += b"".join(b"%b: %b\r\n" % pair for pair in _cors(self._origins, x.headers))
            x.connection.send(x, _TOGETHER % (own, len(body), x.ids, wait, rest), body)
            seconds = perf_counter() - x.began
            queued.append(wait / 1000)
            taken.append(seconds)
            lines.append((x.id, seconds * 1000, wait, x.size, len(body)))
        self._slot.record_batch(taken, queued, parse / 1000, run / 1000, serialise / 1000)
        writer.add_access_batch(x.method, x.path, lines, run, len(shared.jobs))
        self._flush_soon(x)

    def _renew_date(self) -> None:
        now = perf_counter()
        if now - self._second >= 1.0:
            self._second, self._date = now, b"date: %b\r\n" % _http_date().encode()

    def _head(self, x: Exchange, response: Response, length: int, scored: bool) -> bytes:
        status = response.status
        parts = [_LINES.get(status) or b"HTTP/1.1 %d -\r\n" % status]
        parts += [b"%b: %b\r\n" % pair for pair in response.headers]
        if status not in (204, 304):
            parts.append(b"content-length: %d\r\n" % length)
        parts += (self._date, self._revision, x.ids)
        if scored:
            parts.append(b"x-ms-run-function-failed: %b\r\n" % (b"true" if response.failed else b"false"))
            if response.timings:
                parts.append(_timing(response.timings, response.failed))
            if self._origins:
                parts += [b"%b: %b\r\n" % pair for pair in _cors(self._origins, x.headers)]
        return b"".join(parts)

    def _flush_soon(self, x: Exchange) -> None:
        if not self._busy():
            writer.flush_access()  # whoever looks at the log next finds it there
        elif not self._flushing:
            self._flushing = True
            x.connection.owner.loop.call_later(FLUSH, self._flush)

    def _flush(self) -> None:
        self._flushing = False
        writer.flush_access()


_USUAL = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b%b%b"
    b"x-ms-run-function-failed: false\r\n"
    b"server-timing: queue;dur=%.3f, parse;dur=%.3f, run;dur=%.3f, serialise;dur=%.3f\r\n"
    b"x-ms-run-fn-exec-ms: %.3f\r\n"
)

_TOGETHER = b"%bcontent-length: %d\r\n%bx-ms-run-function-failed: false\r\nserver-timing: queue;dur=%.3f%b"


def _timing(timings: dict[str, float], failed: bool) -> bytes:
    """`Server-Timing`, in milliseconds, and v1's time of `run()`."""
    said = ", ".join(f"{name};dur={value:.3f}" for name, value in timings.items())
    line = f"server-timing: {said}\r\n"
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
        (b"access-control-expose-headers", b"x-ms-request-id, x-ms-run-function-failed, x-mldeploy-revision"),
    ]


def _http_date() -> str:
    from email.utils import formatdate

    return formatdate(usegmt=True)
