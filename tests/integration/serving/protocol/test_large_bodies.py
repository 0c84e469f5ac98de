"""Fault 22: bodies that are too large, alone or together, on the wire or once they are decompressed or parsed.

How one request is refused for its Content-Length or its chunks is in `test_http.py` and `test_http_conformance.py`.
"""

from __future__ import annotations

import socket
import threading
import time
import zlib
from collections import Counter
from pathlib import Path

import psutil
import requests

from tests.integration.serving.supervised import KEY, Supervised
from tests.polling import wait_until

JSON_KEY = {**KEY, "content-type": "application/json"}
TYPED = """
    import numpy as np
    from inference_schema.schema_decorators import input_schema
    from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
    def init(): pass
    @input_schema("data", NumpyParameterType(np.array([[1.5]])))
    def run(data): return len(data)
"""
HINTED = """
    import numpy as np
    def init(): pass
    def run(data: np.ndarray, more: dict = None, table: list[list[int]] = None): return int(data.size)
"""
PLAIN = "def init(): pass\ndef run(a): return len(a)\n"
LIMIT = 50_000_000


def peak(pid: int) -> int:
    """The most memory that a process ever had, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def gigabyte_of_zeros() -> bytes:
    """As one stream of gzip, a megabyte long: a part that knows nothing of what stands before it, again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    first = packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + again * 63 + packer.flush()


def test_a_gigabyte_of_zeros_in_gzip_is_refused_and_never_unpacked(supervised: Supervised) -> None:
    bomb = gigabyte_of_zeros()
    assert len(bomb) < 2_000_000
    assert supervised.deploy(TYPED, max_body_bytes=LIMIT)["ok"]
    (worker,) = supervised.pids()
    assert supervised.score({"data": [[1.0]]}).json() == 1
    before = peak(worker)
    for coding, body in (("gzip", bomb), ("gzip", bomb[: len(bomb) // 2]), ("deflate", zlib.compress(bytes(1 << 27)))):
        headers = {**JSON_KEY, "content-encoding": coding}
        answer = requests.post(f"{supervised.url}/score", data=body, headers=headers, timeout=60)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too-large")
    grown = peak(worker) - before
    print(f"{grown / 1e6:.0f} MB for bombs against a limit of {LIMIT / 1e6:.0f} MB")
    assert grown < 1.3 * LIMIT
    assert supervised.pids() == [worker] and supervised.score({"data": [[1.0]]}).json() == 1


def test_a_body_in_tiny_chunks_takes_no_more_than_its_size(supervised: Supervised) -> None:
    """Each chunk of two bytes as an object of its own would be thirty times that."""
    assert supervised.deploy(PLAIN, max_body_bytes=2_000_000)["ok"]
    (worker,) = supervised.pids()
    assert supervised.score("1").json() == 3
    before = peak(worker)
    head = b"POST /score HTTP/1.1\r\nhost: localhost\r\n"
    head += b"authorization: Bearer first-key\r\ntransfer-encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", supervised.facts["port"]), timeout=60) as connection:
        connection.sendall(head + b"2\r\nab\r\n" * 500_000 + b"0\r\n\r\n")
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
    grown = peak(worker) - before
    print(f"{grown / 1e6:.0f} MB for a body of 1 MB")
    assert grown < 15_000_000
    with socket.create_connection(("127.0.0.1", supervised.facts["port"]), timeout=60) as connection:
        sender = threading.Thread(target=_send_for_ever, args=(connection, head, b"2\r\nab\r\n" * 10_000))
        sender.start()
        assert connection.recv(12) == b"HTTP/1.1 413"
        connection.close()
        sender.join(60)
        assert not sender.is_alive()


def _send_for_ever(connection: socket.socket, head: bytes, more: bytes) -> None:
    try:
        connection.sendall(head)
        while True:
            connection.sendall(more)
    except OSError:
        pass


def test_a_hundred_announced_bodies_take_no_memory_before_they_come(supervised: Supervised) -> None:
    """Their head is known, as that of clients which have sent such a body before."""
    assert supervised.deploy(PLAIN)["ok"]
    (worker,) = supervised.pids()
    head = b"POST /score HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer first-key\r\n"
    head += b"content-type: application/json\r\ncontent-length: 30000000\r\n\r\n"
    port = supervised.facts["port"]
    clients = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(101)]
    try:
        clients[0].sendall(head + b'{"a": "' + b"x" * 29_999_991 + b'"}')
        assert clients[0].recv(12) == b"HTTP/1.1 200"
        before = psutil.Process(worker).memory_info().rss
        for client in clients[1:]:
            client.sendall(head + b" " * 100)
        for _ in range(20):
            assert requests.get(supervised.url, timeout=60).text == "Healthy"
        grown = psutil.Process(worker).memory_info().rss - before
        print(f"{grown / 1e6:.1f} MB for 100 bodies of 30 MB that have not come")
        assert grown < 20_000_000
    finally:
        for client in clients:
            client.close()


def test_a_hundred_large_bodies_at_once_are_refused_before_they_fill_the_memory(supervised: Supervised) -> None:
    """Each announces 90 MB, which one may send, and sends four: together that is more than is kept."""
    assert supervised.deploy(PLAIN)["ok"]
    assert supervised.score().status_code == 200
    (worker,) = supervised.pids()
    before = psutil.Process(worker).memory_info().rss
    head = b"POST /score HTTP/1.1\r\nhost: localhost\r\n"
    head += b"authorization: Bearer first-key\r\ncontent-type: application/json\r\n"
    port = supervised.facts["port"]
    clients = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(100)]
    try:
        for client in clients:
            client.sendall(head + b"content-length: 90000000\r\n\r\n")
        for client in clients:
            _send(client, b" " * 4_000_000)
        took = []
        for _ in range(20):
            began = time.perf_counter()
            assert requests.get(supervised.url, timeout=60).text == "Healthy"
            took.append(time.perf_counter() - began)
        assert sorted(took)[10] < 5  # a bound of hangs: on a quiet machine it is a few milliseconds
        grown = psutil.Process(worker).memory_info().rss - before
        print(f"{grown / 1e6:.0f} MB for bodies of 400 MB")
        assert grown < 350_000_000
        statuses = Counter(filter(None, map(_said, clients)))
        assert set(statuses) == {b"503"} and 20 < statuses[b"503"] < 60, statuses
        refused = supervised.score({"a": "x" * 13_000_000})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
        assert refused.headers["retry-after"] == "1"
    finally:
        for client in clients:
            client.close()
    wait_until(lambda: supervised.score({"a": "x" * 13_000_000}).status_code == 200, what="room again")
    assert supervised.pids() == [worker]


def _send(client: socket.socket, data: bytes) -> None:
    try:
        client.sendall(data)
    except OSError:
        pass  # refused, and closed


def _said(client: socket.socket) -> bytes | None:
    """The status of an answer that is there; None while there is none."""
    client.settimeout(0.01)
    try:
        return client.recv(20)[9:12]
    except TimeoutError:
        return None
    except OSError:
        return b"503"  # its answer was lost with what it still sent: it had no time to read it


def test_json_that_is_nested_a_hundred_thousand_deep_is_refused_by_every_kind_of_script(shared: Supervised) -> None:
    deep, objects = b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    two = PLAIN.replace("run(a)", "run(a, b)")
    for source, names in ((TYPED, ["data"]), (HINTED, ["data", "more", "table"]), (two, ["a", "b"])):
        assert shared.deploy(source)["ok"]
        pids = shared.pids()
        for name in names:
            for value in (deep, objects):
                body = b'{"%b": %b}' % (name.encode(), value)
                answer = requests.post(f"{shared.url}/score", data=body, headers=JSON_KEY, timeout=60)
                assert (answer.status_code, answer.json()["error"]["code"]) == (400, "too-deep"), answer.text
        for levels in (33, 60, 199, 250, 999):  # deeper than an array, a script, a library goes
            body = b'{"data": %b, "a": %b, "b": 1}' % ((b"[" * levels + b"1" + b"]" * levels,) * 2)
            answer = requests.post(f"{shared.url}/score", data=body, headers=JSON_KEY, timeout=60)
            assert answer.status_code in (200, 400, 422), answer.text
        assert shared.pids() == pids
