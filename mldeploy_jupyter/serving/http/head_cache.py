"""Request heads that were accepted before.

Clients repeat identical headers. A head accepted once is cached by its raw bytes: the next request that starts with
the same bytes skips the parser and the check of its key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

MAX_HEADS = 256

MAX_CACHED_BYTES = 2048  # of one head

# Heads with one of these are parsed each time: they say more than the length of the body and who is asking.
_UNCACHEABLE = frozenset(
    ("transfer-encoding", "expect", "upgrade", "x-request-id", "x-ms-request-id", "x-ms-client-request-id", "traceid")
)


class Credentials(Protocol):
    """A cached head is valid while `cache_epoch` is the same object. None: heads must not be cached."""

    cache_epoch: Any


class CachedHead:
    """`size` is that of its `raw` bytes, `length` that of the body.

    `epoch` is the `Credentials.cache_epoch` it was accepted under.
    """

    __slots__ = ("epoch", "headers", "length", "raw", "size")

    def __init__(self, raw: bytes, headers: dict[str, str], length: int, epoch: Any) -> None:
        self.raw = raw
        self.headers = headers
        self.size = len(raw)
        self.length = length
        self.epoch = epoch


class HeadCache:
    """Heads of `POST /score` in HTTP/1.1 with a Content-Length, on connections that stay open. Evicts the oldest."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._heads: dict[bytes, CachedHead] = {}

    def find(self, data: bytes, likely: CachedHead | None = None) -> CachedHead | None:
        """The head that `data` starts with, if what follows in `data` is its body, or its first part, and no more.

        `likely` is compared first: the head of the last request on the connection.
        """
        head, epoch = likely, self._credentials.cache_epoch
        if head is None or head.epoch is not epoch or not data.startswith(head.raw):
            head = self._heads.get(data[: data.find(b"\r\n\r\n") + 4])
        if head is not None and len(data) - head.size <= head.length and head.epoch is epoch:
            return head
        return None

    def learn(self, head: bytes, headers: Mapping[str, str], body_size: int) -> None:
        """Caches the head of an accepted request, unless it is unusual."""
        length = headers.get("content-length", "")
        if len(head) > MAX_CACHED_BYTES or not length.isdigit() or int(length) != body_size:
            return
        if head.find(b"\r\n\r\n") + 4 != len(head) or not _UNCACHEABLE.isdisjoint(headers):
            return
        epoch = self._credentials.cache_epoch
        if epoch is None:
            return
        if len(self._heads) >= MAX_HEADS:
            del self._heads[next(iter(self._heads))]
        self._heads[head] = CachedHead(head, dict(headers), body_size, epoch)
