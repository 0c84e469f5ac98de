"""A cached head skips the parser, unless the key set, the length of the body or any byte of the head has changed."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.serving.http.head_cache import MAX_CACHED_BYTES, MAX_HEADS, HeadCache
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
    bench.finish()
    found = answers(bytes(bench.socket.sent), [])
    bench.socket.sent.clear()
    return [(status, body) for status, _, body in found]


def bench_with_keys() -> Bench:
    bench = Bench(auth_enabled=True)
    bench.app.auth.set_keys({"primaryKey": "first", "secondaryKey": "second"})
    return bench


def test_a_head_that_was_accepted_before_needs_no_parser() -> None:
    bench = bench_with_keys()
    try:
        assert served(bench, post(b"one")) == [(200, b":one")]
        bench.connection._reader.parser = None
        assert served(bench, post(b"two"), post(b"333")) == [(200, b":two"), (200, b":333")]
        assert bench.connection._reader.parser is None
        assert served(bench, post(b"four")) == [(200, b":four")]  # another length
        assert bench.connection._reader.parser is not None
    finally:
        bench.end()


def test_after_new_keys_an_open_connection_needs_the_parser_once() -> None:
    bench = bench_with_keys()
    try:
        assert served(bench, post(b"one"), post(b"two")) == [(200, b":one"), (200, b":two")]
        bench.app.auth.set_keys({"primaryKey": "first", "secondaryKey": "third"})
        assert served(bench, post(b"333")) == [(200, b":333")]
        bench.connection._reader.parser = None
        assert served(bench, post(b"444"), post(b"555")) == [(200, b":444"), (200, b":555")]
        assert bench.connection._reader.parser is None
    finally:
        bench.end()


@pytest.mark.parametrize("size", [3, 1000])
def test_a_head_is_learnt_and_known_before_its_body_has_come(size: int) -> None:
    bench = bench_with_keys()
    try:
        body = b"x" * size
        head = HEAD % (b"first", size)
        assert served(bench, head, body[:2], body[2:]) == [(200, b":" + body)]
        bench.connection._reader.parser = None
        for pieces in ([head, body], [head + body[:1], body[1:]], [head + body], [head, *[b"x"] * size]):
            assert served(bench, *pieces) == [(200, b":" + body)]
            assert bench.connection._reader.parser is None
        assert served(bench, head, body + head, body[:1], body[1:] + head + body) == [(200, b":" + body)] * 3
        assert served(bench, head[:30], head[30:], body) == [(200, b":" + body)]
    finally:
        bench.end()


@pytest.mark.parametrize("rest", [b"", b"P", post(b"abc")], ids=["cut", "more", "two"])
def test_only_exactly_one_whole_request_skips_the_parser(rest: bytes) -> None:
    bench = bench_with_keys()
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


def test_new_keys_make_cached_heads_invalid() -> None:
    bench = bench_with_keys()
    try:
        assert served(bench, post(b"one"), post(b"two"))[1] == (200, b":two")
        bench.app.auth.set_keys({"primaryKey": "other", "secondaryKey": "second"})
        assert served(bench, post(b"two"))[0][0] == 401
        bench.app.auth.set_keys({"primaryKey": "first"})
        assert served(bench, post(b"two")) == [(200, b":two")]
    finally:
        bench.end()


def test_wrong_keys_and_tokens_are_checked_every_time() -> None:
    bench = bench_with_keys()
    try:
        for _ in range(3):
            assert served(bench, post(b"one", b"wrong"))[0][0] == 401
        tokens = Auth(Settings(token_auth_enabled=True))
        tokens.set_keys({"tokenSecret": "secret"})
        assert tokens.cache_epoch is None
    finally:
        bench.end()


@pytest.mark.parametrize("known", [True, False])
def test_the_bytes_of_a_body_count_once_against_the_limit(known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "MIN_BUFFERED_LIMIT", 0)  # 2 * MAX_BODY is the limit
    bench = bench_with_keys()
    try:
        served(bench, post(b"x" * 700))
        if not known:
            bench.app.head_cache = HeadCache(bench.app.auth)
        for others, status in ((2 * MAX_BODY - 700, 200), (2 * MAX_BODY - 699, 503)):
            bench.acceptor.buffered += others
            assert served(bench, post(b"x" * 700))[0][0] == status
            bench.acceptor.buffered -= others
    finally:
        bench.end()


def test_the_oldest_heads_are_evicted_and_unusual_ones_are_not_cached() -> None:
    auth = Auth(Settings())
    cache = HeadCache(auth)
    headers = {"content-length": "1"}
    for number in range(MAX_HEADS + 1):
        cache.learn(b"%d\r\n\r\n" % number, headers, 1)
    assert cache.find(b"0\r\n\r\nx") is None and cache.find(b"1\r\n\r\nx") is not None
    auth.set_keys({"primaryKey": "new"})
    assert cache.find(b"1\r\n\r\nx") is None
    for head, more in (
        (b"a" * MAX_CACHED_BYTES + b"\r\n\r\n", {}),
        (b"b\r\n\r\n", {"x-request-id": "mine"}),
        (b"c\r\n\r\n", {"transfer-encoding": "chunked"}),
        (b"d\r\n\r\n", {"content-length": "2"}),
        (b"e\r\n\r\n\r\n\r\n", {}),
    ):
        cache.learn(head, {**headers, **more}, 1)
        assert cache.find(head) is None and cache.find(head + b"x") is None
    auth.cache_epoch = None
    cache.learn(b"f\r\n\r\n", headers, 1)
    assert cache.find(b"f\r\n\r\nx") is None
