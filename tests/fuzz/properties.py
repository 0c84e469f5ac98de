"""What must hold for every input: the properties that `run`, `coverage` and the unit tests check."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from functools import cache
from time import perf_counter
from typing import Any

import h11
from hypothesis import event
from hypothesis import strategies as st

from mldeploy_jupyter.serving.scoring.messages import Request
from mldeploy_jupyter.serving.scoring.openapi import describe_service
from mldeploy_jupyter.serving.scoring.scorer import Scorer
from mldeploy_jupyter.serving.settings import Settings

from . import messages
from .scripts import SCRIPTS, bodies
from .wire import Bench, answers, script_of

CUTS = st.lists(st.integers(0, 5000), max_size=6)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), messages.anything(), CUTS),
        st.sampled_from(
            ["hold", "finish", "full", "read", "turn", "late", "eof", "gone", "leave", "close", "move"]
        ).map(lambda name: (name, b"", [])),
    ),
    min_size=1,
    max_size=12,
)


def any_bytes_any_way(steps: list[tuple[str, bytes, list[int]]]) -> None:
    """Random bytes in random pieces, from clients that stall, do not read, or disconnect: nothing is left behind."""
    bench = Bench()
    try:
        for name, data, cuts in steps:
            _step(bench, name, data, cuts)
        bench.finish()
        _check_answers(bench)
        if not bench.over:
            pipeline = bench.connection.pipeline
            assert len(pipeline) <= 1 and not any(one.complete for one in pipeline), "a whole request is not answered"
            assert bench.acceptor.buffered == sum(one.buffered for one in pipeline)
    finally:
        bench.end()


def _step(bench: Bench, name: str, data: bytes, cuts: list[int]) -> None:
    connection = bench.connection
    if name == "send":
        for piece in messages.pieces(data, cuts):
            bench.feed(piece)
    elif name == "hold":
        bench.script_thread.holding = True
    elif name == "finish":
        bench.script_thread.holding = False
        bench.script_thread.finish_all()
    elif name == "full" and not bench.lost:
        bench.socket.full = True
    elif name == "read" and not bench.lost:
        bench.socket.drain()
    elif name == "turn":
        bench.turn()
    elif name == "late" and not bench.lost:
        connection.check_deadlines(perf_counter() + 1000)
    elif name == "eof":
        bench.eof()
    elif name == "gone":
        bench.lose()
    elif name in ("leave", "close", "move") and not bench.lost:
        # The worker is replaced: its connections are handed over, or closed with the service.
        bench.acceptor.draining = True
        bench.acceptor.closing = bench.acceptor.closing or name == "close" or bench.connection.private
        if name != "move":
            connection.release()


def _check_answers(bench: Bench) -> None:
    answered = bench.app.answered
    found = answers(bytes(bench.socket.sent), [method for method, *_ in answered])
    assert len(found) <= len(answered)
    for status, headers, body in found:
        assert status in (200, 204, 400, 401, 403, 404, 405, 408, 413, 417, 429, 431, 501, 503, 504), (status, body)
        assert headers["x-ms-request-id"] and headers["date"]
        if status >= 400 and body:
            assert json.loads(body)["error"]["code"], body
    if not bench.lost:
        assert len(found) == len(answered), "an answer is lost"
    closed = [index for index, (_, headers, _) in enumerate(found) if headers.get("connection") == "close"]
    assert closed in ([], [len(found) - 1]), "an answer after the last"
    if closed:
        assert bench.over
    event(f"{len(found)} answers, over: {bench.over}")


def valid_requests_are_answered(requests: list[tuple[bytes, bytes]], cuts: list[int], full: bool, hold: bool) -> None:
    """Valid pipelined requests, in any pieces, read slowly: each gets its own answer, in order."""
    bench = Bench()
    try:
        bench.socket.full, bench.script_thread.holding = full, hold
        for piece in messages.pieces(b"".join(data for data, _ in requests), cuts):
            bench.feed(piece)
        bench.finish()
        found = answers(bytes(bench.socket.sent), [])
        wanted = [_echoed(body) for _, body in requests]
        assert [(status, body) for status, _, body in found] == wanted
        assert not bench.over and not bench.connection.busy and bench.acceptor.buffered == 0
    finally:
        bench.end()


def _echoed(body: bytes) -> tuple[int, bytes]:
    return {b"none": (204, b""), b"large": (200, b"x" * 100_000)}.get(body, (200, b":" + body))


def cached_heads_change_nothing(requests: list[bytes], order: list[int], cuts: list[int]) -> None:
    """Repeated requests get the same answers with the head cache as without it."""
    chunks = [requests[place % len(requests)] for place in order]
    chunks += [*messages.pieces(b"".join(chunks), cuts), *chunks]
    seen = []
    for known in (True, False):
        bench = Bench()
        if not known:
            bench.app.head_cache.learn = lambda *_: None  # type: ignore[method-assign]
        try:
            for chunk in chunks:
                bench.feed(chunk)
            bench.finish()
            found = answers(bytes(bench.socket.sent), [method for method, *_ in bench.app.answered])
            seen.append((list(bench.app.answered), [(status, body) for status, _, body in found], bench.over))
        finally:
            bench.end()
    event(f"{len(seen[0][1])} answers")
    assert seen[0] == seen[1]


# -- two readers ---------------------------------------------------------------------------------------------


def agrees_with_h11(data: bytes, cuts: list[int]) -> None:
    """The server and h11 agree on where each request ends and on what is in it. After a refusal nothing follows."""
    bench = Bench()
    try:
        for piece in messages.pieces(data, cuts):
            bench.feed(piece)
        bench.finish()
        ours = list(bench.app.answered)
        ended = bench.over
        pending = bench.connection.arriving
    finally:
        bench.end()
    refused = bool(ours) and ended and ours[-1][3] in (400, 403, 413, 417, 431, 501)
    theirs, why = read_by_h11(data)
    for number, ((method, target, body, status), other) in enumerate(zip(ours, theirs, strict=False)):
        if refused and number == len(ours) - 1:
            break  # not understood, or not wanted: nothing was made of it, and the connection has ended
        assert (method, target) == other[:2], f"request {number}: {(method, target)} here, {other[:2]} there"
        if status < 300 and target.startswith(b"/score") and (method != "OPTIONS" or body):
            assert other[2] is not None, f"request {number} has ended here, and not there"
            assert body == other[2], f"request {number}: {body!r} here, {other[2]!r} there"
    accepted = len(ours) - refused
    if accepted > len(theirs):
        assert why in ("refused", "closed"), f"{accepted} requests here, {len(theirs)} there, which waits for more"
    if len(theirs) > len(ours):
        waiting = pending is not None and len(theirs) == len(ours) + 1 and theirs[-1][2] is None
        assert ended or waiting, f"{len(theirs)} requests there, {len(ours)} here, which waits for more"
    event(f"{accepted} accepted, refused here: {refused}, there: {why or 'no'}")


def read_by_h11(data: bytes) -> tuple[list[tuple[str, bytes, bytes | None]], str]:
    """The requests that h11 finds, with a body of None for an incomplete one, and why it stopped."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    found: list[tuple[str, bytes, bytes | None]] = []
    body = bytearray()
    while True:
        try:
            got = connection.next_event()
        except h11.RemoteProtocolError:
            return found, "refused"
        if isinstance(got, h11.Request):
            found.append((got.method.decode("latin-1"), got.target, None))
            body.clear()
        elif isinstance(got, h11.Data):
            body += got.data
        elif isinstance(got, h11.EndOfMessage):
            found[-1] = (*found[-1][:2], bytes(body))
            connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is not h11.DONE:
                return found, "closed"
            connection.start_next_cycle()
        else:
            return found, "closed" if got is h11.PAUSED or isinstance(got, h11.ConnectionClosed) else ""


# -- scoring -------------------------------------------------------------------------------------------------


@cache
def _scorer(name: str) -> tuple[Scorer, set[int]]:
    script = script_of(SCRIPTS[name])
    declared = describe_service(script, Settings(), "3.1")["paths"]["/score"]["post"]["responses"]
    return Scorer(script, max_bytes=10_000_000), {int(code) for code in declared}


def only_declared_answers(name: str, body: bytes, headers: dict[str, str]) -> None:
    """A script that cannot fail: every answer is one that the description declares, never 5xx."""
    scorer, declared = _scorer(name)
    response = scorer.score(Request(headers=headers, body=body))
    assert response.status in declared and response.status < 500, response.body
    json.loads(response.body.decode("utf-8"), parse_constant=_refuse)
    if response.status >= 400:
        told = json.loads(response.body)
        assert told["message"] and told["error"]["code"], told
    event(f"{name} {response.status}")


def _refuse(name: str) -> Any:
    raise AssertionError(f"{name} was sent")


CONTENT_TYPES = st.sampled_from(
    ["application/json"] * 8
    + ["application/json; charset=utf-8", "text/plain", "", "application/octet-stream", "application/x-npy"]
    + ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/python-pickle", "\xff"]
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, bytes, dict[str, str]]:
    name = draw(st.sampled_from(sorted(SCRIPTS)))
    body = draw(bodies(name))
    headers = {"content-type": draw(CONTENT_TYPES)}
    encode: Callable[[bytes], bytes] | None
    coding, encode = draw(
        st.sampled_from(
            [("", None)] * 8
            + [("gzip", _gzip), ("deflate", zlib.compress), ("gzip", None), ("br", None), ("gzip, gzip", _gzip)]
        )
    )
    if coding:
        headers["content-encoding"] = coding
        body = encode(body) if encode else body
        if draw(st.integers(0, 4)) == 0:
            body = body[: draw(st.integers(0, len(body)))]
    return name, body, headers


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, 1)
