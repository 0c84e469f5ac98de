"""The service on the wire: routes, keys, request ids, limits. A thin shell around the scoring core.

Liveness, readiness and metrics are open: probes and scrapers carry no key, and they say nothing of the
data. `/swagger.json` asks for the key like `/score`: its example is the sample, which may be private.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import time
import traceback
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from urllib.parse import parse_qs

import orjson

from . import output
from .messages import Request, Response, problem
from .metrics import CONTENT_TYPE, Metrics
from .openapi import VERSIONS, describe
from .runner import Job, Runner
from .scoring import Scorer
from .settings import Settings
from .tracing import Call, Tracer

MAX_ID = 100  # characters
STUCK_AFTER = 0.5  # seconds that run() may go on after its deadline before the worker is replaced
TICK = 0.05  # seconds between two looks at the deadlines


class App:
    """An ASGI application. `phase` goes import, init, sample, ready; only the last answers `/score`."""

    def __init__(self, settings: Settings, runner: Runner, on_stuck: Callable[[], None] = lambda: None) -> None:
        self.settings = settings
        self.scorer: Scorer | None = None
        self.tracer: Tracer | None = None
        self.phase = "import"
        self.phase_since = time.monotonic()
        self.metrics = Metrics(settings.service, settings.label)
        self.draining = False
        self._runner = runner
        self._on_stuck = on_stuck
        self._keys: list[bytes] = []
        self._jobs: set[Job] = set()
        self._ticking = False
        self._stuck = False
        self._revision = (b"x-mldeploy-revision", settings.label.encode("latin-1", "replace"))

    def set_keys(self, keys: dict[str, str]) -> None:
        self._keys = [keys[name].encode() for name in ("primaryKey", "secondaryKey") if keys.get(name)]

    def set_phase(self, phase: str) -> None:
        self.phase, self.phase_since = phase, time.monotonic()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        began = time.perf_counter()
        headers = _headers(scope["headers"])
        path, method = scope["path"], scope["method"]
        request_id, answer_ids, refused = _ids(headers)
        scored = path == "/score"
        if scored:
            self.metrics.in_flight += 1
        try:
            response = refused or await self._route(scope, method, path, headers, receive, request_id)
        except _Disconnected:
            return
        except Exception as error:
            text = f"internal error of the server: {type(error).__name__}: {error}"
            output.log(text, level="error", request_id=request_id, traceback=traceback.format_exc())
            response = problem(500, "server-failed", "the server failed; the entry script is not at fault")
            await self._send(scope, send, response, answer_ids, headers, scored)
            raise
        finally:
            if scored:
                self.metrics.in_flight -= 1
        await self._send(scope, send, response, answer_ids, headers, scored)
        seconds = time.perf_counter() - began
        if scored:
            self.metrics.observe(response.status, seconds)
        if scored or response.status >= 400:
            took = (response.timings or {}).get
            queue, run = took("queue", 0.0) / 1000, took("run", 0.0) / 1000
            length = headers.get("content-length", "")
            size = int(length) if length.isdigit() else 0
            output.access(request_id, method, path, response.status, seconds, queue, run, size, len(response.body), 1)

    async def _route(
        self, scope: dict[str, Any], method: str, path: str, headers: dict[str, str], receive: Any, request_id: str
    ) -> Response:
        if scope.get("headers_too_large"):
            return problem(431, "headers-too-large", "the request's headers are too large")
        if path == "/score":
            return await self._score(scope, method, headers, receive, request_id)
        if path not in ("/", "/ready", "/metrics", "/swagger.json"):
            return problem(404, "not-found", f"no such path: {path}", path, "The service answers at /score.")
        if method not in ("GET", "HEAD"):
            return _not_allowed(method, ["GET", "HEAD"])
        if path == "/":
            return Response(200, b"Healthy", [(b"content-type", b"text/plain; charset=utf-8")])
        if path == "/ready":
            return self._not_ready() or Response(200, b'{"status":"ready"}')
        if path == "/metrics":
            return Response(200, self.metrics.text(self.phase == "ready"), [(b"content-type", CONTENT_TYPE)])
        return self._unauthorised(scope, headers) or self._describe(scope)

    # -- /score ---------------------------------------------------------------------------------------

    async def _score(
        self, scope: dict[str, Any], method: str, headers: dict[str, str], receive: Any, request_id: str
    ) -> Response:
        raw = self.scorer is not None and self.scorer.script.mode == "raw"
        allowed = ["POST", "GET", "OPTIONS"] if raw else ["POST"]
        if self.settings.cors_origins and "OPTIONS" not in allowed:
            allowed.append("OPTIONS")
        preflight = method == "OPTIONS" and "access-control-request-method" in headers
        if self.settings.cors_origins and method == "OPTIONS" and (preflight or not raw):
            return Response(204, b"", [(b"allow", ", ".join(allowed).encode())])
        unauthorised = self._unauthorised(scope, headers)
        if unauthorised is not None:
            return unauthorised
        not_ready = self._not_ready()
        if not_ready is not None:
            return not_ready
        if method not in allowed:
            return _not_allowed(method, allowed)
        body = await self._body(headers, receive)
        if isinstance(body, Response):
            return body
        query = scope["query_string"].decode("latin-1")
        address = scope["client"][0] if scope.get("client") else None
        request = Request(method, headers, body, query, scope["path"], address, request_id)
        assert self.scorer is not None
        tracer = self.tracer
        call = tracer.begin(method, "/score", headers, request_id) if tracer is not None else None
        score = self._await_run if self.scorer.script.is_async else self._queue_run
        response = await score(self.scorer, request, call)
        if tracer is not None and call is not None:
            tracer.finish(call, response.status, response.timings or {}, error=response.error)
        return response

    async def _body(self, headers: dict[str, str], receive: Any) -> bytes | Response:
        """The body, or 413 as soon as it is known to be too large: what is too large is never kept."""
        limit = self.settings.max_body_bytes
        too_large = problem(
            413, "too-large", f"the body is larger than {limit} bytes", "body", "Send fewer rows at a time."
        )
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > limit:
            return too_large
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Disconnected
            part = message.get("body", b"")
            size += len(part)
            if size > limit:
                return too_large
            parts.append(part)
            if not message.get("more_body"):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _queue_run(self, scorer: Scorer, request: Request, call: Call | None) -> Response:
        if self._stuck:
            return _replacing()
        if self._runner.waiting >= self.settings.max_queue:
            text = f"{self.settings.max_queue} requests are waiting already"
            return _later(problem(429, "too-many-requests", text, "", "Try again in a second."))
        job = self._runner.submit(lambda: self._run(scorer, request, call), asyncio.get_running_loop())
        self._jobs.add(job)
        self._start_ticking()
        try:
            response: Response = await job.future
        except _Late as late:
            return late.response
        finally:
            self._jobs.discard(job)
        response.timings = {"queue": (job.started - job.queued) * 1000, **response.timings}
        return response

    async def _await_run(self, scorer: Scorer, request: Request, call: Call | None) -> Response:
        limit = self.settings.scoring_timeout_ms / 1000 or None
        try:
            response = await asyncio.wait_for(self._run_async(scorer, request, call), limit)
        except TimeoutError:
            return self._passed_deadline()
        response.timings = {"queue": 0.0, **response.timings}
        return response

    def _run(self, scorer: Scorer, request: Request, call: Call | None) -> Response:
        token = output.request_id.set(request.id)
        try:
            return scorer.score(request, self._running(call))
        finally:
            output.request_id.reset(token)

    async def _run_async(self, scorer: Scorer, request: Request, call: Call | None) -> Response:
        output.request_id.set(request.id)  # of this task only
        return await scorer.score_async(request, self._running(call))

    def _running(self, call: Call | None) -> AbstractContextManager[None]:
        return nullcontext() if self.tracer is None or call is None else self.tracer.running(call)

    def _start_ticking(self) -> None:
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_later(TICK, self._tick)

    def _tick(self) -> None:
        """Ends the waiting for jobs whose time is over; a thread that does not end makes the worker leave."""
        now = time.perf_counter()
        limit = self.settings.scoring_timeout_ms / 1000
        patience = self.settings.max_queue_wait_ms / 1000
        for job in list(self._jobs):
            if job.future.done():
                continue
            if job.started and not job.done and limit and now - job.started > limit:
                job.future.set_exception(_Late(self._passed_deadline()))
                asyncio.get_running_loop().call_later(STUCK_AFTER, self._check_stuck, job)
            elif not job.started and patience and now - job.queued > patience:
                job.abandoned = True
                text = f"run() was busy for {patience:g} s"
                job.future.set_exception(_Late(_later(problem(503, "overloaded", text, "", "Try again in a second."))))
        if self._jobs:
            asyncio.get_running_loop().call_later(TICK, self._tick)
        else:
            self._ticking = False

    def _check_stuck(self, job: Job) -> None:
        if not job.done and not self._stuck:
            self._stuck = True
            for waiting in self._jobs:  # its turn would come only when the hung call ends
                if not waiting.started and not waiting.future.done():
                    waiting.abandoned = True
                    waiting.future.set_exception(_Late(_replacing()))
            self._on_stuck()

    def _passed_deadline(self) -> Response:
        limit = self.settings.scoring_timeout_ms
        text = f"run() did not end within {limit} ms"
        response = problem(504, "run-timeout", text, "run()", "Raise scoring_timeout_ms, or send fewer rows at a time.")
        response.failed = True
        return response

    # -- the rest -------------------------------------------------------------------------------------

    def _not_ready(self) -> Response | None:
        if self.phase == "ready":
            return None
        words = {
            "import": "the entry script is being imported",
            "init": "init() is running",
            "sample": "scoring the sample",
        }
        seconds = time.monotonic() - self.phase_since
        text = f"not ready: {words.get(self.phase, self.phase)} ({seconds:.1f} s)"
        return _later(problem(503, "starting", text, self.phase, "GET /ready answers 200 when it is ready."))

    def _unauthorised(self, scope: dict[str, Any], headers: dict[str, str]) -> Response | None:
        if not self.settings.auth_enabled or scope["state"].get("private"):
            return None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        token = given.strip().encode("utf-8", "surrogateescape") if scheme.lower() == "bearer" else b""
        # Every key is compared, so the time tells neither which nor how much of it was right.
        matches = [hmac.compare_digest(token, key) for key in self._keys]
        if token and any(matches):
            return None
        text = "the key is wrong" if headers.get("authorization") else "a key is required"
        response = problem(401, "unauthorised", text, "authorization", "Send the header Authorization: Bearer <key>.")
        response.headers.append((b"www-authenticate", b"Bearer"))
        return response

    def _describe(self, scope: dict[str, Any]) -> Response:
        if self.scorer is None:
            return self._not_ready() or problem(503, "starting", "not ready")
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("version", [""])[-1]
        if asked not in VERSIONS:
            hint = "Ask for ?version=2, 3 or 3.1."
            return problem(404, "not-found", f"no description in version {asked!r}", "version", hint)
        return Response(200, orjson.dumps(describe(self.scorer.script, self.settings, VERSIONS[asked])))

    def _cors(self, headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
        origins, origin = self.settings.cors_origins, headers.get("origin")
        if not origins or origin is None or ("*" not in origins and origin not in origins):
            return [(b"vary", b"origin")] if origins else []
        allow = origin.encode("latin-1")
        return [
            (b"vary", b"origin"),
            (b"access-control-allow-origin", allow),
            (b"access-control-allow-methods", b"GET, POST"),
            (b"access-control-allow-headers", b"authorization, content-type, x-request-id, x-ms-client-request-id"),
            (b"access-control-expose-headers", b"x-ms-request-id, x-ms-run-function-failed, x-mldeploy-revision"),
        ]

    async def _send(
        self,
        scope: dict[str, Any],
        send: Any,
        response: Response,
        ids: list[tuple[bytes, bytes]],
        headers: dict[str, str],
        scored: bool,
    ) -> None:
        out = [*response.headers, *ids, self._revision]
        if response.status not in (204, 304):
            out.append((b"content-length", b"%d" % len(response.body)))
        if scored:
            out += [(b"x-ms-run-function-failed", b"true" if response.failed else b"false"), *self._cors(headers)]
            if response.timings:
                parts = ", ".join(f"{name};dur={value:.3f}" for name, value in response.timings.items())
                out.append((b"server-timing", parts.encode()))
                if "run" in response.timings and not response.failed:
                    out.append((b"x-ms-run-fn-exec-ms", b"%.3f" % response.timings["run"]))
        await send({"type": "http.response.start", "status": response.status, "headers": out})
        await send({"type": "http.response.body", "body": response.body})


class _Disconnected(Exception):
    """The client went away before its request was complete."""


class _Late(Exception):
    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def _headers(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """By lower-case name; a header that came twice is joined with a comma."""
    headers: dict[str, str] = {}
    for raw, value in pairs:
        name, text = raw.decode("latin-1"), value.decode("latin-1")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers


def _ids(headers: dict[str, str]) -> tuple[str, list[tuple[bytes, bytes]], Response | None]:
    """The request's id, the headers that tell it to the client, and 431 where an id is too long."""
    given = {
        name: headers[name] for name in ("x-request-id", "x-ms-request-id", "x-ms-client-request-id") if name in headers
    }
    for name, value in given.items():
        if len(value) > MAX_ID:
            text = f"{name} must not be longer than {MAX_ID} characters"
            fresh = _new_id()
            return fresh, [(b"x-ms-request-id", fresh.encode())], problem(431, "id-too-long", text, name)
    client = given.get("x-ms-client-request-id") or given.get("x-ms-request-id")
    request_id = given.get("x-ms-request-id") or given.get("x-request-id") or client or _new_id()
    out = [(b"x-ms-request-id", request_id.encode("latin-1", "replace"))]
    if client:
        out.append((b"x-ms-client-request-id", client.encode("latin-1", "replace")))
    return request_id, out, None


def _new_id() -> str:
    return str(uuid.UUID(bytes=os.urandom(16), version=4))


def _not_allowed(method: str, allowed: list[str]) -> Response:
    response = problem(
        405, "method-not-allowed", f"{method} is not allowed here", "method", f"Use {' or '.join(allowed)}."
    )
    response.headers.append((b"allow", ", ".join(allowed).encode()))
    return response


def _replacing() -> Response:
    text = "run() of another request hangs; its worker is being replaced"
    return _later(problem(503, "worker-stuck", text, "", "Try again in a second."))


def _later(response: Response) -> Response:
    response.headers.append((b"retry-after", b"1"))
    return response
