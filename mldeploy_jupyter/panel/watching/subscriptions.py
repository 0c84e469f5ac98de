"""Subscriptions: one thread watches journals, services and logs for all views of a process."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mldeploy_jupyter.core.patience import patience
from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.failures import bad_request
from mldeploy_jupyter.panel.parameters import (
    DEPLOYMENT,
    LATENCY_RUN,
    SERVICE,
    Parameters,
    check_parameters,
    integer,
    number,
)
from mldeploy_jupyter.panel.watching.deployment_watch import DeploymentWatch
from mldeploy_jupyter.panel.watching.latency_watch import LatencyWatch
from mldeploy_jupyter.panel.watching.overview_watch import OverviewWatch
from mldeploy_jupyter.panel.watching.service_log_watch import ServiceLogWatch
from mldeploy_jupyter.panel.watching.service_watch import ServiceWatch
from mldeploy_jupyter.panel.watching.watch import Send, Tools, View, Watch


@dataclass(frozen=True)
class Topic:
    """What a topic takes, and what watches for its views. The views of one service or deployment share a watch."""

    parameters: Parameters
    make: Callable[[PanelContext, dict[str, Any], Tools], Watch]
    subject: str  # the parameter that names what is watched; "" for all there is


TOPICS: dict[str, Topic] = {
    "deployment": Topic({**DEPLOYMENT, "after": integer()}, DeploymentWatch, "deployment"),
    "service": Topic(SERVICE, ServiceWatch, "service"),
    "serviceLog": Topic({**SERVICE, "after": integer()}, ServiceLogWatch, "service"),
    "latency": Topic(LATENCY_RUN, LatencyWatch, "run"),
    "overview": Topic({"pollSeconds": number(0, 3600)}, OverviewWatch, ""),
}


class Subscription:
    """One view's subscription. Calling it ends it; no event is sent after the call has returned."""

    def __init__(self, end: Callable[[], None], view: View, hurry: Callable[[], None]) -> None:
        self._end, self._view, self._hurry = end, view, hurry

    def __call__(self) -> None:
        self._end()

    def set_visible(self, visible: bool) -> None:
        """Tells whether the view is visible. Hidden views are polled less often."""
        self._view.visible = visible
        if visible:
            self._hurry()


class Subscriptions:
    """What the views of one process have subscribed to.

    `clock` is a monotonic clock in seconds and `stat` is `os.stat`. `start` runs the loop of the watching thread, and
    `ask` runs what may have to wait for a store or a service; each in a thread of its own by default. `poll_seconds`
    are those between two checks of all workspaces. Threads and files end with the last subscription. After an error
    while watching, such as an unavailable store, watching is tried again; a view whose `send` raises is dropped.
    """

    def __init__(
        self,
        context: PanelContext,
        *,
        clock: Callable[[], float] = time.monotonic,
        stat: Callable[[Any], os.stat_result] = os.stat,
        start: Callable[[Callable[[], None]], Any] | None = None,
        ask: Callable[[Callable[[], None]], Any] | None = None,
        topics: Mapping[str, Topic] = TOPICS,
        poll_seconds: float = 0.5,
    ) -> None:
        self._context, self._clock, self._topics = context, clock, topics
        self._start = start or _in_thread("mldeploy-panel")
        self._tools = Tools(clock, stat, ask or _in_thread("mldeploy-panel-ask"), self._wake, poll_seconds)
        self._lock = threading.RLock()  # held while a watch is looked at, so that nothing is sent after the end
        self._watches: dict[tuple[str, str, str], Watch] = {}
        self._woken = threading.Event()
        self._running = False

    def subscribe(
        self, topic: str, params: Any, send: Send, is_full: Callable[[], bool] = lambda: False
    ) -> Subscription:
        """Sends what is, then what changes, to `send`, in the watching thread; until the returned object is called.

        While `is_full` returns True, lines of logs wait.

        Raises `UserErrorException` for parameters that cannot be used, and the error of a service, deployment or
        workspace that is not there or cannot be read.
        """
        found = self._topics.get(topic) if isinstance(topic, str) else None
        if found is None:
            raise bad_request("nothing can be subscribed to", f"there is no topic {str(topic)[:60]!r}")
        values = check_parameters(topic, found.parameters, params)
        key = (topic, "", "")
        if found.subject:
            key = (topic, self._context.folder(values.get("workspace", "")).id, values[found.subject])
        with self._lock:
            known = self._watches.get(key)
        watch = known or found.make(self._context, values, self._tools)  # may take a while, so without the lock
        view = View(send, values.get("after"), is_full, values.get("pollSeconds", 0.0))
        with self._lock:
            watch = self._watches.setdefault(key, watch)
            watch.add(view)
            if not self._running:
                self._running = True
                self._start(self._run)
        self._wake()

        def hurry() -> None:
            watch.hurry()
            self._wake()

        return Subscription(lambda: self._end(key, view), view, hurry)

    def look(self) -> float | None:
        """Looks at everything that is due. Returns the seconds until something is due again, None for never."""
        with self._lock:
            for key, watch in list(self._watches.items()):
                if watch.due <= self._clock():  # in this order: what was answered is due at the moment it is asked
                    with patience(0.0):  # one watch must not keep the others waiting
                        watch.look()
                for view in [view for view in watch.views if view.is_broken]:
                    self._end(key, view)
            due = [watch.due for watch in self._watches.values()]
        earliest = min(due, default=float("inf"))
        return None if earliest == float("inf") else max(0.0, earliest - self._clock())

    @property
    def count(self) -> int:
        """How many views are subscribed."""
        with self._lock:
            return sum(len(watch.views) for watch in self._watches.values())

    def close(self) -> None:
        """Ends every subscription."""
        with self._lock:
            for key, watch in list(self._watches.items()):
                for view in list(watch.views):
                    self._end(key, view)

    def _end(self, key: tuple[str, str, str], view: View) -> None:
        with self._lock:
            watch = self._watches.get(key)
            if watch is None or view not in watch.views:
                return
            watch.views.remove(view)
            if not watch.views:
                del self._watches[key]
                watch.close()
        self._wake()

    def _wake(self) -> None:
        self._woken.set()

    def _run(self) -> None:
        while True:
            self._woken.clear()
            pause = self.look()
            with self._lock:
                if not self._watches:
                    self._running = False
                    return
            self._woken.wait(pause)


def _in_thread(name: str) -> Callable[[Callable[[], None]], None]:
    def start(run: Callable[[], None]) -> None:
        threading.Thread(target=run, name=name, daemon=True).start()

    return start
