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
CLIENTS = 40
ENOUGH = 100  # requests answered, and as many refused


@pytest.mark.parametrize(
    ("limits", "status", "code"),
    [
        ({"max_queue": 8, "max_queue_wait_ms": 30_000}, 429, "too-many-requests"),
        ({"max_queue": 500, "max_queue_wait_ms": 300}, 503, "overloaded"),
    ],
    ids=["a full queue", "waiting too long"],
)
def test_under_overload_answers_stay_in_time_and_the_rest_get_retry_after(
    supervised: Supervised, limits: dict[str, int], status: int, code: str
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
                answer = session.post(f"{supervised.url}/score", json=1, headers=KEY, timeout=60)
                found.append((answer, time.perf_counter() - began))
                if answer.status_code != 200:
                    ended.wait(0.05)

    def probe() -> None:
        while not ended.wait(0.05):
            began = time.perf_counter()
            assert requests.get(supervised.url, timeout=60).text == "Healthy"
            probes.append(time.perf_counter() - began)

    def enough() -> bool:
        good = sum(answer.status_code == 200 for answer, _ in list(found))
        return min(good, len(found) - good) >= ENOUGH and len(probes) >= 10

    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        running = [pool.submit(client) for _ in range(CLIENTS)] + [pool.submit(probe)]
        try:
            wait_until(lambda: enough() or any(one.done() for one in running), 120)
            seconds = time.perf_counter() - began
        finally:
            ended.set()
        for one in running:
            one.result(60)
    refused = [answer for answer, _ in found if answer.status_code != 200]
    waited = sorted(float(a.headers["server-timing"].split("queue;dur=")[1].split(",")[0]) / 1000
                    for a, _ in found if a.status_code == 200)  # fmt: skip
    print(f"{len(waited)} answered ({len(waited) / seconds:.0f} a second), longest wait {waited[-1] * 1000:.0f} ms; "
          f"{len(refused)} refused; liveness at most {max(probes) * 1000:.0f} ms")  # fmt: skip
    assert {answer.status_code for answer in refused} == {status}
    assert {(a.json()["error"]["code"], a.headers["retry-after"]) for a in refused} == {(code, "1")}
    # Busy neighbours slow run() down, so the bounds are of the same run: without a limit, a request would wait for the
    # calls of all other clients.
    median, cycle = waited[len(waited) // 2], seconds / len(waited)
    if status == 429:
        assert median < CLIENTS / 2 * cycle, f"{median:.3f} s, with {cycle:.3f} s a call"
    else:
        assert median < 2 * 0.3
    assert sorted(probes)[len(probes) // 2] < 2, "liveness waits for the queue"
    assert psutil.Process(worker).memory_info().rss - before < 30_000_000
    assert supervised.pids() == [worker]
    in_flight = "mldeploy_requests_in_flight{"
    text = wait_until(lambda: requests.get(f"{supervised.url}/metrics", timeout=60).text)
    assert [line.split()[-1] for line in text.splitlines() if line.startswith(in_flight)] == ["0"]
    assert supervised.score().status_code == 200
