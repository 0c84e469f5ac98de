"""Which requests belong to a turn."""

from __future__ import annotations

import asyncio
import itertools
from time import monotonic

from mldeploy_jupyter.latency.arrivals import Block
from mldeploy_jupyter.latency.generator.turns import OpenTurn


class Sent:
    """Counts what a turn sends."""

    def __init__(self) -> None:
        self.count = 0

    def start_request(self, planned: float, block: int, step: int) -> bool:
        self.count += 1
        return True

    def count_lag(self, seconds: float, block: int) -> bool:
        return True

    def count_sent(self) -> None:
        pass


def test_a_request_that_is_due_at_the_end_belongs_to_the_next_turn() -> None:
    """Also where the sum of a block's begin and the request's moment is rounded to less than the turn's end."""

    async def main() -> list[int]:
        counts = []
        for number in range(300):
            sent = Sent()
            due = (at / 100 for at in itertools.count(20))
            block = Block(number=0, service=0, step=0, begin=0.2, seconds=0.1)
            turn = OpenTurn(sent, [block], monotonic() - 60 - number / 7, due, next(due))
            turn.start()
            await turn.over
            counts.append(sent.count)
        return counts

    assert set(asyncio.run(main())) == {10}
