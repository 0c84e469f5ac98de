"""One request, and where its answer goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .messages import Response

if TYPE_CHECKING:
    from .connection import Connection


class Exchange:
    """A request as it arrives. `whole`: its body is there. `early`: the answer that does not wait for the body.

    `id` is the request's id, `ids` the headers that tell it. `place` is where the scoreboard names it, -2 before.
    """

    __slots__ = ("began", "begun", "body", "close", "connection", "early", "expects", "headers", "id", "ids", "job",
                 "kept", "method", "old", "parts", "path", "place", "query", "size", "target", "whole")  # fmt: skip

    def __init__(self, connection: Connection, began: float) -> None:
        self.connection = connection
        self.began = began  # perf_counter at its first byte
        self.headers: dict[str, str] = {}  # names in lower case
        self.target = b""
        self.method = self.path = self.query = self.id = ""
        self.parts: list[bytes] = []
        self.body = self.ids = b""
        self.size = self.kept = 0  # bytes of body that came, and that are kept
        self.close = self.whole = self.expects = self.old = self.begun = False
        self.early: Response | None = None
        self.place = -2
        self.job: Any = None
