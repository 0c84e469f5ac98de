from __future__ import annotations

from math import inf

from mldeploy_jupyter.latency.generator.housekeeping import LOOKS, MOST_LOOKS, ROOM_SECONDS, Housekeeping


class Kept:
    """Housekeeping at second 100, and how often it was done."""

    def __init__(self, looks: int, next_due: float = 100.0) -> None:
        self.count = 0
        self.keeping = Housekeeping(self._work, lambda: 100.0)
        for _ in range(looks):
            self.keeping.looked(next_due)

    def _work(self) -> None:
        self.count += 1


def test_it_is_done_every_so_many_looks_where_no_request_is_due() -> None:
    assert Kept(LOOKS - 1, inf).count == 0
    assert Kept(LOOKS, inf).count == 1
    assert Kept(3 * LOOKS, 101.0).count == 3


def test_it_waits_while_a_request_is_due_soon_and_is_done_in_the_next_pause() -> None:
    kept = Kept(LOOKS, 100.0 + ROOM_SECONDS / 2)
    assert kept.count == 0 and kept.keeping.is_due
    kept.keeping.sent(110.0)
    kept.keeping.idle(100.0 + ROOM_SECONDS / 2)
    assert kept.count == 0
    kept.keeping.idle(110.0)
    assert kept.count == 1 and not kept.keeping.is_due


def test_without_a_pause_it_is_done_when_what_was_due_has_been_sent() -> None:
    kept = Kept(MOST_LOOKS, 100.0)
    assert kept.count == 0
    kept.keeping.sent(99.0)  # the next one is late already
    assert kept.count == 0
    kept.keeping.sent(100.0001)
    assert kept.count == 1
