"""The widget that carries panels over a comm. Imported when the first panel is shown; `anywidget` takes 0.1 s."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from mldeploy_jupyter.notebook.busy_kernel import EarlyConnector, make_unbound_comm
from mldeploy_jupyter.notebook.panel_connection import PanelConnection

STATIC = Path(__file__).with_name("static")


class PanelWidget(anywidget.AnyWidget):
    """Connects the panels of a page with the kernel. It holds ids and nothing else, so it may be closed at any time.

    Without a service it draws nothing itself: the page puts panels beside the outputs that name `panel_id`.
    """

    _esm = (STATIC / "panel.js").read_text("utf-8")
    _css = (STATIC / "panel.css").read_text("utf-8")

    panel_id = traitlets.Unicode().tag(sync=True)
    service = traitlets.Unicode().tag(sync=True)
    workspace = traitlets.Unicode().tag(sync=True)
    deployment = traitlets.Unicode().tag(sync=True)
    form = traitlets.Unicode().tag(sync=True)  # the kind of a form; "" for a service
    output = traitlets.Unicode().tag(sync=True)  # the display id of that form
    latency = traitlets.Unicode().tag(sync=True)  # the id of a latency run; "" for none
    timeline = traitlets.Unicode().tag(sync=True)  # JSON: the deployment as it began, until the kernel says more

    def __init__(self, early: EarlyConnector | None = None, **ids: str) -> None:
        """Opens a comm, or takes over that of `early` with its connection."""
        self._early = early
        self.connection: PanelConnection | None = early.connection if early is not None else None
        panel_id = early.panel_id if early is not None else os.urandom(8).hex()
        super().__init__(panel_id=panel_id, **ids)

    def __repr__(self) -> str:
        return f"PanelWidget({self.service!r})" if self.service else "PanelWidget()"

    def receive(self, content: Any) -> None:
        """Takes a message of a page, in whatever thread the kernel delivers it."""
        if self.connection is not None:
            self.connection.receive(content)

    def open(self) -> None:
        """Opens the comm; on ipykernel 7.4 and later so that messages of a page reach the kernel while a cell runs."""
        self.on_msg(lambda widget, content, buffers: self.receive(content))  # first: no message of a page is lost
        if self._early is not None:
            self.comm = self._early.comm
        elif self.comm is None:
            self.comm = make_unbound_comm("jupyter.widget", {"state": self.get_state(), "buffer_paths": []})
        super().open()
