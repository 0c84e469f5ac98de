"""What the script's thread wants to be called later, and how it waits, while it serves connections itself."""

from __future__ import annotations

from time import perf_counter
from typing import Any, cast

import pytest

from mldeploy_jupyter.serving.http.direct_poll import SPINS_LEFT_OUT, DirectPoll


def ask_for(poll: DirectPoll, callback: Any, *delays: float) -> float:
    """As the script's thread; returns a time before they begin."""
    now = perf_counter()
    poll.answer(lambda: [poll.call_later(delay, callback, delay) for delay in delays] and None)
    return now


def test_what_is_due_is_called_once_and_in_order() -> None:
    poll, called = DirectPoll(cast(Any, None)), list[float]()
    began = ask_for(poll, called.append, 3000.0, 1000.0, 2000.0)
    poll.call_due(began)
    assert not called
    poll.run_due(began + 2500)
    assert called == [1000, 2000]
    poll.call_due(began + 2500)
    poll.call_due(began + 3500)
    poll.call_due(began + 9000)
    assert called == [1000, 2000, 3000]


def test_what_asks_for_another_call_gets_it_when_that_is_due() -> None:
    poll, called = DirectPoll(cast(Any, None)), list[float]()

    def again(delay: float) -> None:
        called.append(delay)
        poll.call_later(delay + 1000, again, delay + 1000)

    began = ask_for(poll, again, 1000.0)
    poll.call_due(began + 1500)
    assert called == [1000]
    poll.call_due(began + 2500)
    assert called == [1000, 2000]


def test_what_a_signal_handler_interrupts_is_called_again() -> None:
    poll, called = DirectPoll(cast(Any, None)), list[float]()

    def interrupted_once(delay: float) -> None:
        called.append(delay)
        if len(called) == 1:
            raise KeyboardInterrupt

    began = ask_for(poll, interrupted_once, 1000.0, 2000.0)
    with pytest.raises(KeyboardInterrupt):
        poll.call_due(began + 5000)
    poll.call_due(began + 5000)
    poll.call_due(began + 5000)
    assert called == [1000, 1000, 2000]


class Epoll:
    """Has an event at once for the looks whose numbers are in `found`, and for every one that sleeps."""

    def __init__(self, *found: int) -> None:
        self.found = found
        self.looks: list[int] = []  # the timeouts that it was asked with

    def poll(self, timeout: int) -> list[tuple[int, int]]:
        self.looks.append(timeout)
        return [(-2, 0)] if timeout < 0 or len(self.looks) in self.found else []


def test_a_wait_sleeps_only_after_it_has_looked_again_and_again() -> None:
    poll = DirectPoll(cast(Any, None))
    poll._epoll = epoll = Epoll(2)
    poll.wait(block=True)
    assert epoll.looks == [0, 0]
    poll._epoll = epoll = Epoll(1)
    poll.wait(block=True)
    assert epoll.looks == [0]


def test_after_looking_in_vain_the_next_waits_sleep_at_once() -> None:
    poll = DirectPoll(cast(Any, None))
    poll._epoll = epoll = Epoll()
    for _ in range(2):
        epoll.looks.clear()
        poll.wait(block=True)
        assert epoll.looks[-1] == -1 and epoll.looks.count(0) == len(epoll.looks) - 1 > 1
        epoll.looks.clear()
        for _ in range(SPINS_LEFT_OUT):
            poll.wait(block=True)
        assert epoll.looks == [0, -1] * SPINS_LEFT_OUT


def test_a_wait_that_must_not_block_looks_once() -> None:
    poll = DirectPoll(cast(Any, None))
    poll._epoll = epoll = Epoll()
    poll.wait(block=False)
    assert epoll.looks == [0]
