"""The service on the wire: routes, keys, request ids, and what an answer says in its headers.

Liveness, readiness and metrics are open: probes and scrapers carry no key, and they say nothing of the
data. `/swagger.json` asks for the key like `/score`: its example is the sample, which may be private.
"""

from __future__ import annotations

import os
import time
from traceback import format_exception
from typing import Any
from urllib.parse import parse_qs

import orjson

from ..http.exchange import Exchange
from ..http.head_cache import Heads
from ..ipc import scoreboard as fields
from ..ipc.failure import describe as reason_of
from ..ipc.scoreboard import Scoreboard, Slot
from ..log import writer
from ..scoring.messages import Request, Response, error_response
from ..scoring.openapi import VERSIONS, describe_service
from ..scoring.scorer import Scorer
from ..scoring.tracing import Tracer
from ..settings import Settings
from . import metrics
from .auth import Auth
from .jobs import BatchResult, Job
from .request_queue import RequestQueue
from .responder import Responder

MAX_ID = 100  # characters

_GENEROUS = 256 * 1024 * 1024  # bytes of bodies that are kept at a time, at least; else twice the largest

_OPEN = frozenset(("/", "/ready", "/metrics"))

_WORDS = {"import": "the entry script is being imported", "init": "init() is running", "sample": "scoring the sample"}


class App:
    """What is answered. `phase` goes import, init, sample, ready; only the last answers `/score`.

    Every method is called on the loop's thread.
    """

    def __init__(self, settings: Settings, board: Scoreboard, slot: Slot, on_stuck: Any = None) -> None:
        self.settings = settings
        self.scorer: Scorer | None = None
        self.phase = "import"
        self.phase_since = time.monotonic()
        self.tracer: Tracer | None = None
        self.auth = Auth(settings)
        self.queue = RequestQueue(settings, slot, self.finish, self.finish_together, on_stuck or (lambda: None))
        self.answers = Responder(settings, slot, lambda: self.queue.busy)
        self._board = board
        self._slot = slot
        self._allowed: tuple[str, ...] = ("POST",)
        self.heads = Heads()
        self._name = _first_name()
        self._named = 0

    def set_phase(self, phase: str) -> None:
        if phase == "ready":
            assert self.scorer is not None
            self._allowed = ("POST", "GET", "OPTIONS") if self.scorer.script.mode == "raw" else ("POST",)
            if self.settings.cors_origins and "OPTIONS" not in self._allowed:
                self._allowed += ("OPTIONS",)
        self.phase_since = time.monotonic()
        self.phase = phase  # last: the loop answers meanwhile
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
            self.name_anew(x)
            return None
        for name in ("x-request-id", "x-ms-request-id", "x-ms-client-request-id"):
            if len(headers.get(name, "")) > MAX_ID:
                self.name_anew(x)
                return error_response(431, "id-too-long", f"{name} must not be longer than {MAX_ID} characters", name)
        client = client or headers.get("x-ms-request-id") or ""
        x.id = given or client
        x.ids = b"x-ms-request-id: %b\r\n" % x.id.encode("latin-1", "replace")
        if client:
            x.ids += b"x-ms-client-request-id: %b\r\n" % client.encode("latin-1", "replace")
        return None

    def name_anew(self, x: Exchange) -> None:
        """An id of our own: a random UUID (version 4) for each worker, whose last 8 digits count."""
        self._named = (self._named + 1) & 0xFFFFFFFF
        x.id = f"{self._name}{self._named:08x}"
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
            return error_response(413, "too-large", text, "body", "Send fewer rows at a time.")
        if size and kept + size > max(_GENEROUS, 2 * limit):
            text = "too many large bodies are in hand"
            return later(error_response(503, "overloaded", text, "body", "Try again in a second."))
        return None

    def _admit_other(self, x: Exchange) -> Response | None:
        if x.path not in _OPEN and x.path != "/swagger.json":
            return error_response(404, "not-found", f"no such path: {x.path}", x.path, "The service answers at /score.")
        return None if x.method in ("GET", "HEAD") else _not_allowed(x.method, ("GET", "HEAD"))

    def handle(self, x: Exchange) -> None:
        """The whole request is there, and it is its turn. Whatever fails, it is answered."""
        try:
            self._handle(x)
        except Exception as error:
            text = f"internal error of the server: {reason_of(error)}"
            writer.log(text, level="error", request_id=x.id, traceback="".join(format_exception(error)))
            self.finish(x, error_response(500, "server-failed", "the server failed; the entry script is not at fault"))

    def _handle(self, x: Exchange) -> None:
        if x.path != "/score":
            self.finish(x, self._plain(x))
            return
        scorer = self.scorer
        assert scorer is not None
        request = Request(x.method, x.headers, x.body, x.query, x.path, x.connection.peer, x.id)
        if self.tracer is not None:
            request.span = self.tracer.start_span(x.method, x.path, x.headers, x.id)
        self.queue.submit(x, request)

    def lost(self, x: Exchange) -> None:
        """The client went away before its answer."""
        if self.tracer is not None and x.job is not None and x.job.request.span is not None:
            self.tracer.abandon_span(x.job.request.span)
        self.queue.abandon(x)

    # -- an answer leaves -----------------------------------------------------------------------------

    def finish(self, x: Exchange, response: Response) -> None:
        """Sends the answer, counts it, writes it down."""
        self.answers.send(x, response)
        job = x.job
        if job is not None:
            if self.tracer is not None and job.request.span is not None:
                self.tracer.end_span(job.request.span, response.status, response.timings, job.batch, response.error)
            self.queue.forget(x)
        response.error = None  # its traceback has frames that know the response: only the collector would free them

    def finish_together(self, jobs: list[Job], shared: BatchResult) -> None:
        """As `finish`, for requests that one call of `run()` has answered. None of them has a span."""
        self.answers.send_together(jobs, shared)
        for job in jobs:
            self.queue.forget(job.exchange)

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
        return later(error_response(503, "starting", text, self.phase, "GET /ready answers 200 when it is ready."))

    def _unauthorised(self, reason: str) -> Response:
        response = error_response(401, "unauthorised", reason, "authorization", self.auth.hint)
        return response.add_header(b"www-authenticate", self.auth.challenge(reason))

    def _describe(self, query: str) -> Response:
        if self.scorer is None:
            return self._not_ready()
        asked = parse_qs(query).get("version", [""])[-1]
        if asked not in VERSIONS:
            hint = "Ask for ?version=2, 3 or 3.1."
            return error_response(404, "not-found", f"no description in version {asked!r}", "version", hint)
        return Response(200, orjson.dumps(describe_service(self.scorer.script, self.settings, VERSIONS[asked])))


def _first_name() -> str:
    """A random UUID but for its last 8 digits."""
    block = os.urandom(12).hex()
    variant = "89ab"[int(block[15], 16) & 3]
    return f"{block[:8]}-{block[8:12]}-4{block[12:15]}-{variant}{block[16:19]}-{block[19:23]}"


def _not_allowed(method: str, allowed: tuple[str, ...]) -> Response:
    response = error_response(
        405, "method-not-allowed", f"{method} is not allowed here", "method", f"Use {' or '.join(allowed)}."
    )
    return response.add_header(b"allow", ", ".join(allowed).encode())


def later(response: Response) -> Response:
    return response.add_header(b"retry-after", b"1")
