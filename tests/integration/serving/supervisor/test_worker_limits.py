"""Limits of a worker's memory and age, with a real supervisor."""

from __future__ import annotations

import sys

import pytest
import requests

from tests.integration.serving.open_loop import OpenLoop
from tests.integration.serving.supervised import Supervised
from tests.polling import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc says what a process uses")

EATS = """
    import json
    held = []
    def init(): pass
    def run(data):
        wanted = json.loads(data)
        if isinstance(wanted, dict):
            for _ in range(wanted["mb"] // 10):
                held.append(bytearray(b"x") * 10_000_000)
            while wanted.get("wait"):
                pass
        return wanted
"""


def test_a_worker_over_its_memory_limit_is_ended_and_replaced(supervised: Supervised) -> None:
    assert supervised.deploy(EATS, memory_limit_mb=250)["ok"]
    (first,) = supervised.pids()
    assert supervised.score({"mb": 100}).status_code == 200
    with pytest.raises(requests.ConnectionError):
        supervised.score({"mb": 400, "wait": True})
    wait_until(lambda: set(supervised.pids()) - {first})
    assert supervised.score(2).json() == 2
    status = supervised.ask("status")
    end = status["last_exit"]
    assert (end["code"], end["stage"], end["pid"], end["signal"]) == ("memory-limit", "run", first, 9)
    assert 250_000_000 == end["limit"] < end["used"] < end["proposed"] <= 1_000_000_000
    assert status["state"] == "Live" and status["workers"][0]["restarts"] == 1
    assert f"worker {first}: {end['message']}; starting another" in supervised.log
    assert "its limit is 250 MB; memory_gb_limit=" in end["message"]


def test_the_others_requests_are_untouched_when_one_goes_over(supervised: Supervised) -> None:
    assert supervised.deploy(EATS, workers=2, memory_limit_mb=250)["ok"]
    before = set(supervised.pids())
    with OpenLoop(supervised.url, 40, "first-key") as load:
        with pytest.raises(requests.ConnectionError):
            supervised.score({"mb": 400, "wait": True})
        wait_until(lambda: len(found := set(supervised.pids())) == 2 and found != before)
        wait_until(lambda: load.answered() >= 40)
        found = load.end()
    # At most what the dead worker had in hand beside: each client has one request at a time.
    assert len(found["problems"]) <= 8 and found["statuses"]["200"] >= 5, found


@pytest.mark.parametrize(
    ("stage", "script"),
    [
        ("import", "held = bytearray(b'x') * 400_000_000\nwhile True: pass\ndef init(): pass\ndef run(data): pass\n"),
        ("init", "def init():\n    global held\n    held = bytearray(b'x') * 400_000_000\n    while True: pass\n"
                 "def run(data): pass\n"),
    ],
)  # fmt: skip
def test_a_revision_that_loads_too_much_is_refused(supervised: Supervised, stage: str, script: str) -> None:
    """Fault 11's own limit at load: the old revision serves on, and the cause has the figures."""
    assert supervised.deploy()["ok"]
    answer = supervised.deploy(script, memory_limit_mb=250)
    failure = answer["failure"]
    assert (answer["ok"], failure["code"], failure["stage"]) == (False, "memory-limit", stage)
    assert failure["used"] > failure["limit"] == 250_000_000
    assert supervised.score(3).json() == 3
    assert supervised.ask("status")["last_deploy"]["failure"]["code"] == "memory-limit"


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_are_replaced_after_so_many_requests_and_none_fails(supervised: Supervised, workers: int) -> None:
    assert supervised.deploy(workers=workers, max_requests=50)["ok"]
    first = set(supervised.pids())
    seen = set(first)

    def all_replaced() -> bool:
        now = supervised.pids()
        seen.update(now)
        return len(seen) >= 3 * workers and not first & set(now)

    with OpenLoop(supervised.url, 150, "first-key") as load:
        wait_until(all_replaced)
        found = load.end()
    assert found["problems"] == [] and list(found["statuses"]) == ["200"], found
    replaced = supervised.log.count("has answered its 50 requests; replacing it")
    assert replaced >= 2 * workers
    print(f"{found['statuses']}, {replaced} workers replaced, slowest {found['slowest'] * 1000:.0f} ms")
