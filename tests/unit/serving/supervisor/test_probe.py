"""The requests that a new worker must answer before it gets traffic."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.serving.supervisor.probe import ProbeError, probe
from tests.unit.serving.supervisor.fakes import FakeWorker

OK = b"HTTP/1.1 200 OK\r\n\r\n{}"


def test_without_a_sample_only_readiness_is_asked_for() -> None:
    worker = FakeWorker()
    worker.responses = [OK]
    probe(worker, None, timeout=5)
    (request,) = worker.requests
    assert request.startswith(b"GET /ready HTTP/1.1\r\n") and worker.orders("adopt") == [{"private": True}]


def test_a_sample_is_scored() -> None:
    worker = FakeWorker()
    worker.responses = [OK, OK]
    probe(worker, '{"a": 1}', timeout=5)
    head, _, body = worker.requests[1].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /score ") and b"content-length: 8" in head and body == b'{"a": 1}'


def test_a_sample_may_have_headers_and_an_answer_of_its_own() -> None:
    worker = FakeWorker()
    worker.responses = [OK, b"HTTP/1.1 201 Created\r\n\r\n{}"]
    probe(worker, "1", timeout=5, sample_headers={"X-Tenant": "a"})
    assert b"\r\nX-Tenant: a\r\n" in worker.requests[1]
    worker.responses = [OK, b"HTTP/1.1 401 X\r\n\r\nno"]
    with pytest.raises(ProbeError, match="POST /score was answered with 401: no"):
        probe(worker, "1", timeout=5)


@pytest.mark.parametrize(
    ("response", "text", "data"),
    [
        (b'HTTP/1.1 500 X\r\n\r\n{"message": "bad row"}', "was answered with 500: bad row", {"message": "bad row"}),
        (b"HTTP/1.1 502 X\r\n\r\nno json", "was answered with 502: no json", "no json"),
        (b"", "was answered with nothing", ""),
    ],
)
def test_any_other_answer_fails_the_probe(response: bytes, text: str, data: object) -> None:
    worker = FakeWorker()
    worker.responses = [response]
    with pytest.raises(ProbeError, match=f"GET /ready {text}") as error:
        probe(worker, None, timeout=5)
    assert error.value.response == data


def test_a_worker_that_is_gone_or_silent_fails_the_probe() -> None:
    worker = FakeWorker()
    worker.gone = True
    with pytest.raises(ProbeError, match="the worker is gone"):
        probe(worker, None, timeout=5)
    silent = FakeWorker()
    silent.responses = [None]
    with pytest.raises(ProbeError, match=r"no answer within 0\.05 s"):
        probe(silent, None, timeout=0.05)
