from __future__ import annotations

import socket
import struct
import sys
from time import monotonic

import pytest

from mldeploy_jupyter.latency.generator.receive_clock import (
    NOTES_BYTES,
    ReceiveClock,
    find_stamp,
    request_stamps,
)
from tests.polling import wait_until


class Clocks:
    """A wall clock that is a thousand seconds ahead, until somebody sets it."""

    def __init__(self) -> None:
        self.steady, self.ahead = 100.0, 1000.0
        self.pauses: list[float] = []  # between two readings
        self.clock = ReceiveClock(lambda: self.steady, self.read_wall)

    def read_wall(self) -> float:
        self.steady += self.pauses.pop(0) if self.pauses else 0.0
        return self.steady + self.ahead

    def convert(self, stamp: float | None) -> float:
        return self.clock.convert(stamp)


def test_a_stamp_becomes_a_moment_of_the_monotonic_clock() -> None:
    clocks = Clocks()
    clocks.steady = 100.5
    assert clocks.convert(1100.48) == pytest.approx(100.48)
    assert clocks.convert(None) == 100.5


def test_a_stamp_that_is_still_to_come_is_not_believed() -> None:
    assert Clocks().convert(1100.1) == 100.0


@pytest.mark.parametrize("step", [-3600.0, -0.002, 0.002, 3600.0])
def test_a_wall_clock_that_was_set_meanwhile_is_not_believed_once(step: float) -> None:
    clocks = Clocks()
    clocks.steady, clocks.ahead = 100.5, 1000.0 + step
    assert clocks.convert(1100.49) == 100.5
    clocks.steady = 100.6
    assert clocks.convert(1100.59 + step) == pytest.approx(100.59)


def test_a_wall_clock_that_is_slewed_is_followed() -> None:
    clocks = Clocks()
    for _ in range(100):
        clocks.steady += 0.5
        clocks.ahead += 0.5 * 500e-6
        assert clocks.convert(clocks.steady - 0.01 + clocks.ahead) == pytest.approx(clocks.steady - 0.01)


def test_clocks_are_read_again_when_something_came_in_between() -> None:
    clocks = Clocks()
    clocks.pauses = [0.005]
    assert clocks.convert(1100.001) == pytest.approx(100.001)
    clocks.pauses = [0.005] * 3
    assert clocks.convert(1100.002) == pytest.approx(100.02)  # now: they were never read together


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's stamps are Linux's")
def test_the_kernel_says_when_bytes_arrived() -> None:
    clock = ReceiveClock()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        with accepted:
            assert request_stamps(client)
            sent = arrived_before = 0.0

            def exchange() -> float | None:
                nonlocal sent, arrived_before
                sent = monotonic()
                accepted.send(b"x")
                arrived_before = monotonic()
                _, notes, _, _ = client.recvmsg(1, NOTES_BYTES)
                return find_stamp(notes)

            # The kernel begins to take stamps a moment after it was asked, on a busy machine a longer one.
            stamp = wait_until(exchange, what="the first stamp")
            assert sent - 1e-5 <= clock.convert(stamp) <= arrived_before + 1e-3


def test_other_notes_are_no_stamps(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_stamp([]) is None
    assert find_stamp([(socket.SOL_SOCKET, 1, struct.pack("@ll", 1, 2)), (socket.SOL_SOCKET, 35, b"short")]) is None
    monkeypatch.setattr("mldeploy_jupyter.latency.generator.receive_clock.sys.platform", "darwin")
    with socket.socket() as unconnected:
        assert not request_stamps(unconnected)
