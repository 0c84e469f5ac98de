"""Messages and file descriptors over a channel."""

from __future__ import annotations

import os
import socket
import threading

from mldeploy_jupyter.serving.ipc.channel import Channel


def test_a_channel_carries_messages_in_order_with_their_descriptors() -> None:
    left, right = socket.socketpair()
    a, b = Channel(left), Channel(right)
    read, write = os.pipe()
    sender = threading.Thread(target=lambda: [a.send({"n": n}) for n in range(3)] and a.send({"n": 3}, [write]))
    sender.start()
    assert [b.receive() for _ in range(3)] == [({"n": n}, []) for n in range(3)]
    message, fds = b.receive() or ({}, [])
    sender.join()
    assert message == {"n": 3} and len(fds) == 1 and fds[0] != write
    assert not os.get_inheritable(fds[0])
    os.write(fds[0], b"through")
    assert os.read(read, 10) == b"through"
    for fd in (read, write, *fds):
        os.close(fd)
    a.close()
    assert b.receive() is None
    b.close()


def test_a_channel_carries_a_message_larger_than_its_buffers() -> None:
    left, right = socket.socketpair()
    a, b = Channel(left), Channel(right)
    text = "ü" * 1_000_000
    sender = threading.Thread(target=a.send, args=({"text": text},))
    sender.start()
    assert b.receive() == ({"text": text}, [])
    sender.join()
    a.close()
    b.close()
