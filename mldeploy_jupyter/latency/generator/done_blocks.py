"""The blocks that were measured, how late this process was in each, and which of them are left out."""

from __future__ import annotations

from mldeploy_jupyter.latency.generator.lag import LATE_SECONDS, Lateness, Watch, find_late_blocks
from mldeploy_jupyter.latency.generator.turns import Turn


class DoneBlocks:
    """`origin` is the moment from which the times of a run are counted."""

    def __init__(self, watch: Watch, services: int, origin: float) -> None:
        self._watch, self._services, self._origin = watch, services, origin
        self.listed: list[list[float]] = []  # as the last message has them (`messages.py`)
        self.failed: set[int] = set()  # those in which a request failed
        self._repeated = False

    def add(self, turn: Turn, stopped: float) -> float:
        """Notes those of a turn, which ended at `stopped` at the latest; for how many seconds there was load."""
        stopped = max(turn.begin, min(stopped, turn.end))
        at = turn.begin
        for block in turn.blocks:
            if at < stopped:
                seconds = min(block.seconds, stopped - at)
                late = self._watch.blocks.pop(block.number, Lateness())
                place = [block.number, block.service, block.step, round(at - self._origin, 6), round(seconds, 6)]
                self.listed.append([*place, round(late.share, 4), round(late.greatest * 1000, 3)])
            at += block.seconds
        return stopped - turn.begin

    def find_late(self) -> list[int]:
        """The numbers of those that are left out: none of a run that was sent as planned, or was late too often."""
        late = self._repeated or self._watch.lag.quantile(0.99) > LATE_SECONDS
        return find_late_blocks(self.listed, self._services, self.failed) if late else []

    def begin_repeating(self) -> None:
        """From here on some are measured again: their first ones stay left out, though the rest may be in time."""
        self._repeated = True
