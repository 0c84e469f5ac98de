"""The service's routes: who may call them, the ids of requests, and every answer but those of `run()`.

Liveness, readiness and metrics are open: probes and scrapers carry no key, and the answers reveal nothing of the data.
`/swagger.json` asks for the key like `/score`: its example is the sample, which may be private.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from collections.abc import Callable, Mapping
from traceback import format_exception
from typing import Any
from urllib.parse import parse_qs

import orjson

from ..http.direct_poll import DirectPoll
from ..http.exchange import Exchange
from ..http.head_cache import HeadCache
from ..ipc import scoreboard as fields
from ..ipc.failure import describe as describe_error
from ..ipc.failure import from_exception
from ..ipc.scoreboard import Scoreboard, Slot
from ..log import writer
from ..log.entry import quote
from ..scoring.messages import Response, body_too_large, error_response
from ..scoring.openapi import VERSIONS, describe_service
from ..scoring.scorer import Scorer
from ..scoring.tracing import Tracer
from ..settings import Settings
from . import metrics
from .auth import Auth
from .connection_sharing import ConnectionSharing
from .host_check import HostCheck
from .jobs import BatchResult
from .own_description import find_descriptions
from .request_queue import RequestQueue, add_retry_after
from .responder import Responder

MAX_ID = 100  # characters of a request id

_HEX = tuple(f"{number:02x}" for number in range(256))
_HEX_BYTES = tuple(text.encode() for text in _HEX)

# Bytes. All request bodies in memory may take this much, or twice `max_body_bytes` if that is more.
MIN_BUFFERED_LIMIT = 256 * 1024 * 1024

_OPEN_PATHS = frozenset(("/", "/ready", "/metrics"))
KEPT_BYTES = 65_536  # of the body of the last request, at most

KEPT_HEADERS = ("content-type", "content-encoding", "accept")  # of the last request

_PHASES = {"import": "the entry script is being imported", "init": "init() is running", "sample": "scoring the sample"}


class App:
    """The application behind `http` (`http.application.Application`). Every method is called on the loop's thread, or,
    while the script's thread leads (`worker.lead`), on that one; with the lock of `direct`.

    `phase` goes import, init, sample, ready; only the last one answers `/score`. `in_service` is what `/ready` says:
    true from the end of the supervisor's probe until the service is about to stop. `on_stuck()` is called when a call
    of `run()` cannot be ended, so that the worker must be replaced. `bound` is the address that is listened on.
    """

    def __init__(
        self,
        settings: Settings,
        scoreboard: Scoreboard,
        slot: Slot,
        loop: asyncio.AbstractEventLoop,
        on_stuck: Callable[[], None] = lambda: None,
        bound: str = "127.0.0.1",
    ) -> None:
        self.settings = settings
        self.scorer: Scorer | None = None
        self.phase = "import"
        self.in_service = False
        self.phase_since = time.monotonic()
        self.tracer: Tracer | None = None
        self.auth = Auth(settings)
        self._host_check = HostCheck(settings.allowed_hosts, settings.cors_origins, bound)
        self.head_cache = HeadCache(self.auth)
        self.direct = DirectPoll(loop)
        self.queue = RequestQueue(settings, slot, self.direct, self.send_response, self.send_batch, on_stuck)
        self._sharing = ConnectionSharing(scoreboard, slot, self.queue)
        self._responder = Responder(settings, slot, self.direct, lambda: self.queue.busy)
        self._scoreboard = scoreboard
        self._slot = slot
        self._allowed: tuple[str, ...] = ("POST", "OPTIONS")
        self._own_descriptions: dict[str, bytes] = {}
        self._aliases: dict[str, str] = {}
        self._answers: Mapping[str, bytes] = {}
        self.max_buffered = max(MIN_BUFFERED_LIMIT, 2 * settings.max_body_bytes)
        self._id_prefix = _new_id_prefix()
        self._id_count = 0
        self._begin_id_block()
        self._kept_bytes = KEPT_BYTES if settings.keep_last_request else -1
        self._last_answered: tuple[str, str, dict[str, str], bytes, float] | None = None

    def last_request(self) -> dict[str, Any] | None:
        """The last request that `run()` answered with 200, as data for the supervisor, without its credentials."""
        if self._last_answered is None:
            return None
        method, query, headers, body, answered = self._last_answered
        headers = {name: headers[name] for name in KEPT_HEADERS if name in headers}
        text = base64.b64encode(body).decode()
        return {"method": method, "query": query, "headers": headers, "body": text, "time": answered}

    def set_phase(self, phase: str) -> None:
        if phase == "ready":
            assert self.scorer is not None
            script, contract = self.scorer.script, self.scorer.script.contract
            any_http = script.mode == "raw" and contract is None
            self._allowed = ("POST", "GET", "OPTIONS") if any_http else ("POST", "OPTIONS")
            if contract is not None:
                self._aliases = {
                    **dict.fromkeys(contract.score_paths, "/score"),
                    **dict.fromkeys(contract.health_paths, "/"),
                }
                self._answers = contract.answers
            self._own_descriptions = find_descriptions(self.settings)
        self.phase_since = time.monotonic()
        self.phase = phase  # set last: the event loop already serves requests while this runs
        self._slot.fields[fields.READY] = int(phase == "ready")

    def record_connections(self, count: int) -> None:
        self._slot.fields[fields.CONNECTIONS] = count

    def record_accepting(self, accepting: bool) -> None:
        self._slot.state[fields.ACCEPTING] = int(accepting)

    def record_accepted(self) -> None:
        self._sharing.record_accepted()

    def record_taken(self) -> None:
        self._slot.state[fields.LEAVING] = 0

    def is_paused(self) -> bool:
        return bool(self._slot.state[fields.PAUSED])

    def leaves_connection(self, waited: float) -> bool:
        return self._sharing.leaves_connection(waited)

    # -- a request arrives ----------------------------------------------------------------------------

    def admit(self, exchange: Exchange, buffered: int) -> None:
        """Sets the id of a request whose headers are complete, and `early_response` if its body does not matter.

        `buffered` is how many bytes of bodies all connections hold.
        """
        refusal = self.assign_request_id(exchange)
        if exchange.early_response is None:
            scored = exchange.path == "/score"
            if not scored and exchange.path in self._aliases:
                exchange.path = self._aliases[exchange.path]
                scored = exchange.path == "/score"
            if refusal is None and not exchange.connection.private:
                refusal = self._host_check.refuse(exchange)
            exchange.early_response = refusal or (
                self._admit_score(exchange, buffered) if scored else self._admit_other(exchange)
            )

    def assign_request_id(self, exchange: Exchange) -> Response | None:
        """Sets the id and the headers that tell it to the client. Returns 431 if the client's id is too long."""
        headers = exchange.headers
        client_id = headers.get("x-ms-client-request-id")
        given_id = headers.get("x-ms-request-id") or headers.get("x-request-id")
        if not client_id and not given_id and "traceid" not in headers:
            self.generate_request_id(exchange)
            return None
        for name in ("x-request-id", "x-ms-request-id", "x-ms-client-request-id", "traceid"):
            if len(headers.get(name, "")) > MAX_ID:
                self.generate_request_id(exchange)
                return error_response(431, "id-too-long", f"{name} must not be longer than {MAX_ID} characters", name)
        client_id = client_id or headers.get("x-ms-request-id") or ""
        if not given_id and not client_id:
            self.generate_request_id(exchange)
        if given_id or client_id:
            exchange.id = given_id or client_id
            exchange.quoted_id = quote(exchange.id).encode()
        told = {
            "x-request-id": headers.get("x-request-id") or exchange.id,
            "x-ms-request-id": exchange.id,
            "x-ms-client-request-id": client_id,
            "traceid": headers.get("traceid"),
        }
        exchange.id_headers = b"".join(
            b"%b: %b\r\n" % (name.encode(), value.encode("latin-1", "replace")) for name, value in told.items() if value
        )
        return None

    def generate_request_id(self, exchange: Exchange) -> None:
        """Sets an id of the server's own: the worker's random UUID (version 4) with a counter as its last 8 digits."""
        self._id_count = count = (self._id_count + 1) & 0xFFFFFFFF
        last = count & 0xFF
        if not last:
            self._begin_id_block()
        digits = _HEX_BYTES[last]
        exchange.id = self._id_block + _HEX[last]
        exchange.quoted_id = self._quoted_id + digits + b'"'
        exchange.id_headers = self._id_headers[0] + digits + self._id_headers[1] + digits + b"\r\n"

    def _begin_id_block(self) -> None:
        """Ids come in blocks of 256 that differ in their last two digits: all eight take a request twice as long."""
        self._id_block = block = f"{self._id_prefix}{self._id_count >> 8:06x}"
        name = block.encode()
        self._quoted_id = b'"' + name
        self._id_headers = b"x-request-id: " + name, b"\r\nx-ms-request-id: " + name

    def _admit_score(self, exchange: Exchange, buffered: int) -> Response | None:
        method = exchange.method
        if method == "OPTIONS":
            raw = "GET" in self._allowed
            preflight = self.settings.cors_origins and (not raw or "access-control-request-method" in exchange.headers)
            if preflight or (not raw and self.phase == "ready"):
                return Response(204 if preflight else 200, b"", [(b"allow", ", ".join(self._allowed).encode())])
        if not exchange.connection.private:
            reason = self.auth.allows(exchange.headers.get("authorization"))
            if reason:
                return self._unauthorised(reason)
        if self.phase != "ready":
            return self._not_ready()
        if method not in self._allowed:
            return _not_allowed(method, self._allowed)
        length = exchange.headers.get("content-length")
        if length is not None and length.isdigit():
            return self.check_body_size(int(length), buffered)
        return None

    def check_body_size(self, size: int, buffered: int) -> Response | None:
        """Refuses a body of `size` bytes as soon as its size is known; None if it fits.

        413 if it is too large, 503 if all connections hold too many: `buffered` bytes.
        """
        limit = self.settings.max_body_bytes
        if size > limit:
            return body_too_large(limit)
        if size and buffered + size > self.max_buffered:
            text = "too many large request bodies are in memory"
            return add_retry_after(error_response(503, "overloaded", text, "body", "Try again in a second."))
        return None

    def _admit_other(self, exchange: Exchange) -> Response | None:
        if exchange.path not in _OPEN_PATHS and exchange.path != "/swagger.json" and exchange.path not in self._answers:
            slash = exchange.path.startswith("/score/")
            hint = f"The service answers at /score{', without a trailing slash' if slash else ''}."
            return error_response(404, "not-found", f"no such path: {exchange.path}", exchange.path, hint)
        return None if exchange.method in ("GET", "HEAD") else _not_allowed(exchange.method, ("GET", "HEAD"))

    def handle(self, exchange: Exchange) -> None:
        """Answers a complete request, at once or after `run()`. Whatever fails, the client gets an answer."""
        try:
            if exchange.path != "/score":
                self.send_response(exchange, self._answer_other(exchange))
                return
            exchange.remote_addr = exchange.connection.peer
            if self.tracer is not None:
                exchange.span = self.tracer.start_span(exchange.method, exchange.path, exchange.headers, exchange.id)
            self.queue.submit(exchange)
        except Exception as error:
            self._answer_own_failure(exchange, error)

    def handle_known(self, exchange: Exchange) -> None:
        """As `handle`, for a request to `/score` whose head is cached."""
        if self.tracer is not None:
            self.handle(exchange)
            return
        try:
            self.queue.submit(exchange)
        except Exception as error:
            self._answer_own_failure(exchange, error)

    def _answer_own_failure(self, exchange: Exchange, error: Exception) -> None:
        text = f"internal error of the server: {describe_error(error)}"
        writer.log(text, level="error", request_id=exchange.id, traceback="".join(format_exception(error)))
        text = "the server failed; the entry script is not at fault"
        self.send_response(exchange, error_response(500, "server-failed", text))

    def abandon(self, exchange: Exchange) -> None:
        """Drops a request whose client disconnected."""
        if self.tracer is not None and exchange.job is not None and exchange.span is not None:
            self.tracer.abandon_span(exchange.span)
        self.queue.abandon(exchange)

    # -- an answer leaves -----------------------------------------------------------------------------

    def send_response(self, exchange: Exchange, response: Response) -> None:
        """Sends, counts and logs one answer, and ends the request."""
        if response.error is not None and exchange.connection.private:
            response.body = _with_failure(response)
        self._responder.send_response(exchange, response)
        job = exchange.job
        if job is not None:
            if self.tracer is not None and exchange.span is not None:
                self.tracer.end_span(exchange.span, response.status, response.timings, job.batch, response.error)
            self.queue.release(exchange)
            if response.status == 200 and len(exchange.body) <= self._kept_bytes:
                self._keep(exchange)
        response.error = None  # drop the exception: its traceback references the response (a cycle)

    def send_batch(self, result: BatchResult) -> None:
        """As `send_response`, for requests that one call of `run()` answered with 200. None of them is traced."""
        self._responder.send_batch(result)
        self.queue.release_batch(result.jobs)
        last = result.jobs[-1].exchange
        if len(last.body) <= self._kept_bytes:
            self._keep(last)

    def _keep(self, exchange: Exchange) -> None:
        if not exchange.connection.private:  # the sample is no request of a client
            self._last_answered = exchange.method, exchange.query, exchange.headers, exchange.body, time.monotonic()

    # -- the other routes -----------------------------------------------------------------------------

    def _answer_other(self, exchange: Exchange) -> Response:
        if exchange.path == "/":
            return Response(200, b"Healthy", [(b"content-type", b"text/plain; charset=utf-8")])
        if exchange.path == "/ready":
            if self.phase != "ready":
                return self._not_ready()
            if not self.in_service and not exchange.connection.private:
                text = "not ready: the service has not been probed yet, or is about to stop"
                return add_retry_after(error_response(503, "not-in-service", text, "ready"))
            return Response(200, b'{"status":"ready"}')
        if exchange.path == "/metrics":
            return Response(
                200, metrics.text(self._scoreboard, self.settings.service), [(b"content-type", metrics.CONTENT_TYPE)]
            )
        if not exchange.connection.private:
            reason = self.auth.allows(exchange.headers.get("authorization"))
            if reason:
                return self._unauthorised(reason)
        if exchange.path in self._answers:
            return Response(200, self._answers[exchange.path])
        return self._describe(exchange.query)

    def _not_ready(self) -> Response:
        seconds = time.monotonic() - self.phase_since
        text = f"not ready: {_PHASES.get(self.phase, self.phase)} ({seconds:.1f} s)"
        return add_retry_after(
            error_response(503, "starting", text, self.phase, "GET /ready answers 200 when it is ready.")
        )

    def _unauthorised(self, reason: str) -> Response:
        response = error_response(401, "unauthorised", reason, "authorization", self.auth.hint)
        return response.add_header(b"www-authenticate", self.auth.challenge(reason))

    def _describe(self, query: str) -> Response:
        if self.scorer is None:
            return self._not_ready()
        asked = parse_qs(query).get("version", [""])[-1]
        own = self._own_descriptions.get(VERSIONS.get(asked, "") if asked else "")
        if own is not None:
            return Response(200, own)
        if asked not in VERSIONS:
            hint = "Ask for ?version=2, 3 or 3.1."
            return error_response(404, "not-found", f"no description in version {asked!r}", "version", hint)
        return Response(200, orjson.dumps(describe_service(self.scorer.script, self.settings, VERSIONS[asked])))


def _with_failure(response: Response) -> bytes:
    """The body of an error with its exception, for the supervisor, which a private connection belongs to."""
    assert response.error is not None
    try:
        answer = orjson.loads(response.body)
    except ValueError:
        answer = {"message": response.body.decode("utf-8", "replace")}
    return json.dumps({**answer, "failure": from_exception(response.error, "probe")}, default=str).encode()


def _new_id_prefix() -> str:
    """A random UUID without its last 8 digits."""
    block = os.urandom(12).hex()
    variant = "89ab"[int(block[15], 16) & 3]
    return f"{block[:8]}-{block[8:12]}-4{block[12:15]}-{variant}{block[16:19]}-{block[19:23]}"


def _not_allowed(method: str, allowed: tuple[str, ...]) -> Response:
    response = error_response(
        405,
        "method-not-allowed",
        f"{method} is not allowed here",
        "method",
        f"Use {' or '.join(name for name in allowed if name != 'OPTIONS')}.",
    )
    return response.add_header(b"allow", ", ".join(allowed).encode())
