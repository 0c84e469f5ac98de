"""The requests and subscriptions of a view, as plain data: the Python side of `labextension/src/protocol.ts`.

`handle` answers one request, `Subscriptions` tells views what changes. Both are served over a notebook's comm and over
HTTP, so nothing here knows a front end, and every parameter is checked as untrusted input. A view holds
nothing of a deployment: what it is told was read from the journal, the store and the service a moment before.

Imports `api` and the layers below it.
"""

from __future__ import annotations

from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.failures import describe_error
from mldeploy_jupyter.panel.requests import REQUESTS, handle
from mldeploy_jupyter.panel.watching.subscriptions import TOPICS, Subscription, Subscriptions

__all__ = [
    "REQUESTS",
    "TOPICS",
    "PanelContext",
    "Subscription",
    "Subscriptions",
    "describe_error",
    "handle",
]
