"""Requests that share a call of `run()`: right answers, no waiting, and a bad request fails alone."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from tests.integration.serving.supervised import KEY, WAIT, Supervised
from tests.polling import wait_until

ROWS = """
    import os, threading, time
    import numpy as np
    from inference_schema.schema_decorators import input_schema
    from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType

    def init(): pass

    @input_schema("data", NumpyParameterType(np.array([[1.5, 2.5]])))
    def run(data):
        print("rows", len(data))
        if (data == -1).any(): raise ValueError("a bad row")
        if (data == -2).any(): WAIT
        if (data == -3).any(): return [1]
        if (data == -4).any():
            while True: pass
        return [[float(row.sum()), float(row[0])] for row in data]
""".replace("WAIT", WAIT)


def together(service: Supervised, first: Any, rest: list[Any]) -> tuple[requests.Response, list[requests.Response]]:
    """Answers to `rest`, which all wait while `first` runs, a row with -2."""
    with ThreadPoolExecutor(len(rest) + 1) as pool:
        holds = pool.submit(service.score, {"data": first})
        wait_until(lambda: service.in_flight() == 1)
        answers = [pool.submit(service.score, {"data": data}) for data in rest]
        # All are there; one that is refused is answered at once.
        wait_until(lambda: service.in_flight() + sum(one.done() for one in (holds, *answers)) == len(rest) + 1)
        service.open_gate()
        return holds.result(), [answer.result() for answer in answers]


def batches(service: Supervised) -> dict[str, int]:
    text = requests.get(f"{service.url}/metrics", timeout=60).text
    lines = [line for line in text.splitlines() if line.startswith("mldeploy_batch_requests_bucket")]
    return {line.split('le="')[1].split('"')[0]: int(line.split()[-1]) for line in lines}


def test_waiting_requests_share_a_call_and_each_gets_its_own_rows(shared: Supervised) -> None:
    assert shared.deploy(ROWS, max_batch_size=64)["ok"]
    rest = [[[float(n), 1.0]] * (n % 3 + 1) for n in range(12)]
    _, answers = together(shared, [[-2.0, 0.0]], rest)
    for number, answer in enumerate(answers):
        assert answer.status_code == 200
        assert answer.json() == [[number + 1.0, float(number)]] * (number % 3 + 1)
    assert len({answer.headers["x-ms-request-id"] for answer in answers}) == 12
    assert batches(shared)["1"] < batches(shared)["16"], "none shared"
    wait_until(lambda: any(int(rows) > 4 for rows in re.findall(r"rows (\d+)", shared.log)))


def test_a_bad_request_fails_alone(shared: Supervised) -> None:
    assert shared.deploy(ROWS, max_batch_size=64)["ok"]
    rest: list[Any] = [[[1.0, 1.0]], [[-1.0, 1.0]], [[2.0, 2.0]], [["x", 1.0]], [[3.0, 3.0]]]
    _, answers = together(shared, [[-2.0, 0.0]], rest)
    assert [answer.status_code for answer in answers] == [200, 500, 200, 422, 200]
    assert answers[2].json() == [[4.0, 2.0]] and answers[3].json()["error"]["where"] == "data[0][0]"
    assert answers[1].json()["error"]["code"] == "script-failed"


def test_a_result_that_cannot_be_split_repeats_the_call_for_each_request(shared: Supervised) -> None:
    assert shared.deploy(ROWS, max_batch_size=64)["ok"]
    _, answers = together(shared, [[-2.0, 0.0]], [[[1.0, 1.0]], [[-3.0, 1.0]], [[2.0, 2.0]]])
    assert [answer.json() for answer in answers] == [[[2.0, 1.0]], [1], [[4.0, 2.0]]]


def test_a_call_has_at_most_max_batch_size_rows(shared: Supervised) -> None:
    assert shared.deploy(ROWS, max_batch_size=4)["ok"]
    _, answers = together(shared, [[-2.0, 0.0]], [[[1.0, 1.0]] * 3] * 4 + [[[1.0, 1.0]] * 9])
    assert [len(answer.json()) for answer in answers] == [3, 3, 3, 3, 9]
    assert "rows 6" not in shared.log


def test_a_deadline_in_a_shared_call_answers_all_with_504_and_the_worker_lives_on(shared: Supervised) -> None:
    assert shared.deploy(ROWS, max_batch_size=64, scoring_timeout_ms=700)["ok"]
    before = shared.pids()
    _, answers = together(shared, [[-2.0, 0.0]], [[[1.0, 1.0]], [[-4.0, 1.0]]])
    assert [answer.status_code for answer in answers] == [504, 504]
    assert shared.score({"data": [[1.0, 1.0]]}).json() == [[2.0, 1.0]]
    assert shared.pids() == before


def test_rows_that_depend_on_each_other_fail_the_deployment(shared: Supervised) -> None:
    for body, said in (
        ("data - data.mean(axis=0)", "depends on the other rows"),
        ("data.sum()", "one result for each row"),
        ("sorted(data.sum(axis=1).tolist())", "depends on the other rows"),
    ):
        source = ROWS.replace("[[float(row.sum()), float(row[0])] for row in data]", body)
        failure = shared.deploy(source, max_batch_size=8)["failure"]
        assert failure["code"] == "contract" and said in failure["message"], failure
        events: list[dict[str, Any]] = []
        assert shared.deploy(source, on_event=events.append)["ok"]
        assert not [event for event in events if "max_batch_size" in event.get("text", "")]


def test_batching_is_offered_for_independent_rows_and_refused_without_rows(shared: Supervised) -> None:
    events: list[dict[str, Any]] = []
    assert shared.deploy(ROWS, on_event=events.append)["ok"]
    assert [event for event in events if "max_batch_size" in event.get("text", "")]
    failure = shared.deploy(max_batch_size=8)["failure"]
    assert failure["code"] == "contract" and "max_batch_size" in failure["message"]


def test_a_lone_request_does_not_wait_for_others(shared: Supervised) -> None:
    assert shared.deploy(ROWS, max_batch_size=64)["ok"]
    with requests.Session() as session:
        for _ in range(20):
            answer = session.post(f"{shared.url}/score", json={"data": [[1.0, 1.0]]}, headers=KEY, timeout=60)
            queued = float(answer.headers["server-timing"].split("queue;dur=")[1].split(",")[0])
            assert answer.json() == [[2.0, 1.0]] and queued < 50
