"""Messages of a page that arrive while a cell runs.

ipykernel handles them in different ways. Until 6 they wait for the end of the cell. From 7.0 on JupyterLab sends them
to a subshell, a thread of the kernel; but from 7.4 on ipykernel sends them on to the shell that last used the comm,
which is that of the running cell. Front ends without subshells, such as VS Code, send them to that shell themselves.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

COMM_MESSAGES = ("comm_msg", "comm_close")


def make_unbound_comm(target: str, data: dict[str, Any]) -> Any:
    """An open comm that belongs to no cell, where ipykernel would bind it to the running one. None elsewhere.

    A message without a parent request binds the comm to no shell, so the page's messages stay on the subshell that the
    page chose. Nothing else depends on the parent of these messages: no output of theirs is shown in a cell.
    """
    try:
        import ipykernel
        from ipykernel.comm.comm import BaseComm
        from ipykernel.kernelbase import Kernel
        from ipywidgets import __protocol_version__
    except ImportError:
        return None
    if ipykernel.version_info[:2] < (7, 4) or not Kernel.initialized():  # type: ignore[attr-defined]
        return None

    class Parentless:
        """The kernel, as far as a comm uses it, outside of any request."""

        def __init__(self, kernel: Any) -> None:
            self.session, self.iopub_socket = kernel.session, kernel.iopub_socket

        def get_parent(self, channel: str | None = None) -> dict[str, Any]:
            return {}

    class UnboundComm(BaseComm):
        kernel: Any = Parentless(Kernel.instance())

    make: Any = UnboundComm
    return make(target_name=target, data=data, metadata={"version": __protocol_version__})


def take_queued_messages(kernel: Any, take: Callable[[str, Any], bool]) -> None:
    """Handles comm messages that wait for the running cell to end, in the thread of the cell.

    Those are all messages to ipykernel 6, and to later releases those of a front end that asks for no subshell. `take`
    gets the id of a comm and the content's data; it returns whether they were its own. All other messages keep their
    order and wait on. Does nothing where the kernel has no such queue.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    # An interrupt must not come between taking a message from the queue and putting it back.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        if getattr(kernel, "_supports_kernel_subshells", False):
            _take_from_main_shell(kernel, take)
        else:
            _take_from_queue(kernel, take)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _take_from_queue(kernel: Any, take: Callable[[str, Any], bool]) -> None:
    """Of ipykernel 6: an item of its queue is (number, dispatch, (frames,))."""
    import zmq

    stream, queue = getattr(kernel, "shell_stream", None), getattr(kernel, "msg_queue", None)
    if stream is None or queue is None:
        return
    stream.flush(zmq.POLLIN)  # what has arrived goes to the queue; nothing is handled yet
    for _ in range(queue.qsize()):
        item = queue.get_nowait()
        if not (item[-1] and _is_taken(kernel.session, item[-1][-1], take)):
            queue.put_nowait(item)


def _take_from_main_shell(kernel: Any, take: Callable[[str, Any], bool]) -> None:
    """Of ipykernel 7: a thread passes on to a socket what is meant for the main shell, which is that of the cell."""
    import zmq

    try:
        socket = kernel.shell_channel_thread.manager.get_shell_channel_to_subshell_pair(None).to_socket
        main, schedule = kernel.shell_main, kernel.io_loop.add_callback
    except AttributeError:  # a later release
        return
    while True:
        try:
            frames = socket.recv_multipart(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return
        if not _is_taken(kernel.session, frames, take):
            schedule(main, None, frames)  # once the cell has ended, before what arrives later


def _is_taken(session: Any, frames: Any, take: Callable[[str, Any], bool]) -> bool:
    """Whether it is a comm message that `take` took."""
    try:
        _, parts = session.feed_identities(frames, copy=False)
        message = session.deserialize(parts, content=False, copy=False)  # leaves the signature unused
        if message["header"]["msg_type"] not in COMM_MESSAGES:
            return False
        content = session.unpack(message["content"])
        return take(content["comm_id"], content.get("data"))
    except Exception:  # not a message, or one that the kernel itself has to refuse
        return False
