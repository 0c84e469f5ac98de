"""A head that was accepted is known by its bytes; a new key, a longer body or another byte makes it unknown."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.serving.http.head_cache import LONGEST, MOST, Heads
from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.worker import app
from mldeploy_jupyter.serving.worker.auth import Auth
from tests.fuzz.wire import MAX_BODY, Bench, answers

HEAD = b"POST /score HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\ncontent-length: %d\r\n\r\n"


def post(body: bytes, key: bytes = b"first") -> bytes:
    return HEAD % (key, len(body)) + body


def served(bench: Bench, *chunks: bytes) -> list[tuple[int, bytes]]:
    for chunk in chunks:
        bench.feed(chunk)
    bench.settle()
    found = answers(bytes(bench.socket.sent), [])
    bench.socket.sent.clear()
    return [(status, body) for status, _, body in found]


def locked() -> Bench:
    bench = Bench()
    bench.app.auth = Auth(Settings(auth_enabled=True))
    bench.app.auth.set_keys({"primaryKey": "first", "secondaryKey": "second"})
    return bench


def test_a_head_that_comes_again_needs_no_parser() -> None:
    bench = locked()
    try:
        assert served(bench, post(b"one")) == [(200, b":one")]
        bench.connection.reader = None
        assert served(bench, post(b"two"), post(b"333")) == [(200, b":two"), (200, b":333")]
        assert bench.connection.reader is None
        assert served(bench, post(b"four")) == [(200, b":four")]  # another length
        assert bench.connection.reader is not None
    finally:
        bench.end()


@pytest.mark.parametrize("rest", [b"", b"P", post(b"abc")], ids=["cut", "more", "two"])
def test_only_a_whole_request_and_nothing_else_is_taken_so(rest: bytes) -> None:
    bench = locked()
    try:
        served(bench, post(b"one"))
        chunk = post(b"two") + rest if rest else post(b"two")[:-1]
        found = served(bench, chunk)
        if not rest:
            assert found == [] and served(bench, b"o") == [(200, b":two")]
        elif rest == b"P":
            assert found == [(200, b":two")] and bench.connection.busy
        else:
            assert found == [(200, b":two"), (200, b":abc")]
    finally:
        bench.end()


def test_a_key_that_is_not_valid_any_more_is_not_known_any_more() -> None:
    bench = locked()
    try:
        assert served(bench, post(b"one"), post(b"two"))[1] == (200, b":two")
        bench.app.auth.set_keys({"primaryKey": "other", "secondaryKey": "second"})
        assert served(bench, post(b"two"))[0][0] == 401
        bench.app.auth.set_keys({"primaryKey": "first"})
        assert served(bench, post(b"two")) == [(200, b":two")]
    finally:
        bench.end()


def test_a_wrong_key_and_a_token_are_looked_at_every_time() -> None:
    bench = locked()
    try:
        for _ in range(3):
            assert served(bench, post(b"one", b"wrong"))[0][0] == 401
        tokens = Auth(Settings(token_auth_enabled=True))
        tokens.set_keys({"tokenSecret": "secret"})
        assert tokens.proof is None
    finally:
        bench.end()


@pytest.mark.parametrize("known", [True, False])
def test_the_bytes_of_a_body_count_once_among_those_in_hand(known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_GENEROUS", 0)  # 2 * MAX_BODY is the limit
    bench = locked()
    try:
        served(bench, post(b"x" * 700))
        if not known:
            bench.app.heads = Heads()
        for others, status in ((2 * MAX_BODY - 700, 200), (2 * MAX_BODY - 699, 503)):
            bench.owner.buffered += others
            assert served(bench, post(b"x" * 700))[0][0] == status
            bench.owner.buffered -= others
    finally:
        bench.end()


def test_few_are_kept_and_none_that_is_particular() -> None:
    heads, proof = Heads(), object()
    headers = {"content-length": "1"}
    for number in range(MOST + 1):
        heads.learn(b"%d\r\n\r\nx" % number, headers, 1, proof)
    assert heads.find(b"0\r\n\r\nx", proof) is None and heads.find(b"1\r\n\r\nx", proof) is not None
    assert heads.find(b"1\r\n\r\nx", object()) is None
    for data, more in (
        (b"a" * LONGEST + b"\r\n\r\nx", {}),
        (b"b\r\n\r\nx", {"x-request-id": "mine"}),
        (b"c\r\n\r\nx", {"transfer-encoding": "chunked"}),
        (b"d\r\n\r\nx", {"content-length": "2"}),
        (b"e\r\n\r\n\r\n\r\nx", {}),
    ):
        heads.learn(data, {**headers, **more}, 1, proof)
        assert heads.find(data, proof) is None
    heads.learn(b"f\r\n\r\nx", headers, 1, None)
    assert heads.find(b"f\r\n\r\nx", None) is None
