"""The overview: all workspaces as rows, then only what changes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.process_identity import identify_process
from mldeploy_jupyter.core.records import DeploymentRecord, ModelRecord, ServiceRecord
from mldeploy_jupyter.panel import PanelContext, Subscriptions
from tests.unit.panel.conftest import Clock, Pass, Site
from tests.unit.panel.protocol import check_event

Event = dict[str, Any]


class Overview:
    """What a view of the overview knows after the events that it got."""

    def __init__(self, subscriptions: Subscriptions, **params: Any) -> None:
        self.events: list[Event] = []
        self.rows: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.workspaces: dict[str, dict[str, Any]] = {}
        self.end: Callable[[], None] = subscriptions.subscribe("overview", params, self.receive)

    def receive(self, event: Event) -> None:
        check_event("overview", event)
        self.events.append(event)
        if event.get("whole"):
            self.rows.clear()
        for kind, name in (("service", "service"), ("model", "model")):
            for row in event.get(f"{kind}s", []):
                self.rows[kind, row["workspace"], row[name]] = row
        for gone in event.get("gone", []):
            del self.rows[gone["kind"], gone["workspace"], gone["name"]]
        self.workspaces |= {one["workspace"]: one for one in event.get("workspaces", [])}

    def names(self, kind: str) -> list[str]:
        return sorted(name for each, _, name in self.rows if each == kind)


def test_the_first_event_is_whole_and_later_ones_have_what_changed(
    site: Site, subscriptions: Subscriptions, pass_time: Pass
) -> None:
    site.end(site.begin(), "live")
    site.store.add_model(ModelRecord("diabetes", files={"m.pkl": ["0", 5]}, size=5))
    view = Overview(subscriptions)
    pass_time(1.0)
    assert view.events[0]["whole"] is True and len(view.events) == 1
    assert (view.names("service"), view.names("model")) == (["churn"], ["diabetes"])
    assert view.workspaces[site.folder.id]["current"] is True
    site.store.save_service(ServiceRecord("zebra", workspace_id=site.folder.id))
    pass_time(1.0)
    assert [sorted(event) for event in view.events[1:]] == [["services"]]
    assert view.names("service") == ["churn", "zebra"]
    site.store.remove_service("zebra")
    site.store.add_model(ModelRecord("diabetes"))
    pass_time(1.0)
    assert view.names("service") == ["churn"]
    assert [version["id"] for version in view.rows["model", site.folder.id, "diabetes"]["versions"]] == [
        "diabetes:2",
        "diabetes:1",
    ]
    site.store.delete_model("diabetes", 1)
    site.store.delete_model("diabetes", 2)
    pass_time(1.0)
    assert view.names("model") == []
    count = len(view.events)
    pass_time(60.0)
    assert len(view.events) == count  # nothing changed, nothing is said


def test_a_second_view_gets_everything_and_a_view_that_ended_nothing(
    site: Site, subscriptions: Subscriptions, pass_time: Pass
) -> None:
    site.end(site.begin(), "live")
    first = Overview(subscriptions)
    pass_time(1.0)
    second = Overview(subscriptions)
    pass_time(1.0)
    assert second.rows == first.rows and len(first.events) == 1
    first.end()
    site.store.save_service(ServiceRecord("zebra"))
    pass_time(1.0)
    assert len(first.events) == 1 and second.names("service") == ["churn", "zebra"]
    second.end()
    assert subscriptions.look() is None  # nothing is watched for nobody


def test_a_patient_view_is_looked_at_less_often_until_there_is_another(
    site: Site, subscriptions: Subscriptions, pass_time: Pass
) -> None:
    patient = Overview(subscriptions, pollSeconds=20)
    pass_time(1.0)
    site.store.save_service(ServiceRecord("zebra", workspace_id=site.folder.id, tags={"team": "care"}))
    pass_time(15.0)
    assert patient.names("service") == []
    pass_time(5.0)
    assert patient.rows["service", site.folder.id, "zebra"]["tags"] == {"team": "care"}
    Overview(subscriptions, pollSeconds=0)
    pass_time(1.0)
    site.store.save_service(ServiceRecord("zebu", workspace_id=site.folder.id))
    pass_time(1.0)
    assert patient.names("service") == ["zebra", "zebu"]


def test_a_deployment_shows_its_stage_and_its_end(site: Site, subscriptions: Subscriptions, pass_time: Pass) -> None:
    view = Overview(subscriptions)
    journal = site.begin()
    journal.write("environment", "started")
    pass_time(1.0)
    row = view.rows["service", site.folder.id, "churn"]
    assert (row["state"], row["note"], row["deploying"], row["can"]) == (
        "deploying",
        "Environment",
        True,
        ["delete", "cancel"],
    )
    site.end(journal, "failed", cause={"what": "x"})
    pass_time(1.0)
    row = view.rows["service", site.folder.id, "churn"]
    assert (row["state"], row["note"], row["deploying"]) == ("failed", "", False)


def test_a_deployment_whose_runner_died_is_ended(site: Site, subscriptions: Subscriptions, pass_time: Pass) -> None:
    view = Overview(subscriptions)
    site.begin()
    pass_time(1.0)
    dead = {**identify_process(), "started": "1"}
    site.store.update_deployment("d1", runner=dead)
    pass_time(1.5)
    assert view.rows["service", site.folder.id, "churn"]["deploying"] is False
    record = site.store.get_deployment("d1")
    assert isinstance(record, DeploymentRecord) and record.state == "interrupted"


def test_a_workspace_that_cannot_be_read_hides_no_other(
    site: Site, subscriptions: Subscriptions, pass_time: Pass, tmp_path: Path
) -> None:
    site.end(site.begin(), "live")
    bad = Workspace.create("bad", path=tmp_path / "bad")
    (bad.folder.root / "store.db").write_bytes(b"no database" * 1000)
    settings = Workspace.create("settings", path=tmp_path / "settings")
    (settings.folder.root / "config.json").write_text("{")
    view = Overview(subscriptions)
    pass_time(2.0)
    assert view.names("service") == ["churn"]
    shown = {one["title"]: one["failure"] for one in view.workspaces.values()}
    assert set(shown) == {"home", "bad", "settings"} and shown["home"] is None
    assert "store" in shown["bad"]["error"] and "settings cannot be read" in shown["settings"]["error"]


def test_workspaces_come_and_go(site: Site, subscriptions: Subscriptions, pass_time: Pass, tmp_path: Path) -> None:
    view = Overview(subscriptions)
    pass_time(1.0)
    other = Workspace.create("other", path=tmp_path / "other").folder
    other.open_store().save_service(ServiceRecord("zebra", workspace_id=other.id))
    pass_time(1.5)
    assert view.names("service") == ["zebra"] and other.id in view.workspaces
    shutil.rmtree(other.root)
    pass_time(2.0)
    assert view.names("service") == []
    assert [one["title"] for one in view.events[-1]["workspaces"]] == ["home"]


def test_a_context_without_a_workspace_of_its_own_shows_the_known_ones(
    site: Site, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.end(site.begin(), "live")
    subscriptions = Subscriptions(
        PanelContext(now=clock.now), clock=clock, start=lambda run: None, ask=lambda run: run()
    )
    view = Overview(subscriptions)
    for _ in range(20):
        clock.seconds += subscriptions.look() or 0.0
    assert view.names("service") == ["churn"]
    assert [one["current"] for one in view.workspaces.values()] == [False]


def test_a_workspace_that_is_slow_to_read_says_so_until_its_services_come(site: Site, clock: Clock) -> None:
    site.end(site.begin(), "live")
    jobs: list[Callable[[], object]] = []
    subscriptions = Subscriptions(PanelContext(now=clock.now), clock=clock, start=lambda run: None, ask=jobs.append)
    view = Overview(subscriptions)

    def look(times: int) -> None:
        for _ in range(times):
            clock.seconds += subscriptions.look() or 0.0

    look(1)
    jobs.pop()()  # lists the workspaces; what reads them comes after it, and waits
    look(10)
    assert view.events[0]["workspaces"][0]["reading"] is True and view.names("service") == []
    while jobs:
        jobs.pop(0)()
    look(2)
    assert view.events[1]["workspaces"][0]["reading"] is False
    assert [row["service"] for row in view.events[1]["services"]] == ["churn"]
