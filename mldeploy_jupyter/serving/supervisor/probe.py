"""Sends test requests to a new worker, over a private connection that it gets as it gets a client's."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from .worker_process import WorkerProcess, request_all

LAST_REQUEST_WAIT = 2.0  # seconds for workers to tell their last request


class ProbeError(Exception):
    """The worker did not answer as required. `response` is the body of its answer, as data if it is JSON."""

    def __init__(self, text: str, response: Any = None) -> None:
        super().__init__(text)
        self.response = response


def probe(
    worker: WorkerProcess, sample_body: str | None, timeout: float, sample_headers: Mapping[str, str] | None = None
) -> None:
    """Sends `GET /ready` and, when there is a sample, `POST /score`; each may take `timeout` seconds.

    The sample may be answered with any status below 400: a script may choose its own. Raises `ProbeError`.
    """
    _expect_success(worker, b"GET /ready HTTP/1.1\r\n", b"", timeout)
    if sample_body is not None:
        headers = {"content-type": "application/json", **(sample_headers or {})}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("latin-1", "replace")
        _expect_success(worker, b"POST /score HTTP/1.1\r\n" + lines, sample_body.encode(), timeout)


def find_last_request(workers: Sequence[WorkerProcess]) -> dict[str, Any] | None:
    """The last request that any of the workers answered with 200; None when none did, or they keep none.

    Workers of older versions do not answer the question.
    """
    answers = request_all(workers, "last_request", LAST_REQUEST_WAIT)
    kept = [answer["request"] for answer in answers if answer and answer.get("request")]
    return max(kept, key=lambda request: float(request["time"]), default=None)


def replay(worker: WorkerProcess, request: dict[str, Any], timeout: float) -> int:
    """Sends a request as `find_last_request` returns it; returns the status of the answer.

    Raises `ProbeError` for a status of 500 or more, or no answer.
    """
    path = "/score" + (f"?{request['query']}" if request.get("query") else "")
    head = f"{request['method']} {path} HTTP/1.1\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in request["headers"].items())
    status, response = _exchange(worker, head.encode("latin-1", "replace"), base64.b64decode(request["body"]), timeout)
    if not 0 < status < 500:
        raise ProbeError(f"the last request was answered with {status or 'nothing'}{_message(response)}", response)
    return status


def _expect_success(worker: WorkerProcess, head: bytes, body: bytes, timeout: float) -> None:
    status, response = _exchange(worker, head, body, timeout)
    if not 200 <= status < 400:
        request_line = head.split(b" HTTP", 1)[0].decode()
        raise ProbeError(f"{request_line} was answered with {status or 'nothing'}{_message(response)}", response)


def _message(response: Any) -> str:
    return f": {response.get('message', response) if isinstance(response, dict) else response}"


def _exchange(worker: WorkerProcess, head: bytes, body: bytes, timeout: float) -> tuple[int, Any]:
    """The status of the answer, 0 for none, and its body, as data if it is JSON. Raises `ProbeError`."""
    ours, theirs = socket.socketpair()
    with ours:
        # A private connection needs no key: only the supervisor can make one.
        sent = worker.send("adopt", (theirs.fileno(),), private=True)
        theirs.close()
        if not sent:
            raise ProbeError("the worker is gone")
        ours.settimeout(timeout)
        answer = bytearray()
        try:
            length = b"content-length: %d\r\n" % len(body) if body else b""
            ours.sendall(head + b"host: probe\r\nconnection: close\r\n" + length + b"\r\n" + body)
            while chunk := ours.recv(65536):
                answer += chunk
        except TimeoutError as error:
            raise ProbeError(f"no answer within {timeout:g} s") from error
        except OSError as error:
            raise ProbeError(f"the connection broke: {error}") from error
    header, _, content = bytes(answer).partition(b"\r\n\r\n")
    status = header.split(b" ", 2)[1:2]
    text = content.decode("utf-8", "backslashreplace")
    try:
        response = json.loads(text)
    except ValueError:
        response = text
    return int(status[0]) if status and status[0].isdigit() else 0, response
