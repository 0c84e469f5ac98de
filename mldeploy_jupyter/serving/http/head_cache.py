"""Heads of requests that were read before.

A client says the same in every request but for the body. A head that was accepted once is known by its bytes: the
next request that begins with just these needs no parser, and no second look at its key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOST = 256  # heads

LONGEST = 2048  # bytes of one

# A head that has one of these is read each time: it says more than where its body ends and who is asking.
_PARTICULAR = frozenset(
    ("transfer-encoding", "expect", "upgrade", "x-request-id", "x-ms-request-id", "x-ms-client-request-id")
)


class Head:
    """`length` is that of the body. `proof` is what the key was right for (`Auth.proof`)."""

    __slots__ = ("headers", "length", "proof")

    def __init__(self, headers: dict[str, str], length: int, proof: Any) -> None:
        self.headers = headers
        self.length = length
        self.proof = proof


class Heads:
    """Those of `POST /score`, HTTP/1.1, with a length and a connection that stays. The oldest make place."""

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}

    def find(self, data: bytes, proof: Any) -> Head | None:
        """The head that `data` begins with, if `data` is it and its whole body, and nothing else."""
        end = data.find(b"\r\n\r\n") + 4
        head = self._known.get(data[:end])
        return head if head is not None and len(data) - end == head.length and head.proof is proof else None

    def learn(self, data: bytes, headers: Mapping[str, str], size: int, proof: Any) -> None:
        """`data` was one whole request, accepted and of the usual kind."""
        end = len(data) - size
        length = headers.get("content-length", "")
        if end > LONGEST or not length.isdigit() or int(length) != size or data.find(b"\r\n\r\n") + 4 != end:
            return
        if proof is None or not _PARTICULAR.isdisjoint(headers):
            return
        if len(self._known) >= MOST:
            del self._known[next(iter(self._known))]
        self._known[data[:end]] = Head(dict(headers), size, proof)
