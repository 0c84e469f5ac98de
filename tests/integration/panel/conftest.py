"""A workspace with real services, asked through the panel as a view asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mldeploy_jupyter.panel import PanelContext, Subscriptions
from tests.integration.deployment.conftest import Site, site
from tests.polling import wait_until
from tests.unit.panel.protocol import CheckedRequests, check_event

__all__ = ["Panel", "panel", "site"]


class Panel(CheckedRequests):
    """A view's side of the panel: requests, and the events of its subscriptions."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.context = PanelContext(site.ws)
        self.subscriptions = Subscriptions(self.context)
        self.events: dict[str, list[dict[str, Any]]] = {}

    def watch(self, topic: str, **params: Any) -> list[dict[str, Any]]:
        """Subscribes, and returns the list that its events are added to."""
        events: list[dict[str, Any]] = []
        self.subscriptions.subscribe(topic, params, events.append)
        self.events.setdefault(topic, []).append(events)  # type: ignore[arg-type]
        return events

    def until_ended(self, id: str) -> dict[str, Any]:
        """The timeline of a deployment once it has ended, as its subscription tells."""
        events = self.watch("deployment", deployment=id)
        states = ("live", "failed", "cancelled", "interrupted")
        timelines = lambda: [event["timeline"] for event in events if "timeline" in event]  # noqa: E731
        return wait_until(lambda: next((each for each in timelines() if each["state"] in states), {}), 120)


@pytest.fixture
def panel(site: Site) -> Iterator[Panel]:
    panel = Panel(site)
    yield panel
    panel.subscriptions.close()
    for topic, subscribed in panel.events.items():
        for events in subscribed:
            for event in events:
                check_event(topic, event)
