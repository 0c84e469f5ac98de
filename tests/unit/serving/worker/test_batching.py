"""A batched request gets exactly the answer that it would have got alone."""

from __future__ import annotations

import gzip
import random
import threading
from typing import Any

import orjson
import pytest

from mldeploy_jupyter.serving.scoring.messages import Request
from mldeploy_jupyter.serving.scoring.scorer import Scorer
from mldeploy_jupyter.serving.worker.batching import Batcher
from mldeploy_jupyter.serving.worker.jobs import BatchResult, Job
from mldeploy_jupyter.serving.worker.script_thread import ScriptThread
from tests.fuzz.wire import script_of

HEAD = """
    import numpy as np
    import pandas as pd
    from inference_schema.schema_decorators import input_schema
    from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
    from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
    from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
    def init(): pass
"""
SAMPLES = {
    "doubles": "NumpyParameterType(np.zeros((1, 2)))",
    "floats": "NumpyParameterType(np.zeros((1, 2), 'f4'))",
    "whole": "NumpyParameterType(np.zeros((1, 2), 'i8'))",
    "bytes": "NumpyParameterType(np.zeros((1, 2), 'u1'))",
    "flat": "NumpyParameterType(np.zeros(1))",
    "any shape": "NumpyParameterType(np.zeros((1, 2)), enforce_shape=False)",
    "texts": "NumpyParameterType(np.array([['abc', 'de']]))",
    "frame": "PandasParameterType(pd.DataFrame({'a': [1.0], 'b': [2]}))",
    "texts in a frame": "PandasParameterType(pd.DataFrame({'a': ['x'], 'b': [2.5]}))",
    "values": "PandasParameterType(pd.DataFrame({'a': [1.0], 'b': [2.0]}), orient='values')",
    "list": "StandardPythonParameterType([[1.0, 2.0]])",
}
RESULTS = {
    "list": "data.tolist() if hasattr(data, 'tolist') else (data.values.tolist() if hasattr(data, 'values') else data)",
    "plain list": "[str(row) for row in (data.values if hasattr(data, 'values') else data)]",
    "array": "np.asarray(data)",
    "numbers": "np.arange(len(data)) * 0 + 0.1",
    "short numbers": "(np.arange(len(data)) * 0 + 0.1).astype('f4')",
    "not a number": "np.where(np.arange(len(data)) * 0 == 0, np.nan, 1.0)",
    "nothing": "[None] * len(data)",
    "NaN in a list": "[float('nan')] * len(data)",
    "dict": "{'first': [1] * len(data), 'second': np.ones(len(data))}",
    "types": "[str(getattr(data, 'dtype', None) or getattr(data, 'dtypes', type(data)))] * len(data)",
    "sum": "float(np.asarray(data, dtype=float).sum())",
}
VALUES = (1.5, 2, -7, 0.0, 1e300, 2**53 + 1, 2**63, 300, None, "abc", "abcd", "", True, [1.0], {})


def body(rng: random.Random, kind: str) -> bytes:
    """A request's body: mostly valid, now and then odd."""
    usual: tuple[Any, ...] = (1.5, 2.0, 3.25) if kind in ("doubles", "floats", "flat", "values", "list") else (1, 2)
    if kind == "texts":
        usual = ("abc", "x")
    one = lambda: rng.choice(usual if rng.random() < 0.97 else VALUES)  # noqa: E731
    count = rng.choice((1, 1, 2, 3)) if rng.random() < 0.97 else 0
    rows: Any = [[one(), one()] for _ in range(count)]
    if kind == "flat":
        rows = [one() for _ in range(count)]
    elif kind == "frame":
        rows = [{"a": one(), "b": one()} for _ in range(count)]
    elif kind == "texts in a frame":
        rows = [{"a": rng.choice(("x", "yy", None)), "b": one()} for _ in range(count)]
    if rng.random() < 0.02:
        rows = rng.choice(([*rows, [1.0]], {"a": 1}, "text", None))
    if rng.random() < 0.02:
        return rng.choice((b"", b"{", b"[1]", b'{"data": [[1, 2]], "data": [[3, 4]]}', b'{"other": 1}'))
    return orjson.dumps({"data": rows, **({"more": 1} if rng.random() < 0.02 else {})})


def alone(scorer: Scorer, request: Request) -> tuple[int, bytes]:
    response = scorer.score(request)
    return response.status, response.body


class RecordingThread(ScriptThread):
    """Runs calls in the test's thread. `got` is each job's answer, `as_one` counts those that came as a batch."""

    def __init__(self) -> None:
        super().__init__()
        self._main_thread = threading.get_ident()  # no signal, no lock
        self.got: dict[Job, tuple[int, bytes]] = {}
        self.as_one = 0

    def deliver(self, jobs: list[Job]) -> None:
        for job in jobs:
            assert job.response is not None and job not in self.got
            self.got[job] = job.response.status, job.response.body

    def deliver_batch(self, result: BatchResult) -> None:
        self.as_one += len(result.jobs)
        for job, body in zip(result.jobs, result.bodies, strict=True):
            assert job.response is None and job not in self.got
            self.got[job] = 200, body


@pytest.mark.parametrize("kind", SAMPLES)
def test_batched_answers_equal_single_answers(kind: str) -> None:
    rng = random.Random(kind)
    as_one = 0
    for result in RESULTS.values():
        if kind == "texts" and "float" in result:
            continue
        script = script_of(f"{HEAD}    @input_schema('data', {SAMPLES[kind]})\n    def run(data): return {result}\n")
        scorer = Scorer(script)
        thread = RecordingThread()
        batcher = Batcher(scorer, thread, 16)
        for _ in range(12):
            bodies = [body(rng, kind) for _ in range(rng.choice((1, 2, 5, 20)))]
            if rng.random() < 0.3:  # all valid, as most batches are
                bodies = [good for good in bodies if alone(scorer, request_of(good))[0] == 200] or bodies
            jobs = [Job(None, request_of(text)) for text in bodies]
            batcher.process(jobs)
            for job in jobs:
                assert thread.got[job] == alone(scorer, job.request), (kind, result, job.request.body)
        as_one += thread.as_one
    assert as_one > 50


def test_a_call_gets_at_most_max_rows_and_a_larger_request_is_alone() -> None:
    script = script_of(
        f"{HEAD}    @input_schema('data', {SAMPLES['flat']})\n    def run(data): return [len(data)] * len(data)\n"
    )
    thread = RecordingThread()
    jobs = [Job(None, request_of(orjson.dumps({"data": [1.0] * rows}))) for rows in (2, 2, 1, 4, 9, 1)]
    Batcher(Scorer(script), thread, 4).process(jobs)
    assert [orjson.loads(thread.got[job][1])[0] for job in jobs] == [4, 4, 1, 4, 9, 1]


@pytest.mark.parametrize(
    ("headers", "as_one"),
    [
        ({"content-type": "application/json; charset=utf-8"}, 3),
        ({"content-type": "text/plain"}, 0),
        ({}, 0),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 0),
    ],
    ids=["charset", "text", "none", "gzip"],
)
def test_only_uncompressed_json_is_converted_together(headers: dict[str, str], as_one: int) -> None:
    script = script_of(f"{HEAD}    @input_schema('data', {SAMPLES['flat']})\n    def run(data): return data\n")
    scorer, thread = Scorer(script), RecordingThread()
    text = b'{"data": [1.0]}'
    body = gzip.compress(text) if "content-encoding" in headers else text
    jobs = [Job(None, Request(headers=headers, body=body, id="one")) for _ in range(3)]
    batcher = Batcher(scorer, thread, 8)
    assert (batcher._convert_together(jobs) is not None) is bool(as_one)
    batcher.process(jobs)
    assert {thread.got[job] for job in jobs} == {alone(scorer, jobs[0].request)}


@pytest.mark.parametrize("result", ["[2**70] * len(data)", "['\\ud800'] * len(data)", "np.ones(len(data), '>f8')"])
def test_a_result_that_needs_the_slow_encoder_does_not_repeat_the_call(result: str) -> None:
    script = script_of(
        f"{HEAD}    calls = []\n    @input_schema('data', {SAMPLES['flat']})\n"
        f"    def run(data):\n        calls.append(len(data))\n        return {result}\n"
    )
    scorer, thread = Scorer(script), RecordingThread()
    jobs = [Job(None, request_of(b'{"data": [1.0]}')) for _ in range(4)]
    Batcher(scorer, thread, 16).process(jobs)
    assert script.module.calls == [4]
    assert {thread.got[job] for job in jobs} == {alone(scorer, jobs[0].request)}


def request_of(text: bytes) -> Request:
    return Request(headers={"content-type": "application/json"}, body=text, id="one")
