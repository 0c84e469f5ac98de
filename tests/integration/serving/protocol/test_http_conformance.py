"""HTTP/1.1 on a raw socket: what must be answered, what must be refused, and where one request ends.

Section numbers are those of RFC 9112 (messages) and RFC 9110 (semantics). Fault 44: if two servers disagree on where a
request ends, one client can smuggle requests into another's connection. So an ambiguous request is refused, and the
connection ends.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.integration.serving.supervised import Supervised

AUTH = b"authorization: Bearer first-key\r\ncontent-type: application/json\r\n"
HOST = b"host: localhost\r\n"
SCRIPT = """
    import json, time
    from azureml.contrib.services.aml_request import rawhttp
    from azureml.contrib.services.aml_response import AMLResponse
    def init(): pass
    @rawhttp
    def run(request):
        if request.args.get("sleep"): time.sleep(float(request.args["sleep"]))
        if request.args.get("large"): return AMLResponse(b"x" * int(request.args["large"]), 200)
        return AMLResponse(request.method.encode() + b":" + request.data, 200)
"""


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervised]:
    service = Supervised(tmp_path_factory.mktemp("echo")).start()
    assert service.deploy(SCRIPT, max_body_bytes=3_000_000)["ok"]
    yield service
    service.end()


class Wire:
    """A connection, and the answers on it."""

    def __init__(self, service: Supervised) -> None:
        self.socket = socket.create_connection(("127.0.0.1", service.facts["port"]), timeout=60)
        self.rest = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *parts: bytes) -> Wire:
        for part in parts:
            self.socket.sendall(part)
        return self

    def answer(self, head_only: bool = False) -> tuple[int, dict[str, str], bytes]:
        while b"\r\n\r\n" not in self.rest:
            self._more()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        version, status, _ = line.split(" ", 2)
        assert version == "HTTP/1.1"
        headers = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
        length = 0 if head_only or status in ("100", "204", "304") else int(headers["content-length"])
        while len(self.rest) < length:
            self._more()
        body, self.rest = self.rest[:length], self.rest[length:]
        return int(status), headers, body

    def ended(self) -> bool:
        """Whether the server says nothing more and ends the connection."""
        try:
            return self.rest == b"" and self.socket.recv(1) == b""
        except ConnectionResetError:
            return self.rest == b""

    def _more(self) -> None:
        data = self.socket.recv(65536)
        assert data, f"the connection ended after {self.rest!r}"
        self.rest += data


def post(body: bytes, *more: bytes, path: bytes = b"/score") -> bytes:
    lines = b"".join(line + b"\r\n" for line in more)
    return b"POST %b HTTP/1.1\r\n" % path + HOST + AUTH + lines + b"content-length: %d\r\n\r\n" % len(body) + body


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n", more: bytes = b"") -> bytes:
    head = b"POST /score HTTP/1.1\r\n" + HOST + AUTH + more + b"transfer-encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end


# -- what ends a request -------------------------------------------------------------------------------------

AMBIGUOUS = {
    "two lengths that differ": post(b"ab", b"content-length: 1"),
    "two lengths that agree": post(b"ab", b"content-length: 2"),
    "a list of lengths": b"POST /score HTTP/1.1\r\n" + HOST + AUTH + b"content-length: 2, 2\r\n\r\nab",
    "a length and chunks": chunked(b"ab", more=b"content-length: 2\r\n"),
    "chunks and a length": b"POST /score HTTP/1.1\r\n"
    + HOST
    + AUTH
    + b"transfer-encoding: chunked\r\ncontent-length: 7\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "a negative length": b"POST /score HTTP/1.1\r\n" + HOST + AUTH + b"content-length: -1\r\n\r\n",
    "a length with a sign": b"POST /score HTTP/1.1\r\n" + HOST + AUTH + b"content-length: +2\r\n\r\nab",
    "a length in hex": b"POST /score HTTP/1.1\r\n" + HOST + AUTH + b"content-length: 0x2\r\n\r\nab",
    "a length beyond 64 bits": b"POST /score HTTP/1.1\r\n"
    + HOST
    + AUTH
    + b"content-length: 99999999999999999999\r\n\r\n",
    "an empty length": b"POST /score HTTP/1.1\r\n" + HOST + AUTH + b"content-length: \r\n\r\n",
    "an unknown coding": b"POST /score HTTP/1.1\r\n" + HOST + AUTH + b"transfer-encoding: gzip\r\n\r\nab",
    "chunked that is not last": b"POST /score HTTP/1.1\r\n"
    + HOST
    + AUTH
    + b"transfer-encoding: chunked, identity\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "a space before the colon": b"POST /score HTTP/1.1\r\n" + HOST + AUTH + b"content-length : 2\r\n\r\nab",
    "a folded header": b"POST /score HTTP/1.1\r\n" + HOST + AUTH + b"x-a: 1\r\n content-length: 2\r\n\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\n" + HOST + b": 1\r\n\r\n",
    "a header without a colon": b"GET / HTTP/1.1\r\n" + HOST + b"nonsense\r\n\r\n",
    "NUL in a header": b"GET / HTTP/1.1\r\n" + HOST + b"x-a: a\0b\r\n\r\n",
    "a bare CR in a header": b"GET / HTTP/1.1\r\n" + HOST + b"x-a: a\rb: c\r\n\r\n",
    "a chunk size that is not a number": chunked(end=b"zz\r\nab\r\n0\r\n\r\n"),
    "a chunk size with a sign": chunked(end=b"-2\r\nab\r\n0\r\n\r\n"),
    "a chunk size beyond 64 bits": chunked(end=b"fffffffffffffffff\r\nab\r\n0\r\n\r\n"),
    "a chunk longer than it says": chunked(end=b"2\r\nabc\r\n0\r\n\r\n"),
    "a chunk size with 0x": chunked(end=b"0x2\r\nab\r\n0\r\n\r\n"),
    "chunks in HTTP/1.0": b"POST /score HTTP/1.0\r\n"
    + HOST
    + AUTH
    + b"connection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "RTSP": b"GET / RTSP/1.0\r\n" + HOST + b"\r\n",
    "two spaces before the target": b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n",
    "no version": b"GET /\r\n" + HOST + b"\r\n",
    "an unknown version": b"GET / HTTP/3.7\r\n" + HOST + b"\r\n",
    "HTTP/2 with prior knowledge": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32),
    "binary": bytes(range(128, 256)) + b"\r\n\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "CONNECT": b"CONNECT other:443 HTTP/1.1\r\nhost: other:443\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
    "two authorizations": b"GET /swagger.json HTTP/1.1\r\n" + HOST + AUTH + b"authorization: Bearer x\r\n\r\n",
}


@pytest.mark.parametrize("request_", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_an_ambiguous_request_is_refused_and_ends_the_connection(echo: Supervised, request_: bytes) -> None:
    smuggled = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
    with Wire(echo) as wire:
        wire.send(request_ + smuggled)
        status, headers, body = wire.answer()
        assert status == 400 and headers["connection"] == "close", body
        assert b'"bad-request"' in body and headers["x-mldeploy-revision"] and headers["x-ms-request-id"]
        assert wire.ended(), "a second answer"


def test_a_body_in_chunks_is_the_same_body(echo: Supervised) -> None:
    with Wire(echo) as wire:
        wire.send(chunked(b"ab", b"c" * 70_000, b"d"))
        assert wire.answer()[2] == b"POST:ab" + b"c" * 70_000 + b"d"
        wire.send(chunked(b"ab", end=b"0;name=value\r\nx-trailer: 1\r\nauthorization: Bearer other\r\n\r\n"))
        assert wire.answer()[2] == b"POST:ab"
        for byte in chunked(b"xyz"):
            wire.send(bytes([byte]))
        assert wire.answer()[2] == b"POST:xyz"


def test_bytes_that_arrive_one_by_one_are_one_request(echo: Supervised) -> None:
    with Wire(echo) as wire:
        for byte in post(b"hello"):
            wire.send(bytes([byte]))
        assert wire.answer()[2] == b"POST:hello"


# -- connections ---------------------------------------------------------------------------------------------


def test_pipelined_requests_are_answered_in_order(echo: Supervised) -> None:
    with Wire(echo) as wire:
        wire.send(
            post(b"1", path=b"/score?sleep=0.2"),
            b"GET / HTTP/1.1\r\n" + HOST + b"\r\n" + post(b"2") + b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n",
            b"GET /none HTTP/1.1\r\n" + HOST + b"\r\n" + chunked(b"3", b"4"),
        )
        assert wire.answer()[2] == b"POST:1"
        assert wire.answer()[2] == b"Healthy"
        assert wire.answer()[2] == b"POST:2"
        status, headers, body = wire.answer(head_only=True)
        assert (status, headers["content-length"], body) == (200, "7", b"")
        assert wire.answer()[0] == 404
        assert wire.answer()[2] == b"POST:34"


def test_a_thousand_requests_pipelined_behind_a_slow_one_are_answered(echo: Supervised) -> None:
    with Wire(echo) as wire:
        wire.send(post(b"1", path=b"/score?sleep=0.1") + (b"GET / HTTP/1.1\r\n" + HOST + b"\r\n") * 1000)
        assert wire.answer()[2] == b"POST:1"
        assert [wire.answer()[2] for _ in range(1000)] == [b"Healthy"] * 1000


def test_too_many_pipelined_requests_end_the_connection_after_their_answers(echo: Supervised) -> None:
    with Wire(echo) as wire:
        wire.send(post(b"1", path=b"/score?sleep=0.3") + (b"GET / HTTP/1.1\r\n" + HOST + b"\r\n") * 5000)
        assert wire.answer()[2] == b"POST:1"
        answers = [wire.answer()]
        while "connection" not in answers[-1][1]:
            answers.append(wire.answer())
        assert 1000 < len(answers) < 5000 and {(status, body) for status, _, body in answers} == {(200, b"Healthy")}
        assert answers[-1][1]["connection"] == "close" and wire.ended()


def test_a_connection_ends_when_the_client_says_so(echo: Supervised) -> None:
    for head in (b"GET / HTTP/1.1\r\nconnection: close\r\n", b"GET / HTTP/1.0\r\n"):
        with Wire(echo) as wire:
            wire.send(head + HOST + b"\r\n" + b"GET /none HTTP/1.1\r\n" + HOST + b"\r\n")
            status, headers, body = wire.answer()
            assert (status, body, headers["connection"]) == (200, b"Healthy", "close")
            assert wire.ended()
    with Wire(echo) as wire:
        for _ in range(2):
            wire.send(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
            assert wire.answer()[1]["connection"] == "keep-alive"


def test_a_client_that_closed_its_half_still_gets_its_answer(echo: Supervised) -> None:
    with Wire(echo) as wire:
        wire.send(post(b"1", path=b"/score?sleep=0.2"))
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.answer()[2] == b"POST:1" and wire.ended()
    with Wire(echo) as wire:
        wire.send(post(b"1") + post(b"1" * 100)[:-50])
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.answer()[2] == b"POST:1" and wire.answer()[0] == 400 and wire.ended()


def test_100_continue_is_sent_when_the_body_is_wanted(echo: Supervised) -> None:
    head = b"POST /score HTTP/1.1\r\n" + HOST + b"%bexpect: 100-continue\r\ncontent-length: %d\r\n\r\n"
    with Wire(echo) as wire:
        wire.send(head % (AUTH, 3))
        assert wire.answer()[0] == 100
        wire.send(b"abc")
        assert wire.answer()[2] == b"POST:abc"
        wire.send(head % (AUTH, 3) + b"abc")  # it did not wait
        status, _, body = wire.answer()
        assert body == b"POST:abc" if status == 200 else (status == 100 and wire.answer()[2] == b"POST:abc")
        wire.send(head % (b"", 3))  # refused before the body: no 100, and the connection ends
        status, headers, _ = wire.answer()
        assert (status, headers["connection"]) == (401, "close") and wire.ended()
    with Wire(echo) as wire:
        wire.send(head % (AUTH, 4_000_000))
        assert wire.answer()[0] == 413 and wire.ended()
    with Wire(echo) as wire:
        wire.send(post(b"1", b"expect: something"))
        assert wire.answer()[0] == 417
    with Wire(echo) as wire:  # behind another one
        wire.send(post(b"1", path=b"/score?sleep=0.2") + head % (AUTH, 1))
        assert wire.answer()[2] == b"POST:1" and wire.answer()[0] == 100
        wire.send(b"2")
        assert wire.answer()[2] == b"POST:2"


def test_a_client_has_time_to_read_the_refusal_of_its_body(echo: Supervised) -> None:
    """The client writes on: a connection that were closed at once would be reset, and the answer lost."""
    with Wire(echo) as wire:
        wire.send(b"POST /score HTTP/1.1\r\n" + HOST + AUTH + b"content-length: 4000000\r\n\r\n")
        sender = threading.Thread(target=_write_until_it_breaks, args=(wire.socket,))
        sender.start()
        status, headers, _ = wire.answer()
        assert (status, headers["connection"]) == (413, "close")
        wire.socket.close()
        sender.join()
    with Wire(echo) as wire:  # chunks that become too many
        sender = threading.Thread(target=_write_until_it_breaks, args=(wire.socket, chunked(*[b"x" * 500_000] * 8)))
        sender.start()
        assert wire.answer()[0] == 413
        sender.join()
    with Wire(echo) as wire:  # a short one is read away, and the connection stays
        wire.send(b"POST /score HTTP/1.1\r\n" + HOST + b"content-length: 5\r\n\r\n")
        assert wire.answer()[0] == 401
        wire.send(b"12345", post(b"ok"))
        assert wire.answer()[2] == b"POST:ok"


def _write_until_it_breaks(connection: socket.socket, data: bytes = b"x" * 4_000_000) -> None:
    try:
        connection.sendall(data)
    except OSError:
        pass


def test_too_large_heads_are_refused(echo: Supervised) -> None:
    for head in (
        b"GET / HTTP/1.1\r\n" + HOST + b"x-a: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"x-a: " + b"a" * 900_000,  # one that does not end
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"x-%d: a\r\n" % n for n in range(300)) + b"\r\n",
    ):
        with Wire(echo) as wire:
            _write_until_it_breaks(wire.socket, head)
            status, headers, _ = wire.answer()
            assert (status, headers["connection"]) == (431, "close") and wire.ended()


def test_other_forms_of_request_targets_are_accepted_or_refused(echo: Supervised) -> None:
    with Wire(echo) as wire:
        wire.send(b"GET http://localhost/ HTTP/1.1\r\n" + HOST + b"\r\n")
        assert wire.answer()[2] == b"Healthy"
        wire.send(b"GET /%2e%2e/etc/passwd HTTP/1.1\r\n" + HOST + b"\r\n")
        assert wire.answer()[0] == 404
        wire.send(b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n")
        assert wire.answer()[0] == 404
        wire.send(b"GET /score?sleep=&large=3 HTTP/1.1\r\n" + HOST + AUTH + b"\r\n")
        assert wire.answer()[2] == b"xxx"
        wire.send(b"\r\n\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n")  # 2.2: empty lines before a request
        assert wire.answer()[2] == b"Healthy"


def test_answers_have_a_date_and_one_length(echo: Supervised) -> None:
    with Wire(echo) as wire:
        wire.send(post(b"1"))
        _, headers, _ = wire.answer()
        assert headers["date"].endswith("GMT") and "transfer-encoding" not in headers
        assert "server" not in headers and "connection" not in headers
