"""Which ports of this machine are free, beside listeners of IPv6."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from mldeploy_jupyter.targets.ports import find_free_port, find_port_holder


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    try:
        made = socket.socket(socket.AF_INET6)
        made.bind(("::1", 0))
        made.close()
    except OSError:
        pytest.skip("needs IPv6")
    with closing(socket.socket(socket.AF_INET6)) as made:
        yield made


def test_a_port_that_another_has_on_the_loopback_of_ipv6_only_is_free(listener: socket.socket) -> None:
    """As a container that publishes it on `[::1]`: services listen on 127.0.0.1, which their addresses name."""
    listener.bind(("::1", 0))
    listener.listen()
    assert find_port_holder(listener.getsockname()[1]) is None


def test_a_listener_on_every_address_of_both_kinds_is_named(listener: socket.socket) -> None:
    """As Docker's own proxy where the host has IPv6."""
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.bind(("::", 0))
    listener.listen()
    found = find_port_holder(listener.getsockname()[1])
    assert found is not None and found["holder"]["pid"] == os.getpid()


def test_a_free_port_is_free() -> None:
    assert find_port_holder(find_free_port()) is None
