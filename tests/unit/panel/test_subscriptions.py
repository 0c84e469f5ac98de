"""Subscriptions: what is sent first, what when something changes, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.panel import Subscriptions

from .conftest import Pass, Site


def lines_of(events: list[dict[str, Any]]) -> list[str]:
    return [line["text"] for event in events for line in event.get("lines", [])]


def states_of(events: list[dict[str, Any]]) -> list[str]:
    return [event["timeline"]["state"] for event in events if "timeline" in event]


def test_a_view_gets_what_is_and_then_what_changes(site: Site, subscriptions: Subscriptions, pass_time: Pass) -> None:
    journal = site.begin()
    journal.write("check", "started")
    journal.write("check", "log", "one")
    events: list[dict[str, Any]] = []
    subscriptions.subscribe("deployment", {"deployment": "d1"}, events.append)
    pass_time(0)
    assert states_of(events) == ["deploying"] and lines_of(events) == ["one"]
    pass_time(1)
    count = len(events)
    assert count <= 3
    journal.write("check", "log", "two")
    pass_time(0.1)
    assert lines_of(events) == ["one", "two"]
    site.end(journal, "live")
    pass_time(0.11)
    assert states_of(events)[-1] == "live"
    assert subscriptions.look() is None  # an ended deployment is not looked at any more


def test_wrong_parameters_and_unknown_deployments_are_refused(subscriptions: Subscriptions) -> None:
    for topic, params in (("nope", {}), ("deployment", {}), ("deployment", {"deployment": "x", "after": "1"})):
        with pytest.raises(MldeployError):
            subscriptions.subscribe(topic, params, print)
    with pytest.raises(MldeployError, match="there is no deployment x"):
        subscriptions.subscribe("deployment", {"deployment": "x"}, print)
    assert subscriptions.count == 0
