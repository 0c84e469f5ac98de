"""The service on the wire: routes, keys, request ids, and what an answer says in its headers.

Liveness, readiness and metrics are open: probes and scrapers carry no key, and they say nothing of the
data. `/swagger.json` asks for the key like `/score`: its example is the sample, which may be private.
"""

from __future__ import annotations

import os
import time
from http import HTTPStatus
from time import perf_counter
from traceback import format_exception
from typing import Any
from urllib.parse import parse_qs

import orjson

from . import board as fields
from . import metrics, output
from .auth import Auth
from .board import Board, Slot
from .exchange import Exchange
from .failure import describe as reason_of
from .messages import JSON, Request, Response, problem
from .openapi import VERSIONS, describe
from .queueing import Queueing
from .scoring import Scorer
from .settings import Settings
from .tracing import Tracer

MAX_ID = 100  # characters
FLUSH = 0.05  # seconds that the log may be behind the answers while there are more
_GENEROUS = 256 * 1024 * 1024  # bytes of bodies that are kept at a time, at least; else twice the largest

_LINES = {s.value: b"HTTP/1.1 %d %b\r\n" % (s.value, s.phrase.encode()) for s in HTTPStatus if s.value >= 200}
_BODILESS = frozenset((204, 205, 304))
_OPEN = frozenset(("/", "/ready", "/metrics"))
_WORDS = {"import": "the entry script is being imported", "init": "init() is running", "sample": "scoring the sample"}


class App:
    """What is answered. `phase` goes import, init, sample, ready; only the last answers `/score`.

    Every method is called on the loop's thread.
    """

    def __init__(self, settings: Settings, board: Board, slot: Slot, on_stuck: Any = None) -> None:
        self.settings = settings
        self.scorer: Scorer | None = None
        self.phase = "import"
        self.phase_since = time.monotonic()
        self.tracer: Tracer | None = None
        self.auth = Auth(settings)
        self.queue = Queueing(settings, slot, self.finish, on_stuck or (lambda: None))
        self._board = board
        self._slot = slot
        self._revision = b"x-mldeploy-revision: %b\r\n" % settings.label.encode("latin-1", "replace")
        self._allowed: tuple[str, ...] = ("POST",)
        self._ids: list[str] = []
        self._usual = not settings.cors_origins
        self._flushing = False
        self._second = 0.0
        self._date = b""

    def set_phase(self, phase: str) -> None:
        self.phase, self.phase_since = phase, time.monotonic()
        if phase == "ready":
            assert self.scorer is not None
            self._allowed = ("POST", "GET", "OPTIONS") if self.scorer.script.mode == "raw" else ("POST",)
            if self.settings.cors_origins and "OPTIONS" not in self._allowed:
                self._allowed += ("OPTIONS",)
        self._slot.fields[fields.READY] = int(phase == "ready")

    def connected(self, count: int) -> None:
        self._slot.fields[fields.CONNECTIONS] = count

    # -- a request arrives ----------------------------------------------------------------------------

    def admit(self, x: Exchange) -> None:
        """Its head is there. Gives it its id, and where no body need be waited for, the answer."""
        refused = self.name(x)
        if x.early is None:
            x.early = refused or (self._admit_score(x) if x.path == "/score" else self._admit_other(x))

    def name(self, x: Exchange) -> Response | None:
        """The request's id, the headers that tell it to the client, and 431 where an id is too long."""
        headers = x.headers
        client = headers.get("x-ms-client-request-id")
        given = headers.get("x-ms-request-id") or headers.get("x-request-id")
        if not client and not given:
            self._name_anew(x)
            return None
        for name in ("x-request-id", "x-ms-request-id", "x-ms-client-request-id"):
            if len(headers.get(name, "")) > MAX_ID:
                self._name_anew(x)
                return problem(431, "id-too-long", f"{name} must not be longer than {MAX_ID} characters", name)
        client = client or headers.get("x-ms-request-id") or ""
        x.id = given or client
        x.ids = b"x-ms-request-id: %b\r\n" % x.id.encode("latin-1", "replace")
        if client:
            x.ids += b"x-ms-client-request-id: %b\r\n" % client.encode("latin-1", "replace")
        return None

    def _name_anew(self, x: Exchange) -> None:
        if not self._ids:
            self._ids = _ids()
        x.id = self._ids.pop()
        x.ids = b"x-ms-request-id: %b\r\n" % x.id.encode()

    def _admit_score(self, x: Exchange) -> Response | None:
        method = x.method
        if method == "OPTIONS" and self.settings.cors_origins:
            raw = self.scorer is not None and self.scorer.script.mode == "raw"
            if not raw or "access-control-request-method" in x.headers:
                return Response(204, b"", [(b"allow", ", ".join(self._allowed).encode())])
        if not x.connection.private:
            reason = self.auth.allows(x.headers.get("authorization"))
            if reason:
                return self._unauthorised(reason)
        if self.phase != "ready":
            return self._not_ready()
        if method not in self._allowed:
            return _not_allowed(method, self._allowed)
        length = x.headers.get("content-length")
        if length is not None and length.isdigit():
            return self.too_large(int(length), x.connection.owner.buffered)
        return None

    def too_large(self, size: int, kept: int) -> Response | None:
        """What is too large is never kept: 413 as soon as it is known, 503 when all bodies together are."""
        limit = self.settings.max_body_bytes
        if size > limit:
            text = f"the body is larger than {limit} bytes"
            return problem(413, "too-large", text, "body", "Send fewer rows at a time.")
        if size and kept + size > max(_GENEROUS, 2 * limit):
            text = "too many large bodies are in hand"
            return later(problem(503, "overloaded", text, "body", "Try again in a second."))
        return None

    def _admit_other(self, x: Exchange) -> Response | None:
        if x.path not in _OPEN and x.path != "/swagger.json":
            return problem(404, "not-found", f"no such path: {x.path}", x.path, "The service answers at /score.")
        return None if x.method in ("GET", "HEAD") else _not_allowed(x.method, ("GET", "HEAD"))

    def handle(self, x: Exchange) -> None:
        """The whole request is there, and it is its turn. Whatever fails, it is answered."""
        try:
            self._handle(x)
        except Exception as error:
            text = f"internal error of the server: {reason_of(error)}"
            output.log(text, level="error", request_id=x.id, traceback="".join(format_exception(error)))
            self.finish(x, problem(500, "server-failed", "the server failed; the entry script is not at fault"))

    def _handle(self, x: Exchange) -> None:
        if x.path != "/score":
            self.finish(x, self._plain(x))
            return
        scorer = self.scorer
        assert scorer is not None
        request = Request(x.method, x.headers, x.body, x.query, x.path, x.connection.peer, x.id)
        if self.tracer is not None:
            request.trace = self.tracer.begin(x.method, x.path, x.headers, x.id)
        self.queue.submit(x, request)

    def lost(self, x: Exchange) -> None:
        """The client went away before its answer."""
        self.queue.abandon(x)

    # -- an answer leaves -----------------------------------------------------------------------------

    def finish(self, x: Exchange, response: Response) -> None:
        """Sends the answer, counts it, writes it down."""
        status, body, timings = response.status, response.body, response.timings
        scored = x.path == "/score"
        now = perf_counter()
        if now - self._second >= 1.0:
            self._second, self._date = now, b"date: %b\r\n" % _http_date().encode()
        if scored and response.headers is JSON and len(timings) == 4 and self._usual and not response.failed:
            q, p, r, s = timings["queue"], timings["parse"], timings["run"], timings["serialise"]
            head = _USUAL % (len(body), self._date, self._revision, x.ids, q, p, r, s, r)
        else:
            body = b"" if status in _BODILESS else body
            head = self._head(x, response, len(body), scored)
        x.connection.send(x, head, body)
        if scored:
            seconds = perf_counter() - x.began
            self._slot.record(status, seconds, timings)
            self._write_down(x, status, seconds, len(body), timings)
            job = x.job
            if job is not None:
                if self.tracer is not None and job.request.trace is not None:
                    self.tracer.finish(job.request.trace, status, timings, job.batch, response.error)
                self.queue.forget(x)
        elif status >= 400:
            self._write_down(x, status, perf_counter() - x.began, len(body), timings)
        response.error = None  # its traceback has frames that know the response: only the collector would free them

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
            if self.settings.cors_origins:
                parts += [b"%b: %b\r\n" % pair for pair in self._cors(x.headers)]
        return b"".join(parts)

    def _write_down(self, x: Exchange, status: int, seconds: float, length: int, timings: dict[str, float]) -> None:
        queue, run = timings.get("queue", 0.0) / 1000, timings.get("run", 0.0) / 1000
        batch = x.job.batch if x.job is not None else 1
        output.access(x.id, x.method, x.path, status, seconds, queue, run, x.size, length, batch)
        if not self.queue.busy:
            output.flush_access()  # whoever looks at the log next finds it there
        elif not self._flushing:
            self._flushing = True
            x.connection.owner.loop.call_later(FLUSH, self._flush)

    def _flush(self) -> None:
        self._flushing = False
        output.flush_access()

    # -- what the answers are -------------------------------------------------------------------------

    def _plain(self, x: Exchange) -> Response:
        if x.path == "/":
            return Response(200, b"Healthy", [(b"content-type", b"text/plain; charset=utf-8")])
        if x.path == "/ready":
            return Response(200, b'{"status":"ready"}') if self.phase == "ready" else self._not_ready()
        if x.path == "/metrics":
            return Response(
                200, metrics.text(self._board, self.settings.service), [(b"content-type", metrics.CONTENT_TYPE)]
            )
        if not x.connection.private:
            reason = self.auth.allows(x.headers.get("authorization"))
            if reason:
                return self._unauthorised(reason)
        return self._describe(x.query)

    def _not_ready(self) -> Response:
        seconds = time.monotonic() - self.phase_since
        text = f"not ready: {_WORDS.get(self.phase, self.phase)} ({seconds:.1f} s)"
        return later(problem(503, "starting", text, self.phase, "GET /ready answers 200 when it is ready."))

    def _unauthorised(self, reason: str) -> Response:
        response = problem(401, "unauthorised", reason, "authorization", self.auth.hint)
        return response.add(b"www-authenticate", self.auth.challenge(reason))

    def _describe(self, query: str) -> Response:
        if self.scorer is None:
            return self._not_ready()
        asked = parse_qs(query).get("version", [""])[-1]
        if asked not in VERSIONS:
            hint = "Ask for ?version=2, 3 or 3.1."
            return problem(404, "not-found", f"no description in version {asked!r}", "version", hint)
        return Response(200, orjson.dumps(describe(self.scorer.script, self.settings, VERSIONS[asked])))

    def _cors(self, headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
        origins, origin = self.settings.cors_origins, headers.get("origin")
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


_USUAL = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b%b%b"
    b"x-ms-run-function-failed: false\r\n"
    b"server-timing: queue;dur=%.3f, parse;dur=%.3f, run;dur=%.3f, serialise;dur=%.3f\r\n"
    b"x-ms-run-fn-exec-ms: %.3f\r\n"
)


def _timing(timings: dict[str, float], failed: bool) -> bytes:
    """`Server-Timing`, in milliseconds, and v1's time of `run()`."""
    said = ", ".join(f"{name};dur={value:.3f}" for name, value in timings.items())
    line = f"server-timing: {said}\r\n"
    if "run" in timings and not failed:
        line += f"x-ms-run-fn-exec-ms: {timings['run']:.3f}\r\n"
    return line.encode()


def _ids() -> list[str]:
    """Random UUIDs (version 4), made many at a time."""
    block = os.urandom(16 * 256).hex()
    return [
        f"{block[at : at + 8]}-{block[at + 8 : at + 12]}-4{block[at + 13 : at + 16]}-"
        f"{'89ab'[int(block[at + 16], 16) & 3]}{block[at + 17 : at + 20]}-{block[at + 20 : at + 32]}"
        for at in range(0, len(block), 32)
    ]


def _http_date() -> str:
    from email.utils import formatdate

    return formatdate(usegmt=True)


def _not_allowed(method: str, allowed: tuple[str, ...]) -> Response:
    response = problem(
        405, "method-not-allowed", f"{method} is not allowed here", "method", f"Use {' or '.join(allowed)}."
    )
    return response.add(b"allow", ", ".join(allowed).encode())


def later(response: Response) -> Response:
    return response.add(b"retry-after", b"1")
