"""Fault 20: more requests than can be answered. Some are refused at once with Retry-After; the rest stay in time.

How a single request is refused is in `test_http.py`.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import requests

from tests.integration.serving.supervised import KEY, Supervised
from tests.polling import wait_until

CALL = 0.02  # seconds of a call: fifty a second
SCRIPT = f"import time\ndef init(): pass\ndef run(data):\n    time.sleep({CALL})\n    return 1\n"
SECONDS = 4.0


@pytest.mark.parametrize(
    ("limits", "status", "code", "longest"),
    [
        ({"max_queue": 8, "max_queue_wait_ms": 30_000}, 429, "too-many-requests", 8 * CALL),
        ({"max_queue": 500, "max_queue_wait_ms": 300}, 503, "overloaded", 0.3),
    ],
    ids=["a full queue", "waiting too long"],
)
def test_under_overload_answers_stay_in_time_and_the_rest_get_retry_after(
    supervised: Supervised, limits: dict[str, int], status: int, code: str, longest: float
) -> None:
    assert supervised.deploy(SCRIPT, **limits)["ok"]
    assert supervised.score().status_code == 200
    (worker,) = supervised.pids()
    before = psutil.Process(worker).memory_info().rss
    found: list[tuple[requests.Response, float]] = []
    probes: list[float] = []
    ended = threading.Event()

    def client() -> None:
        with requests.Session() as session:
            while not ended.is_set():
                began = time.perf_counter()
                answer = session.post(f"{supervised.url}/score", json=1, headers=KEY, timeout=30)
                found.append((answer, time.perf_counter() - began))
                if answer.status_code != 200:
                    ended.wait(0.05)

    def probe() -> None:
        while not ended.wait(0.05):
            began = time.perf_counter()
            assert requests.get(supervised.url, timeout=30).text == "Healthy"
            probes.append(time.perf_counter() - began)

    with ThreadPoolExecutor(41) as pool:
        running = [pool.submit(client) for _ in range(40)] + [pool.submit(probe)]
        ended.wait(SECONDS)
        ended.set()
        for one in running:
            one.result(40)
    refused = [answer for answer, _ in found if answer.status_code != 200]
    waited = sorted(float(a.headers["server-timing"].split("queue;dur=")[1].split(",")[0]) / 1000
                    for a, _ in found if a.status_code == 200)  # fmt: skip
    print(f"{len(waited)} answered ({len(waited) / SECONDS:.0f} a second), longest wait {waited[-1] * 1000:.0f} ms; "
          f"{len(refused)} refused; liveness at most {max(probes) * 1000:.0f} ms")  # fmt: skip
    assert {answer.status_code for answer in refused} == {status}
    assert {(a.json()["error"]["code"], a.headers["retry-after"]) for a in refused} == {(code, "1")}
    # Busy neighbours slow run() down: the bound is that of the setting, with room for them.
    assert waited[-1] < 3 * longest + 0.2
    assert len(waited) > 0.4 * SECONDS / CALL, "it answers less than half of what it could"
    assert sorted(probes)[len(probes) * 8 // 10] < 0.1
    assert psutil.Process(worker).memory_info().rss - before < 30_000_000
    assert supervised.pids() == [worker]
    in_flight = "mldeploy_requests_in_flight{"
    text = wait_until(lambda: requests.get(f"{supervised.url}/metrics", timeout=20).text)
    assert [line.split()[-1] for line in text.splitlines() if line.startswith(in_flight)] == ["0"]
    assert supervised.score().status_code == 200
