"""The script's thread leads while its calls are short; a client cannot tell, whatever it sends."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from time import perf_counter
from typing import Any

import pytest

from mldeploy_jupyter.serving.http.connection import Connection
from mldeploy_jupyter.serving.http.direct_poll import AVAILABLE
from tests.polling import wait_until
from tests.unit.serving.worker.lead_bench import Client, LeadBench, request

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="needs epoll and eventfd, which Linux has")

BODY = b'{"data": [1]}'


def echo(data: Any) -> Any:
    return data


def test_a_connection_is_lent_while_calls_are_short_and_taken_back_when_no_more_come() -> None:
    with LeadBench(echo) as bench:
        client = bench.connect()
        bench.lead(client, BODY)
        answers = [client.ask(b'{"data": [%d]}' % number) for number in range(9)]
        assert [(status, json.loads(body)) for status, _, body in answers] == [(200, [n]) for n in range(9)]
        assert len({headers["x-ms-request-id"] for _, headers, _ in answers}) == 9
        assert {"server-timing", "date", "x-mldeploy-revision"} <= set(answers[0][1])
        wait_until(lambda: not bench.app.direct.active and bench.connections[0].direct_fd < 0)
        assert client.ask(BODY)[0] == 200
        wait_until(lambda: bench.in_flight == bench.acceptor.buffered == 0)


def test_a_long_call_gives_the_connections_back_so_that_others_are_answered() -> None:
    begun, goes_on = threading.Event(), threading.Event()

    def run(data: Any) -> Any:
        if data == "wait":
            begun.set()
            assert goes_on.wait(60)
        return data

    with LeadBench(run) as bench:
        first, second = bench.connect(), bench.connect()
        bench.lead(first, BODY)
        bench.lead(second, BODY)
        first.send(b'{"data": "wait"}')
        assert begun.wait(60)
        second.socket.sendall(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        assert second.read()[2] == b"Healthy"
        goes_on.set()
        assert first.read()[2] == b'"wait"' and first.ask(BODY)[0] == 200


def test_the_deadline_of_a_call_holds_as_ever() -> None:
    goes_on = threading.Event()

    def run(data: Any) -> Any:
        if data == "wait":
            goes_on.wait(60)
        return data

    with LeadBench(run, scoring_timeout_ms=100) as bench:
        client = bench.connect()
        bench.lead(client, BODY)
        assert client.ask(b'{"data": "wait"}')[0] == 504
        goes_on.set()
        assert client.ask(BODY)[0] == 200


TEXT = b'{"data": "%b"}' % (b"x" * 3_000_000)
CUTS = {
    "head, body": (BODY, [-len(BODY)]),
    "in the body": (BODY, [-3]),
    "head, body in two pieces": (BODY, [-len(BODY), -3]),
    "head, long body": (TEXT, [-len(TEXT)]),
    "in a long body": (TEXT, [200, 70_000, 2_000_000]),
}


def send_in_pieces(client: Client, connection: Connection, data: bytes, cuts: list[int]) -> None:
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        if start:
            wait_until(lambda: connection.arriving is not None)
        client.socket.sendall(data[start:end])


@pytest.mark.parametrize(("body", "cuts"), CUTS.values(), ids=CUTS)
def test_a_request_in_pieces_is_read_by_the_script_s_thread(body: bytes, cuts: list[int]) -> None:
    with LeadBench(lambda data: data[-1:]) as bench:
        client = bench.connect()
        client.ask(body)  # its head is known from now on
        bench.lead(client, BODY)
        (connection,) = bench.connections
        read_body, reads = connection.read_body, []

        def counted(fd: int) -> bool:
            reads.append(fd)
            return read_body(fd)

        connection.read_body = counted  # type: ignore[method-assign]
        for _ in range(1000):
            bench.lead(client, BODY)
            send_in_pieces(client, connection, request(body), cuts)
            assert client.read()[2] == (b"[1]" if body == BODY else b'"x"')
            if connection.direct_fd >= 0 and len(reads) >= len(cuts):
                break
        else:
            raise AssertionError("the loop's thread reads what comes in pieces")
        wait_until(lambda: bench.in_flight == bench.acceptor.buffered == 0)


def test_a_body_that_stays_away_is_waited_for_by_the_loop_s_thread_and_refused_in_time() -> None:
    with LeadBench(echo) as bench:
        client = bench.connect()
        bench.lead(client, BODY)
        (connection,) = bench.connections
        client.socket.sendall(request(BODY)[:-3])
        wait_until(lambda: connection.arriving is not None)
        bench.call(lambda: connection.check_deadlines(perf_counter() + 1))
        assert connection.arriving is not None
        bench.call(lambda: connection.check_deadlines(perf_counter() + 1000))
        assert client.read()[0] == 408 and client.file.read() == b""
        wait_until(lambda: bench.in_flight == bench.acceptor.buffered == 0 and not bench.connections)


@pytest.mark.parametrize("is_lent", [True, False])
def test_the_rest_of_a_body_is_read_by_whoever_has_the_connection(is_lent: bool) -> None:
    with LeadBench(lambda data: data[-1:]) as bench:
        client = bench.connect()
        client.ask(TEXT)
        bench.lead(client, BODY)
        (connection,) = bench.connections
        for cut in (-len(TEXT), 200, 300_000, -1):
            bench.lead(client, BODY)
            client.socket.sendall(request(TEXT)[:cut])
            if not is_lent:
                wait_until(lambda: connection.arriving is not None and connection.direct_fd < 0)
            client.socket.sendall(request(TEXT)[cut:])
            assert client.read()[2] == b'"x"'
        wait_until(lambda: bench.in_flight == bench.acceptor.buffered == 0)


@pytest.mark.parametrize("cut", [-1, -len(BODY)], ids=["in the body", "behind the head"])
def test_a_client_that_ends_its_half_in_a_body_is_told_so(cut: int) -> None:
    with LeadBench(echo) as bench:
        client = bench.connect()
        bench.lead(client, BODY)
        client.socket.sendall(request(BODY)[:cut])
        client.socket.shutdown(socket.SHUT_WR)
        assert client.read()[0] == 400 and client.file.read() == b""


def test_a_client_that_disconnects_in_a_body_leaves_nothing_behind() -> None:
    with LeadBench(echo) as bench:
        client = bench.connect()
        bench.lead(client, BODY)
        client.socket.sendall(request(BODY)[:-3])
        client.file.close()
        client.socket.close()
        wait_until(lambda: not bench.connections)
        bench.clients.clear()
        assert bench.in_flight == bench.acceptor.buffered == 0


def test_bodies_that_are_too_many_are_refused_by_the_loop() -> None:
    with LeadBench(echo) as bench:
        client = bench.connect()
        client.ask(TEXT)
        bench.lead(client, BODY)
        client.socket.sendall(request(TEXT)[:100_000])
        wait_until(lambda: bench.acceptor.buffered > 0)
        bench.call(lambda: setattr(bench.acceptor, "buffered", bench.acceptor.buffered + (1 << 30)))
        client.socket.sendall(request(TEXT)[100_000:200_000])
        assert client.read()[0] == 503
        bench.call(lambda: setattr(bench.acceptor, "buffered", bench.acceptor.buffered - (1 << 30)))
        wait_until(lambda: bench.in_flight == bench.acceptor.buffered == 0)


UNUSUAL = {
    "in pieces": ([request(BODY)[:20], request(BODY)[20:]], [200]),
    "two at once": ([request(BODY) * 2], [200, 200]),
    "another head": ([request(BODY).replace(b"host", b"x-other: 1\r\nhost")], [200]),
    "another path": ([request(BODY, "/nothing")], [404]),
    "no HTTP": ([b"\x00\r\n\r\n"], [400]),
    "a body that does not fit": ([request(b"{}")], [422]),
}


@pytest.mark.parametrize(("pieces", "statuses"), UNUSUAL.values(), ids=UNUSUAL)
def test_what_is_unusual_is_read_by_the_loop(pieces: list[bytes], statuses: list[int]) -> None:
    with LeadBench(echo) as bench:
        client = bench.connect()
        bench.lead(client, BODY)
        for piece in pieces:
            client.socket.sendall(piece)
            wait_until(lambda: bench.connections[0].direct_fd < 0)
        assert [client.read()[0] for _ in statuses] == statuses
        wait_until(lambda: bench.in_flight == bench.acceptor.buffered == 0)


def test_requests_that_do_not_wait_for_answers_are_answered_in_order() -> None:
    with LeadBench(echo) as bench:
        client = bench.connect()
        bench.lead(client, BODY)
        for number in range(0, 400, 4):
            for more in range(4):
                client.send(b'{"data": [%d]}' % (number + more))
            assert [json.loads(client.read()[2]) for _ in range(4)] == [[number + more] for more in range(4)]
        wait_until(lambda: bench.in_flight == bench.acceptor.buffered == 0)


def test_a_client_that_ends_its_half_gets_its_answer() -> None:
    with LeadBench(echo) as bench:
        client = bench.connect()
        bench.lead(client, BODY)
        client.send(BODY)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.read()[0] == 200 and client.file.read() == b""


def test_a_client_that_disconnects_is_noticed() -> None:
    with LeadBench(echo) as bench:
        client = bench.connect()
        bench.lead(client, BODY)
        client.file.close()
        client.socket.close()
        wait_until(lambda: not bench.connections)
        bench.clients.clear()
        assert bench.connect().ask(BODY)[0] == 200


def test_a_client_that_reads_late_gets_the_whole_answer() -> None:
    def run(data: Any) -> Any:
        return "x" * 3_000_000 if data == "large" else data

    with LeadBench(run) as bench:
        client = bench.connect()
        bench.lead(client, BODY)
        client.send(b'{"data": "large"}')
        wait_until(lambda: bench.connections[0].direct_fd < 0)
        assert len(client.read()[2]) == 3_000_002 and client.ask(BODY)[0] == 200


def test_run_may_have_a_loop_of_its_own() -> None:
    async def double(data: Any) -> Any:
        await asyncio.sleep(0)
        return data * 2

    with LeadBench(lambda data: asyncio.run(double(data))) as bench:
        client = bench.connect()
        bench.lead(client, BODY)
        assert client.ask(BODY)[2] == b"[1,1]"


@pytest.mark.parametrize("max_batch_size", [0, 16])
def test_many_clients_each_get_their_own_answers(max_batch_size: int) -> None:
    with LeadBench(lambda data: [row * 2 for row in data], max_batch_size=max_batch_size) as bench:
        clients = [bench.connect() for _ in range(8)]
        wrong: list[Any] = []

        def ask(number: int, client: Client) -> None:
            for count in range(100):
                status, _, body = client.ask(b'{"data": [%d]}' % (number * 1000 + count))
                if (status, json.loads(body)) != (200, [2 * (number * 1000 + count)]):
                    wrong.append((status, body))

        threads = [threading.Thread(target=ask, args=pair) for pair in enumerate(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not wrong
        wait_until(lambda: bench.in_flight == 0 and list(bench.slot.status_counts()) == [(200, 800)])


def test_requests_that_are_too_many_are_refused() -> None:
    with LeadBench(echo, max_queue=1) as bench:
        client = bench.connect()
        bench.lead(client, BODY)
        bench.app.queue._max_waiting = 0
        assert client.ask(BODY)[0] == 429


def test_after_a_drain_it_never_leads_again() -> None:
    with LeadBench(echo) as bench:
        client = bench.connect()
        bench.lead(client, BODY)
        bench.call(lambda: bench.app.direct.stop(for_good=True))
        assert bench.connections[0].direct_fd < 0
        assert [client.ask(BODY)[0] for _ in range(50)] == [200] * 50
        assert not bench.app.direct.active


@pytest.mark.parametrize("step", ["handle_known", "write"])
def test_a_signal_handler_that_raises_in_a_request_costs_its_connection_and_nothing_else(step: str) -> None:
    """While the request is handled, and while its answer is written."""

    class Raised(Exception):
        pass

    with LeadBench(echo) as bench:
        first, second = bench.connect(), bench.connect()
        bench.lead(second, BODY)
        bench.lead(first, BODY)
        owner: Any = bench.app if step == "handle_known" else bench.app.direct
        method = getattr(owner, step)

        def interrupted(*args: Any) -> None:
            setattr(owner, step, method)
            raise Raised

        setattr(owner, step, interrupted)
        first.send(BODY)
        assert first.file.read() == b""
        assert second.ask(BODY)[0] == 200
        wait_until(lambda: bench.in_flight == bench.acceptor.buffered == 0)
