"""Sends test requests to a new worker, over a private connection that it gets as it gets a client's."""

from __future__ import annotations

import json
import socket
from typing import Any

from .worker_process import WorkerProcess


class ProbeError(Exception):
    """The worker did not answer with 200. `response` is the body of its answer, as data if it is JSON."""

    def __init__(self, text: str, response: Any = None) -> None:
        super().__init__(text)
        self.response = response


def probe(worker: WorkerProcess, sample_body: str | None, timeout: float) -> None:
    """Sends `GET /ready` and, when there is a sample, `POST /score`; each may take `timeout` seconds.

    Raises `ProbeError`.
    """
    _expect_200(worker, b"GET /ready HTTP/1.1\r\n", b"", timeout)
    if sample_body is not None:
        score = b"POST /score HTTP/1.1\r\ncontent-type: application/json\r\n"
        _expect_200(worker, score, sample_body.encode(), timeout)


def _expect_200(worker: WorkerProcess, head: bytes, body: bytes, timeout: float) -> None:
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
    if status != [b"200"]:
        request_line = head.split(b" HTTP", 1)[0].decode()
        status_text = status[0].decode() if status else "nothing"
        text = content.decode("utf-8", "backslashreplace")
        try:
            response = json.loads(text)
        except ValueError:
            response = text
        message = response.get("message", text) if isinstance(response, dict) else text
        raise ProbeError(f"{request_line} was answered with {status_text}: {message}", response)
