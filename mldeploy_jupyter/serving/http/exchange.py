"""One request, and where its answer goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..scoring.messages import Response

if TYPE_CHECKING:
    from .connection import Connection


class Exchange:
    """A request as it arrives: its head is `admitted`, then it is `whole`. `early`: the answer that waits for no body.

    `id` is the request's id, `ids` the headers that tell it. `place` is where the scoreboard names it, -2 before.
    Most of it stays as it is for most requests: so the defaults stand at the class.
    """

    target = body = ids = b""
    method = path = query = id = ""
    size = kept = 0  # bytes of body that came, and that are kept
    close = whole = expects = old = begun = False
    early: Response | None = None
    place = -2
    job: Any = None

    def __init__(self, connection: Connection, began: float, headers: dict[str, str] | None = None) -> None:
        self.connection = connection
        self.began = began  # perf_counter at its first byte
        self.admitted = headers is not None  # not at the class: it is asked for each header, where that is slower
        if headers is not None:  # of a head that was read before: nobody may change it
            self.headers = headers
            return
        self.headers = {}  # names in lower case
        self.parts: list[bytes | bytearray] = []
