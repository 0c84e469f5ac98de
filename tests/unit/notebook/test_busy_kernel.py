"""Messages that wait for the running cell: ours are handled, all others keep their order."""

from __future__ import annotations

import queue
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_client.session import Session

from mldeploy_jupyter.notebook.busy_kernel import take_queued_messages


class Stream:
    """The shell's stream: what has arrived goes to the kernel's queue when it is flushed."""

    def __init__(self, kernel: SimpleNamespace) -> None:
        self.kernel, self.arrived = kernel, list[Any]()

    def flush(self, flag: int) -> None:
        for frames in self.arrived:
            self.kernel.msg_queue.put_nowait((len(self.arrived), "dispatch", (frames,)))
        self.arrived.clear()


@pytest.fixture
def kernel() -> SimpleNamespace:
    """A kernel of ipykernel 6, as far as it matters here, with the real session that signs messages."""
    kernel = SimpleNamespace(session=Session(key=b"secret"), msg_queue=queue.Queue())
    kernel.shell_stream = Stream(kernel)
    return kernel


def frames(kernel: SimpleNamespace, kind: str, content: dict[str, Any]) -> list[Any]:
    import zmq

    other = Session(key=b"secret")
    return [zmq.Message(part) for part in other.serialize(other.msg(kind, content), ident=b"page")]


def comm(kernel: SimpleNamespace, id: str, data: Any) -> list[Any]:
    return frames(kernel, "comm_msg", {"comm_id": id, "data": data})


def test_own_messages_are_taken_and_others_keep_their_order(kernel: SimpleNamespace) -> None:
    taken: list[tuple[str, Any]] = []

    def take(comm_id: str, data: Any) -> bool:
        if comm_id == "ours":
            taken.append((comm_id, data))
        return comm_id == "ours"

    first = frames(kernel, "execute_request", {"code": "1"})
    foreign = comm(kernel, "foreign", {"x": 1})
    last = frames(kernel, "execute_request", {"code": "2"})
    kernel.msg_queue.put_nowait((0, "dispatch", (first,)))
    kernel.shell_stream.arrived = [comm(kernel, "ours", {"method": "custom"}), foreign, last]
    take_queued_messages(kernel, take)
    assert taken == [("ours", {"method": "custom"})]
    left = [kernel.msg_queue.get_nowait()[2][0] for _ in range(kernel.msg_queue.qsize())]
    assert left == [first, foreign, last]
    # The kernel still accepts them: a signature may be used only once.
    for each in left:
        _, parts = kernel.session.feed_identities(each, copy=False)
        kernel.session.deserialize(parts, copy=False)


def test_what_is_no_message_stays_for_the_kernel(kernel: SimpleNamespace) -> None:
    items = [(0, "stop_aborting", ()), (1, "dispatch", ([b"garbage"],))]
    for item in items:
        kernel.msg_queue.put_nowait(item)
    take_queued_messages(kernel, lambda comm_id, data: True)
    assert [kernel.msg_queue.get_nowait() for _ in range(2)] == items


def test_a_message_that_is_not_signed_is_not_taken(kernel: SimpleNamespace) -> None:
    forged = Session(key=b"other")
    import zmq

    parts = forged.serialize(forged.msg("comm_msg", {"comm_id": "ours", "data": {}}), ident=b"page")
    kernel.shell_stream.arrived = [[zmq.Message(part) for part in parts]]
    take_queued_messages(kernel, lambda comm_id, data: pytest.fail("taken"))
    assert kernel.msg_queue.qsize() == 1


def test_kernels_without_such_a_queue_are_left_alone() -> None:
    take_queued_messages(SimpleNamespace(), lambda comm_id, data: True)
    take_queued_messages(SimpleNamespace(shell_stream=None, msg_queue=None), lambda comm_id, data: True)
