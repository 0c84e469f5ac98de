"""Listening sockets, and who holds a port."""

from __future__ import annotations

import os

import pytest

from mldeploy_jupyter.serving.system.listening_socket import open_listener
from mldeploy_jupyter.serving.system.port_holder import find_port_holder


def test_the_holder_of_a_port_is_found_and_a_free_one_has_none() -> None:
    listener = open_listener("127.0.0.1", 0)
    port = listener.getsockname()[1]
    assert (find_port_holder(port) or {})["pid"] == os.getpid()
    with pytest.raises(OSError, match="in use"):
        open_listener("127.0.0.1", port)
    listener.close()
    assert find_port_holder(port) is None
    open_listener("127.0.0.1", port).close()
