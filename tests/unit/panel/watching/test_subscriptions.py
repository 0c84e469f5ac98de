"""Subscriptions: what is sent first, what when something changes, how often is looked, and what ends with them."""

from __future__ import annotations

import os
import statistics
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter import deployment
from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.errors import MldeployError, StoreError
from mldeploy_jupyter.core.files import make_private_dir
from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.deployment import journal_path
from mldeploy_jupyter.panel import Subscriptions, log_lines
from mldeploy_jupyter.panel.watching import deployment_watch, service_log_watch
from mldeploy_jupyter.serving.log import entry
from mldeploy_jupyter.serving.log.service_log import ServiceLog
from tests.polling import wait_until
from tests.unit.panel.conftest import Pass, Site, panel_threads
from tests.unit.panel.protocol import check_event

Events = list[dict[str, Any]]


def lines_of(events: Events) -> list[str]:
    return [line["text"] for event in events for line in event.get("lines", [])]


def timelines_of(events: Events) -> Events:
    return [event["timeline"] for event in events if "timeline" in event]


def states_of(events: Events) -> list[str]:
    return [timeline["state"] for timeline in timelines_of(events)]


def watch(subscriptions: Subscriptions, topic: str, **params: Any) -> Events:
    """Subscribes, and returns the list of events, each of which is as the contract says."""
    events: Events = []

    def send(event: dict[str, Any]) -> None:
        check_event(topic, event)
        events.append(event)

    subscriptions.subscribe(topic, params, send)
    return events


def test_a_view_gets_what_is_and_then_what_changes(site: Site, subscriptions: Subscriptions, pass_time: Pass) -> None:
    journal = site.begin()
    journal.write("check", "started")
    journal.write("check", "log", "one")
    events = watch(subscriptions, "deployment", deployment="d1")
    pass_time(0)
    assert states_of(events) == ["deploying"] and lines_of(events) == ["one"]
    pass_time(1)
    assert len(events) <= 3
    journal.write("check", "log", "two")
    pass_time(0.1)
    assert lines_of(events) == ["one", "two"]
    site.end(journal, "live")
    pass_time(0.11)
    assert states_of(events)[-1] == "live"
    assert subscriptions.look() is None  # an ended deployment is not looked at any more
    assert states_of(later := watch(subscriptions, "deployment", deployment="d1")) == []
    pass_time(0)
    assert states_of(later) == ["live"] and lines_of(later) == ["one", "two"]


def test_every_line_comes_once_whenever_a_view_joins(
    site: Site, subscriptions: Subscriptions, pass_time: Pass, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployment_watch, "BACKLOG_BATCHES", 1)
    monkeypatch.setattr(log_lines, "LINES_A_BATCH", 10)
    monkeypatch.setattr(deployment_watch, "READ_BYTES", 2000)
    journal = site.begin()
    views = []
    for number in range(200):
        journal.write("check", "log", f"{number}")
        if number % 40 == 20:
            views.append(watch(subscriptions, "deployment", deployment="d1"))
        if number % 7 == 0:
            subscriptions.look()
    site.end(journal, "live")
    pass_time(1)
    for events in views:
        assert lines_of(events) == [str(number) for number in range(200)]
        assert states_of(events)[-1] == "live"


def test_a_view_that_comes_back_gets_the_lines_after_its_last(
    site: Site, subscriptions: Subscriptions, pass_time: Pass, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = site.begin()
    for number in range(2, 12):
        journal.write("check", "log", f"{number}")
    events = watch(subscriptions, "deployment", deployment="d1", after=8)
    pass_time(0)
    assert lines_of(events) == ["9", "10", "11"]
    monkeypatch.setattr(deployment_watch, "RING_LINES", 4)
    events = watch(subscriptions, "deployment", deployment="d1")
    pass_time(0)
    assert lines_of(events) == ["8", "9", "10", "11"] and [event["lost"] for event in events if "lost" in event] == [6]


def test_a_flood_is_four_timelines_a_second_and_batches_of_lines(
    site: Site, subscriptions: Subscriptions, pass_time: Pass
) -> None:
    journal = site.begin()
    events = watch(subscriptions, "deployment", deployment="d1")
    pass_time(0)
    for step in range(40):
        for number in range(300):
            journal.write("check", "log", f"{step} {number}")
        journal.write("check", "progress", f"step {step}")
        pass_time(0.1)
    assert len(lines_of(events)) == 12_000
    assert len(timelines_of(events)) <= 4 * 4 + 2
    assert max(len(event["lines"]) for event in events if "lines" in event) <= 500


@pytest.mark.parametrize("topic", ["deployment", "serviceLog"])
def test_a_full_view_gets_its_lines_once_there_is_room_and_delays_no_other(
    site: Site, subscriptions: Subscriptions, pass_time: Pass, monkeypatch: pytest.MonkeyPatch, topic: str
) -> None:
    monkeypatch.setattr(log_lines, "LINES_A_BATCH", 10)
    params = {"deployment": "d1"} if topic == "deployment" else {"service": "churn"}
    journal = site.begin()
    log = ServiceLog(make_private_dir(site.folder.services / "churn") / "logs" / "service.log")

    def write_hundred(first: int) -> None:
        texts = [str(number) for number in range(first, first + 100)]
        if topic == "serviceLog":
            write(log, *texts)
        for text in texts if topic == "deployment" else ():
            journal.write("check", "log", text)

    write_hundred(0)
    full, slow = [False], list[dict[str, Any]]()
    other = watch(subscriptions, topic, **params)
    subscriptions.subscribe(topic, params, slow.append, lambda: full[0] or len(lines_of(slow)) == 30)
    pass_time(3)
    assert lines_of(slow) == [str(number) for number in range(30)]
    assert len(lines_of(other)) == 100
    full[0] = True
    slow.append({"lines": [{"text": "room"}]})
    write_hundred(100)
    pass_time(3)
    assert len(lines_of(slow)) == 31 and len(lines_of(other)) == 200
    full[0] = False
    pass_time(3)
    write_hundred(200)
    pass_time(3)
    expected = [str(number) for number in range(300)]
    assert lines_of(slow) == [*expected[:30], "room", *expected[30:]] and lines_of(other) == expected


def test_a_dead_runner_is_found_after_two_silent_seconds(
    site: Site, subscriptions: Subscriptions, pass_time: Pass
) -> None:
    site.begin().write("rollout", "started")
    events = watch(subscriptions, "deployment", deployment="d1")
    pass_time(0)
    site.store.update_deployment("d1", runner={**process_identity.identify_process(), "started": "0"})
    pass_time(1.5)
    assert states_of(events)[-1] == "deploying"
    pass_time(1)
    assert states_of(events)[-1] == "interrupted"
    assert subscriptions.look() is None


def test_the_end_of_a_deployment_elsewhere_comes_from_the_store(
    site: Site, subscriptions: Subscriptions, pass_time: Pass
) -> None:
    journal = site.begin()
    content = journal.path.read_bytes()
    journal.path.unlink()  # as on a machine that shares only the store
    events = watch(subscriptions, "deployment", deployment="d1")
    pass_time(0)
    assert states_of(events) == ["deploying"]
    site.folder.open_artifacts().put_bytes("journals/d1.jsonl", content)
    site.store.update_deployment("d1", state="live", finished_time=site.clock.stamp())
    pass_time(3)
    assert states_of(events)[-1] == "live" and timelines_of(events)[-1]["revision"] == 1


def test_a_store_that_is_away_is_waited_for(
    site: Site, subscriptions: Subscriptions, pass_time: Pass, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = site.begin()
    rows, events = watch(subscriptions, "service", service="churn"), watch(subscriptions, "deployment", deployment="d1")
    pass_time(0.1)
    asked: list[float] = []

    def away(*_: Any) -> None:
        asked.append(site.clock.seconds)
        raise StoreError("the store is unavailable")

    with monkeypatch.context() as patched:
        for name in ("refresh_deployment", "query_statuses"):
            patched.setattr(deployment, name, away)
        patched.setattr(type(site.store), "get_service", away)
        journal.write("check", "log", "still read")
        pass_time(60)
    assert lines_of(events) == ["still read"] and 5 < len(asked) < 60
    site.end(journal, "live")
    pass_time(10)
    assert states_of(events)[-1] == "live" and rows[-1]["service"]["revision"] == 1


def test_a_service_is_sent_when_it_changes_and_once_a_minute(
    site: Site, subscriptions: Subscriptions, pass_time: Pass
) -> None:
    site.end(site.begin(), "live")
    events = watch(subscriptions, "service", service="churn")
    pass_time(0.1)
    assert [event["service"]["revision"] for event in events] == [1]
    pass_time(60 * 5)
    assert 4 <= len(events) <= 6  # the health, with the time of its check
    site.store.update_service("churn", description="what it is for")
    pass_time(2.1)
    assert events[-1]["service"]["description"] == "what it is for"
    site.store.remove_service("churn")
    pass_time(2.1)
    assert (events[-1]["service"]["state"], events[-1]["service"]["can"]) == ("deleted", [])
    site.store.save_service(ServiceRecord("churn"))
    pass_time(2.1)
    assert events[-1]["service"]["state"] != "deleted"


def test_a_service_that_is_deleted_as_it_is_subscribed_to_is_waited_for(
    site: Site, subscriptions: Subscriptions, pass_time: Pass
) -> None:
    site.end(site.begin(), "live")
    events = watch(subscriptions, "service", service="churn")
    site.store.remove_service("churn")
    pass_time(5)
    assert events == []
    site.store.save_service(ServiceRecord("churn"))
    pass_time(2.1)
    assert events[-1]["service"]["service"] == "churn"


def test_what_nobody_sees_is_looked_at_less(site: Site, pass_time: Pass, subscriptions: Subscriptions) -> None:
    site.end(site.begin(), "live")
    looks: list[float] = []
    read = type(site.store).get_service
    events: Events = []
    subscription = subscriptions.subscribe("service", {"service": "churn"}, events.append)
    pass_time(0.1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(site.store), "get_service", lambda *a: looks.append(site.clock.seconds) or read(*a))
        pass_time(60)
        seen, looks[:] = len(looks), []
        subscription.set_visible(False)
        pass_time(60)
    assert seen >= 25 and len(looks) <= seen / 4
    site.store.update_service("churn", description="changed")
    subscription.set_visible(True)
    pass_time(2.1)
    assert events[-1]["service"]["description"] == "changed"


@pytest.fixture
def log(site: Site) -> ServiceLog:
    site.end(site.begin(), "live")
    return ServiceLog(make_private_dir(site.folder.services / "churn") / "logs" / "service.log", max_bytes=2000)


def write(log: ServiceLog, *texts: str) -> None:
    for text in texts:
        log.append(entry.format_line(text, logger="print", revision=1, pid=42))


def test_a_services_log_is_followed_through_rotation(
    site: Site, subscriptions: Subscriptions, pass_time: Pass, log: ServiceLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_log_watch, "BATCHES_A_LOOK", 1)
    monkeypatch.setattr(log_lines, "LINES_A_BATCH", 7)
    write(log, *(f"old {number}" for number in range(20)))
    events = watch(subscriptions, "serviceLog", service="churn")
    pass_time(0)
    for number in range(100):
        write(log, f"new {number}")
        if number % 5 == 0:
            pass_time(0.1)
    pass_time(0.2)
    kept = lines_of(events)
    assert kept[-100:] == [f"new {number}" for number in range(100)]
    assert kept[:-100] == [f"old {number}" for number in range(20 - len(kept[:-100]), 20)]
    numbers = [line["n"] for event in events for line in event["lines"]]
    assert numbers == sorted(set(numbers))
    page = site.ask("service.log", service="churn", limit=3)
    assert [line["n"] for line in page["lines"]] == numbers[-3:]


def test_a_quiet_log_is_looked_at_every_two_seconds(
    site: Site, pass_time: Pass, subscriptions: Subscriptions, log: ServiceLog
) -> None:
    events = watch(subscriptions, "serviceLog", service="churn")
    pass_time(0)
    assert events == [{"lines": []}]  # it is read, and there is nothing
    pass_time(20)
    pass_time(0.01)  # over the look that is due
    assert subscriptions.look() == pytest.approx(2.0, abs=0.1)
    write(log, "one")
    pass_time(2.1)
    assert lines_of(events) == ["one"] and (subscriptions.look() or 0) <= 0.1


def test_lines_that_were_rotated_away_count_as_lost(
    site: Site, pass_time: Pass, subscriptions: Subscriptions, log: ServiceLog
) -> None:
    write(log, "first")
    number = site.ask("service.log", service="churn")["lines"][0]["n"]
    write(log, *(f"line {number}" for number in range(200)))
    events = watch(subscriptions, "serviceLog", service="churn", after=number)
    pass_time(0)
    assert events[0] == {"lines": [], "lost": 1} and lines_of(events)[-1] == "line 199"


def test_the_lines_before_those_of_a_new_view_are_counted_without_making_it_wait(
    site: Site, pass_time: Pass, log: ServiceLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_log_watch, "TAIL_LINES", 3)
    write(log, "two\nlines", *(f"line {number}" for number in range(5)))
    asked: list[Any] = []
    subscriptions = Subscriptions(site.context, clock=site.clock, start=lambda run: None, ask=asked.append)
    first, second = (watch(subscriptions, "serviceLog", service="churn") for _ in range(2))
    subscriptions.look()
    assert lines_of(first) == lines_of(second) == ["line 2", "line 3", "line 4"] and len(asked) == 1
    write(log, "line 5")  # is no line before them
    site.clock.seconds += 0.2
    subscriptions.look()
    asked.pop()()
    subscriptions.look()
    for events in (first, second):
        assert lines_of(events)[-1] == "line 5" and [event["lost"] for event in events if "lost" in event] == [4]
    site.clock.seconds += 20
    subscriptions.look()
    assert not asked


def test_wrong_parameters_and_unknown_deployments_are_refused(subscriptions: Subscriptions) -> None:
    for topic, params in (("nope", {}), ("deployment", {}), ("deployment", {"deployment": "x", "after": "1"})):
        with pytest.raises(MldeployError):
            subscriptions.subscribe(topic, params, print)
    with pytest.raises(MldeployError, match="there is no deployment x"):
        subscriptions.subscribe("deployment", {"deployment": "x"}, print)
    assert subscriptions.count == 0


def test_a_view_that_cannot_be_sent_to_is_dropped_alone(
    site: Site, subscriptions: Subscriptions, pass_time: Pass
) -> None:
    journal = site.begin()

    def fail(event: dict[str, Any]) -> None:
        raise ConnectionError("the page is gone")

    subscriptions.subscribe("deployment", {"deployment": "d1"}, fail)
    events = watch(subscriptions, "deployment", deployment="d1")
    pass_time(0)
    assert subscriptions.count == 1
    journal.write("check", "log", "one")
    pass_time(0.1)
    assert lines_of(events) == ["one"]


def test_nothing_is_read_while_nothing_is_written(
    site: Site, subscriptions: Subscriptions, pass_time: Pass, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.begin()
    watch(subscriptions, "deployment", deployment="d1")
    pass_time(0)
    monkeypatch.setattr(Path, "open", lambda *_, **__: pytest.fail("a file was opened"))
    pass_time(1.5)


def test_one_thread_for_all_views_that_ends_with_the_last(site: Site) -> None:
    journal = site.begin()
    site.store.save_service(ServiceRecord("other"))
    subscriptions = Subscriptions(site.context)
    received: list[Events] = [[] for _ in range(5)]
    ends = [subscriptions.subscribe("deployment", {"deployment": "d1"}, each.append) for each in received]
    ends.append(subscriptions.subscribe("service", {"service": "other"}, [].append))
    wait_until(lambda: all(received))
    assert [thread.name for thread in panel_threads()].count("mldeploy-panel") == 1
    descriptors = len(os.listdir("/proc/self/fd"))
    for end in ends:
        end()
        end()
    wait_until(lambda: panel_threads() == [])
    count = [len(each) for each in received]
    journal.write("check", "log", "nobody listens")
    again: Events = []
    end = subscriptions.subscribe("deployment", {"deployment": "d1"}, again.append)
    wait_until(lambda: lines_of(again) == ["nobody listens"])
    subscriptions.close()
    wait_until(lambda: panel_threads() == [])
    assert count == [len(each) for each in received] and len(os.listdir("/proc/self/fd")) <= descriptors


def test_an_event_reaches_ten_views_within_a_moment(site: Site) -> None:
    """Half of the events within 0.15 s; here with room for a machine that does much else."""
    journal = site.begin()
    subscriptions = Subscriptions(site.context)
    written: dict[str, float] = {}
    delays: list[float] = []
    arrived = threading.Semaphore(0)

    def send(event: dict[str, Any]) -> None:
        for line in event.get("lines", []):
            delays.append(time.monotonic() - written[line["text"]])
            arrived.release()

    for _ in range(10):
        subscriptions.subscribe("deployment", {"deployment": "d1"}, send)
    for number in range(20):
        written[str(number)] = time.monotonic()
        journal.write("check", "log", str(number))
        assert all(arrived.acquire(timeout=60) for _ in range(10))
    subscriptions.close()
    median = statistics.median(delays)
    print(f"an event reached ten views within {median * 1000:.0f} ms (median), {max(delays) * 1000:.0f} ms at most")
    assert median < 2.0
    assert journal_path(site.folder, "d1").exists()
