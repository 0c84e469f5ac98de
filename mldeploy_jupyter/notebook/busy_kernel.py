"""Messages of a page that arrive while a cell runs.

ipykernel handles them in different ways. Until 6 they wait for the end of the cell. From 7.0 on JupyterLab sends them
to a subshell, a thread of the kernel; but from 7.4 on ipykernel sends them on to the shell that last used the comm,
which is that of the running cell. Front ends without subshells, such as VS Code, send them to that shell themselves.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

COMM_MESSAGES = ("comm_msg", "comm_close")

WIDGET_TARGET = "jupyter.widget"
CONTROL_TARGET = "jupyter.widget.control"  # asked by a page that loads, for the states of all widgets
WIDGET_PROTOCOL = "2.1.0"  # of ipywidgets 8; not asked for, because its import takes 50 ms
STATIC = Path(__file__).with_name("static")


class EarlyConnector:
    """The connector's comm, opened before ipywidgets is imported: the page loads the panel's module meanwhile.

    It behaves as the `PanelWidget` that takes its comm over, once the kernel is idle. What the page sends is kept until
    there is a `connection`: threads that answer must not import what this one is importing.
    """

    def __init__(self, panel_id: str) -> None:
        """Raises `ImportError` where anywidget is not installed, `OSError` where the panel was not built."""
        self.panel_id = panel_id
        self._waiting: list[Any] = []
        self._connection: Any = None
        self._lock = threading.Lock()
        self.comm = make_comm({"state": connector_state(panel_id), "buffer_paths": []})
        self.comm.on_msg(self._receive)

    @property
    def model_id(self) -> str:
        return str(self.comm.comm_id)

    @property
    def connection(self) -> Any:
        return self._connection

    @connection.setter
    def connection(self, connection: Any) -> None:
        with self._lock:
            self._connection = connection
            for content in self._waiting:
                connection.receive(content)

    def send(self, content: Any) -> None:
        self.comm.send({"method": "custom", "content": content})

    def receive(self, content: Any) -> None:
        """Takes a message of a page, in whatever thread the kernel delivers it."""
        with self._lock:
            if self._connection is None:
                self._waiting.append(content)
                return
        self._connection.receive(content)

    def close(self) -> None:
        self.comm.close()

    def _receive(self, message: Any) -> None:
        data = message["content"]["data"]
        if data.get("method") == "custom":
            self.receive(data.get("content"))
        elif data.get("method") == "request_state":
            state = connector_state(self.panel_id)
            self.comm.send({"method": "update", "state": state, "buffer_paths": []})


def connector_state(panel_id: str) -> dict[str, Any]:
    """The state of a new `PanelWidget` without a service, as anywidget's front end reads it; without a layout.

    Raises `ImportError` and `OSError`.
    """
    from importlib.metadata import version

    major, minor, *_ = version("anywidget").split(".")
    module = {"module": "anywidget", "module_version": f"~{major}.{minor}.*"}
    return {
        **{f"_{part}_{name}": value for part in ("model", "view") for name, value in module.items()},
        "_model_name": "AnyModel",
        "_view_name": "AnyView",
        "_view_count": None,
        "_dom_classes": [],
        "tabbable": None,
        "tooltip": None,
        "_anywidget_id": "mldeploy_jupyter.notebook.panel_widget.PanelWidget",
        "_esm": (STATIC / "panel.js").read_text("utf-8"),
        "_css": (STATIC / "panel.css").read_text("utf-8"),
        **dict.fromkeys(("service", "workspace", "deployment", "form", "output", "latency", "timeline"), ""),
        "panel_id": panel_id,
    }


def make_comm(data: dict[str, Any]) -> Any:
    """An open comm of a widget, as ipywidgets makes it; one that belongs to no cell where there is such a thing."""
    unbound = make_unbound_comm(WIDGET_TARGET, data)
    if unbound is not None:
        return unbound
    from comm import create_comm

    return create_comm(target_name=WIDGET_TARGET, data=data, metadata={"version": WIDGET_PROTOCOL})


def make_unbound_comm(target: str, data: dict[str, Any]) -> Any:
    """An open comm that belongs to no cell, where ipykernel would bind it to the running one. None elsewhere.

    A message without a parent request binds the comm to no shell, so the page's messages stay on the subshell that the
    page chose. Nothing else depends on the parent of these messages: no output of theirs is shown in a cell.
    """
    try:
        import ipykernel
        from ipykernel.comm.comm import BaseComm
        from ipykernel.kernelbase import Kernel
    except ImportError:
        return None
    if ipykernel.version_info[:2] < (7, 4) or not Kernel.initialized():  # type: ignore[attr-defined]
        return None

    class Parentless(threading.local):
        """The part of the kernel that a comm uses, outside of any request except one for the widget's state.

        A page that loads knows the state by its parent. Only the header is told, so it binds nothing.
        """

        def __init__(self, kernel: Any) -> None:
            self.answered: dict[str, Any] = {}
            self.session, self.iopub_socket = kernel.session, kernel.iopub_socket

        def get_parent(self, channel: str | None = None) -> dict[str, Any]:
            return self.answered

    class UnboundComm(BaseComm):
        kernel: Any = Parentless(Kernel.instance())

        def handle_msg(self, msg: Any) -> None:
            data = msg["content"]["data"]
            asks = isinstance(data, dict) and data.get("method") == "request_state"
            self.kernel.answered = msg["header"] if asks else {}
            try:
                super().handle_msg(msg)
            finally:
                self.kernel.answered = {}

    make: Any = UnboundComm
    return make(target_name=target, data=data, metadata={"version": WIDGET_PROTOCOL})


@contextmanager
def states_by_comm() -> Iterator[None]:
    """While this lasts, a page that loads asks every comm for its state, and not ipywidgets for those of all widgets.

    ipywidgets would leave out the comm of an `EarlyConnector`, and the page would have no panels.
    """
    from comm import get_comm_manager
    from ipywidgets import Widget

    targets = get_comm_manager().targets
    known = targets.pop(CONTROL_TARGET, None)
    try:
        yield
    finally:
        targets[CONTROL_TARGET] = known or Widget.handle_control_comm_opened


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
