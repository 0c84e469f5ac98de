"""One service's turn under load: an open loop, which sends when a request is due, or a closed one with users."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from time import monotonic
from typing import Protocol

from mldeploy_jupyter.latency.arrivals import Block
from mldeploy_jupyter.latency.generator.alarm import Alarm
from mldeploy_jupyter.latency.recording import Outcome

BURST = 32  # requests that are sent before the loop gets its turn again, where many are overdue

ROUNDING = 1e-6  # seconds; a request that is due at a turn's end belongs to the next one, however the sums are rounded

REFUSED_PAUSE = 0.1  # seconds that a user waits who got no connection


class Sender(Protocol):
    """What a turn needs of the load."""

    def start_request(self, planned: float, block: int, step: int) -> bool:
        """Sends a request to the service whose turn it is. False when the turn has ended: a limit, or its death."""

    def count_lag(self, seconds: float, block: int) -> bool:
        """Notes how late a request is sent. False when everything stood still, and the run ends before that."""

    def count_sent(self) -> None:
        """What was due has been sent."""


class Turn:
    """The blocks of one turn, one directly after the other, from the moment `begin`; `over` is done at its end.

    The requests that are under way then are waited for by the load.
    """

    def __init__(self, sender: Sender, blocks: list[Block], begin: float) -> None:
        self._sender, self.blocks = sender, blocks
        self.begin = begin
        self.end = begin + sum(block.seconds for block in blocks)
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self) -> None:
        raise NotImplementedError

    def ended(self, outcome: Outcome) -> None:
        """A request of the turn has ended."""

    @property
    def next_due(self) -> float:
        """When the next request is due, on the monotonic clock; infinity where answers decide."""
        return math.inf

    def finish(self) -> None:
        if not self.over.done():
            self.over.set_result(None)

    def _send(self, planned: float, block: Block) -> bool:
        return self._sender.start_request(planned, block.number, block.step)

    def find_block(self, moment: float) -> Block:
        """The block that the moment is in; the first one before them, and the last one after them."""
        at = int((moment - self.begin) / self.blocks[0].seconds)
        return self.blocks[min(max(at, 0), len(self.blocks) - 1)]


class OpenTurn(Turn):
    """Sends requests at the moments of `due`, in seconds of the service's own time, which continues in its next turn.

    `due` also yields the first moment after this turn; `left` keeps it for the next.
    """

    def __init__(self, sender: Sender, blocks: list[Block], begin: float, due: Iterator[float], left: float) -> None:
        super().__init__(sender, blocks, begin)
        self._due = due
        self.left = left
        self._offset = begin - blocks[0].begin
        self._alarm = Alarm(asyncio.get_running_loop(), self._ring)

    def start(self) -> None:
        self._set()

    def finish(self) -> None:
        super().finish()
        self._alarm.close()

    @property
    def next_due(self) -> float:
        return math.inf if self.over.done() else min(self.left + self._offset, self.end)

    def _set(self) -> None:
        self._alarm.set(self.next_due)

    def _ring(self) -> None:
        for _ in range(BURST):
            planned, now = self.left + self._offset, monotonic()
            if planned > self.end - ROUNDING:
                if now >= self.end:
                    self.finish()
                    return
                break
            if planned > now:
                break
            block = self.find_block(planned)
            if not self._sender.count_lag(now - planned, block.number) or not self._send(planned, block):
                self.finish()
                return
            self.left = next(self._due)
        self._set()
        self._sender.count_sent()


class ClosedTurn(Turn):
    """`users` who each send, wait for the answer, and send again."""

    def __init__(self, sender: Sender, blocks: list[Block], begin: float, users: int) -> None:
        super().__init__(sender, blocks, begin)
        self._loop = asyncio.get_running_loop()
        self._users = users

    def start(self) -> None:
        self._loop.call_later(max(0.0, self.end - monotonic()), self.finish)
        for _ in range(self._users):
            self._next()

    def ended(self, outcome: Outcome) -> None:
        if self.over.done():
            return
        if outcome is Outcome.NO_CONNECTION:
            self._loop.call_later(REFUSED_PAUSE, self._next)
        else:
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        now = monotonic()
        if self.over.done():
            return
        if now >= self.end or not self._send(now, self.find_block(now)):
            self.finish()
