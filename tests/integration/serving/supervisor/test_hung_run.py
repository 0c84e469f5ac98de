"""Fault 19: a `run()` that never returns is answered with 504 in time, and costs no other request.

Also: the liveness of a service whose async script blocks.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import requests

from tests.integration.serving.supervised import Supervised
from tests.polling import wait_until

SCRIPT = """
    import asyncio, ctypes, json, time

    def init(): pass

    def run(data):
        how = json.loads(data)
        if how == "python":  # what is met in real scripts: a loop that continues whatever happens
            while True:
                try: sum(range(1000))
                except Exception: pass
        if how == "swallow":
            while True:
                try: time.sleep(30)
                except: pass
        if how == "sleep": ctypes.CDLL(None).usleep(30_000_000)
        if how == "c":  # a lock in C is not given up for a signal
            libc, lock = ctypes.CDLL(None), ctypes.create_string_buffer(64)
            libc.pthread_mutex_lock(lock)
            libc.pthread_mutex_lock(lock)
        if how == "locked": ctypes.PyDLL(None).usleep(60_000_000)
        if how == "long": time.sleep(1.0)
        return how
"""
ASYNC = """
    import asyncio, json, time
    def init(): pass
    async def run(data):
        how = json.loads(data)
        if how == "block": time.sleep(10)
        if how == "hang": await asyncio.sleep(600)
        if how == "swallow":
            while True:
                try: await asyncio.sleep(600)
                except BaseException: pass
        return how
"""


def counter(service: Supervised, name: str) -> int:
    text = requests.get(f"{service.url}/metrics", timeout=60).text
    return sum(int(line.rpartition(" ")[2]) for line in text.splitlines() if re.match(rf"{name}\b", line))


@contextmanager
def probed(service: Supervised) -> Iterator[list[float]]:
    """Asks for liveness without pause meanwhile; the seconds that each answer took."""
    took: list[float] = []
    ended = threading.Event()

    def probe() -> None:
        with requests.Session() as session:
            while not ended.wait(0.01):
                began = time.perf_counter()
                assert session.get(service.url, timeout=60).text == "Healthy"
                took.append(time.perf_counter() - began)

    with ThreadPoolExecutor(1) as pool:
        probing = pool.submit(probe)
        wait_until(lambda: took, what="a first answer")
        try:
            yield took
        finally:
            ended.set()
            probing.result(60)


@contextmanager
def answered_meanwhile(took: list[float]) -> Iterator[None]:
    """Liveness is answered again and again meanwhile, not only when what is inside has ended."""
    before = len(took)
    yield
    assert len(took) - before > 1, [f"{seconds * 1000:.0f} ms" for seconds in took]


def timed(service: Supervised, how: str) -> tuple[requests.Response, float]:
    began = time.monotonic()
    return service.score(how, timeout=60), time.monotonic() - began


def test_a_loop_that_catches_every_exception_is_ended_and_its_worker_lives_on(shared: Supervised) -> None:
    assert shared.deploy(SCRIPT, scoring_timeout_ms=1500)["ok"]
    before = shared.pids()
    with probed(shared) as took:
        for how in ("python", "sleep", "python"):
            with answered_meanwhile(took):
                response, seconds = timed(shared, how)
            assert (response.status_code, response.json()["error"]["code"]) == (504, "run-timeout")
            assert seconds > 1.5
            assert shared.score("ok").json() == "ok"
    assert shared.pids() == before


@pytest.mark.parametrize("how", ["swallow", "c"])
def test_a_call_that_cannot_be_interrupted_costs_only_its_worker(supervised: Supervised, how: str) -> None:
    """A bare `except:` swallows the deadline; a call in C that waits for a lock of its own never sees it."""
    assert supervised.deploy(SCRIPT, workers=2, scoring_timeout_ms=2000, drain_timeout=1)["ok"]
    before = set(supervised.pids())
    others: list[requests.Response] = []
    with ThreadPoolExecutor(12) as pool, probed(supervised):
        hung = pool.submit(supervised.score, how, timeout=60)
        wait_until(lambda: counter(supervised, "mldeploy_requests_in_flight") >= 1, what="the call")
        seen = time.monotonic()
        wait_until(lambda: time.monotonic() > seen + 0.05, what="a call that is known to be long")
        others += [waiting.result() for waiting in [pool.submit(supervised.score, n) for n in range(10)]]
        assert hung.result().status_code == 504
        wait_until(lambda: len(now := set(supervised.pids())) == 2 and now != before, 60, "another worker")
    # Each was answered by the worker that does not hang, which nothing but the call that hangs keeps from it.
    assert [other.text for other in others if other.status_code != 200] == []
    assert len(before & set(supervised.pids())) == 1, "the other worker was replaced as well"
    assert counter(supervised, "mldeploy_workers_stuck_total") == 1
    assert {supervised.score(n).status_code for n in range(6)} == {200}
    assert "run() passed its deadline and did not end; replacing the worker" in supervised.log


def test_a_call_that_keeps_the_global_lock_is_ended_by_the_supervisor(supervised: Supervised) -> None:
    """Nothing in the worker can act, not even its deadline: the connection breaks, and the request is named as lost."""
    assert supervised.deploy(SCRIPT, scoring_timeout_ms=1000)["ok"]
    (before,) = supervised.pids()
    began = time.monotonic()
    headers = {"Authorization": "Bearer first-key", "x-request-id": "the-locked-one"}
    with pytest.raises(requests.ConnectionError):
        supervised.score("locked", headers=headers, timeout=60)
    assert time.monotonic() - began > 5  # a second, five of grace, and a look each second
    assert wait_until(lambda: (r := supervised.score("ok")).ok and r, what="another worker").json() == "ok"
    status = supervised.ask("status")
    assert (status["last_exit"]["code"], status["last_exit"]["pid"]) == ("run-locked", before)
    assert counter(supervised, "mldeploy_workers_stuck_total") == 1
    assert counter(supervised, "mldeploy_requests_lost_total") == 1
    assert "[the-locked-one] lost with worker" in supervised.log


@pytest.mark.parametrize("how", ["block", "hang", "swallow"])
def test_an_async_script_that_blocks_or_hangs_delays_no_liveness(supervised: Supervised, how: str) -> None:
    assert supervised.deploy(ASYNC, scoring_timeout_ms=1500, drain_timeout=1)["ok"]
    before = supervised.pids()
    with probed(supervised) as took:
        with answered_meanwhile(took):
            assert supervised.score(how, timeout=60).status_code == 504
        if how != "hang":
            wait_until(lambda: (now := supervised.pids()) and now != before, 60, "another worker")
        assert wait_until(lambda: (r := supervised.score("ok")).ok and r).json() == "ok"
    assert (supervised.pids() == before) is (how == "hang")  # a call that waits is cancelled, and no harm done
