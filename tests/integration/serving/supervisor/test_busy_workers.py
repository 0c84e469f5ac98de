"""A worker in a call leaves new connections to another one: no request waits for a call that it need not wait for."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import requests

from tests.integration.serving.supervised import KEY, WAIT, Supervised
from tests.polling import wait_for_value, wait_until

SCRIPT = f"""
    import json, os, time

    def init(): pass

    def run(data):
        if json.loads(data) == "wait":
            open("begun", "w").close()
            {WAIT}
        return os.getpid()
"""


def answered_by(service: Supervised, data: str = "") -> int:
    """The pid of the worker that answered, on a connection of its own."""
    response = service.score(data, timeout=60)
    assert response.status_code == 200, response.text
    return int(response.json())


@contextmanager
def calls_that_wait(service: Supervised, count: int) -> Iterator[list[Future[int]]]:
    """As many calls that continue until the end of this."""
    with ThreadPoolExecutor(count) as pool:
        calls: list[Future[int]] = []
        try:
            for number in range(count):
                calls.append(pool.submit(answered_by, service, "wait"))
                wait_for_value(service.in_flight, number + 1)
            yield calls
            assert not any(call.done() for call in calls)
        finally:
            service.open_gate()


def test_none_of_50_requests_waits_for_the_call_of_another_worker(supervised: Supervised) -> None:
    assert supervised.deploy(SCRIPT, workers=2)["ok"]
    with calls_that_wait(supervised, 1) as calls, ThreadPoolExecutor(25) as pool:
        pids = {answered_by(supervised) for _ in range(25)}
        pids |= {answer.result() for answer in [pool.submit(answered_by, supervised) for _ in range(25)]}
    assert len(pids) == 1 and calls[0].result() not in pids


def test_a_worker_whose_client_has_left_is_as_busy_as_before(supervised: Supervised) -> None:
    assert supervised.deploy(SCRIPT, workers=2)["ok"]
    try:
        with socket.create_connection(("127.0.0.1", supervised.facts["port"]), 20) as client:
            head = f"POST /score HTTP/1.1\r\nhost: localhost\r\nauthorization: {KEY['Authorization']}\r\n"
            client.sendall(f'{head}content-length: 6\r\n\r\n"wait"'.encode())
            wait_until((supervised.root / f"app{supervised.revision}" / "begun").exists, what="the call")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closes with a reset
        wait_for_value(supervised.in_flight, 0)
        assert len({answered_by(supervised) for _ in range(20)}) == 1
    finally:
        supervised.open_gate()


def test_two_calls_go_to_two_workers_and_both_accept_what_comes_then(supervised: Supervised) -> None:
    assert supervised.deploy(SCRIPT, workers=2)["ok"]
    with calls_that_wait(supervised, 2) as calls:
        for _ in range(10):
            assert requests.get(supervised.url, timeout=60).text == "Healthy"
    assert {call.result() for call in calls} == set(supervised.pids())
