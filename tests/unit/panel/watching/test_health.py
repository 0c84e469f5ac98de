"""Health: one question at a time, at an even pace, and what changed is recorded."""

from __future__ import annotations

from typing import Any

import pytest

from mldeploy_jupyter import deployment
from mldeploy_jupyter.core.records import ServiceRecord, utc_now
from mldeploy_jupyter.deployment import ServiceStatus, read_service_events
from mldeploy_jupyter.panel.watching.health import PAUSE_SECONDS, ROUND_SECONDS, Health, record_health
from tests.unit.panel.conftest import Clock, Site


class Services:
    """Services whose state a test sets, and how often each was asked."""

    def __init__(self, site: Site, count: int) -> None:
        self.records = [ServiceRecord(f"svc-{number}", revision=1, state="Live") for number in range(count)]
        self.states: dict[str, ServiceStatus] = {}
        self.asked: list[str] = []
        for record in self.records:
            (site.folder.services / record.name).mkdir(parents=True)

    def query(self, folder: Any, record: ServiceRecord) -> ServiceStatus:
        self.asked.append(record.name)
        return self.states.get(record.name, ServiceStatus("Live"))


@pytest.fixture
def services(site: Site, monkeypatch: pytest.MonkeyPatch) -> Services:
    found = Services(site, 20)
    monkeypatch.setattr(deployment, "query_status", found.query)
    return found


def test_each_is_asked_in_turn_at_an_even_pace(site: Site, services: Services, clock: Clock) -> None:
    health = Health(site.folder, clock)
    names = [record.name for record in services.records]
    clock.seconds += PAUSE_SECONDS
    for _ in range(40):
        assert health.is_due(clock.seconds, names, [])
        health.ask_next(services.records, [])
        assert not health.is_due(clock.seconds, names, [])
        clock.seconds += PAUSE_SECONDS
    assert services.asked == names * 2
    one = Health(site.folder, clock)
    clock.seconds += ROUND_SECONDS
    one.ask_next(services.records[:1], [])
    clock.seconds += ROUND_SECONDS - 0.1
    assert not one.is_due(clock.seconds, names[:1], [])
    assert not one.is_due(clock.seconds + 100, [], [])  # nothing runs


def test_what_changed_is_told_and_recorded(site: Site, services: Services, clock: Clock) -> None:
    health, record = Health(site.folder, clock), services.records[0]

    def ask(state: str, failure: dict[str, Any] | None = None, **details: Any) -> bool:
        clock.seconds += ROUND_SECONDS
        services.states[record.name] = ServiceStatus(state, failure=failure, details=details)
        return health.ask_next([record], [])

    assert not ask("Live") and health.state(record.name) == "Live"
    assert ask("Unhealthy", {"what": "its worker hangs"}) and not ask("Unhealthy", {"what": "its worker hangs"})
    assert ask("Live")
    exited = {"pid": 5, "time": "t", "message": "ended by signal 9"}
    assert not ask("Live", last_exit=exited) and not ask("Live", last_exit=exited)
    found = [(event["kind"], event["text"]) for event in read_service_events(site.folder, record.name)]
    assert found[::-1] == [
        ("unhealthy", "its worker hangs"),
        ("live", "Answers again"),
        ("worker-replaced", "Worker 5 was replaced: ended by signal 9"),
    ]


def test_a_death_is_recorded_at_once_and_again_after_the_next_life(
    site: Site, services: Services, clock: Clock
) -> None:
    health, record = Health(site.folder, clock), services.records[0]
    services.states[record.name] = ServiceStatus("Unhealthy", failure={"code": "supervisor-lost", "what": "it is gone"})
    for _ in range(2):
        assert health.is_due(clock.seconds, [], [record.name])
        health.ask_next([], [record])
        assert not health.is_due(clock.seconds, [], [record.name])
        health.is_due(clock.seconds, [record.name], [])
    assert [event["kind"] for event in read_service_events(site.folder, record.name)] == ["died"]
    assert len(services.asked) == 2


def test_a_question_that_was_not_answered_in_time_is_no_news(site: Site, services: Services) -> None:
    late = ServiceStatus("Unhealthy", failure={"code": "status-late", "what": "it did not say in time what it does"})
    record_health(site.folder, services.records[0], late, utc_now())
    assert read_service_events(site.folder, "svc-0") == []


def test_a_deployment_under_way_is_no_news(site: Site, services: Services, clock: Clock) -> None:
    health = Health(site.folder, clock)
    services.states["svc-0"] = ServiceStatus("Unhealthy", failure={"code": "supervisor-lost"})
    for record in (ServiceRecord("svc-0", revision=1, state="Updating"), ServiceRecord("svc-0", state="Failed")):
        health.ask_next([], [record])
        health.is_due(0.0, [], [])
    assert read_service_events(site.folder, "svc-0") == []
