"""A real workspace with services, deployments and journals; no process runs, and time passes when a test says so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.journal.journal import Journal
from mldeploy_jupyter.core.records import DeploymentRecord, RevisionRecord, ServiceRecord
from mldeploy_jupyter.deployment import journal_path
from mldeploy_jupyter.panel import PanelContext, Subscriptions

from .protocol import CheckedRequests

STAGES = ["check", "bundle", "environment", "rollout", "probe", "switch"]


class Clock:
    """A clock that stands still; `seconds` is the time since it was made."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 12, tzinfo=UTC) + timedelta(seconds=self.seconds - 1000)

    def stamp(self) -> str:
        return self.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Site(CheckedRequests):
    """A workspace, short ways to put things into it, and to ask about them."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.clock = clock
        self.ws = Workspace.create("home", path=str(folder), exist_ok=True)
        self.folder = self.ws.folder
        self.store = self.folder.open_store()
        self.context = PanelContext(self.ws, now=clock.now, timezone=UTC)

    def begin(self, id: str = "d1", service: str = "churn", *, operation: str = "deploy", **request: Any) -> Journal:
        """A deployment that this process carries out, as its records and lease say."""
        runner = process_identity.identify_process()
        self.store.add_deployment(
            DeploymentRecord(
                id, service, operation=operation, created_time=self.clock.stamp(), request=request, runner=runner
            )
        )
        revision = self.store.add_revision(RevisionRecord(service, deployment_id=id, created_time=self.clock.stamp()))
        old = self.store.get_service(service)
        self.store.save_service(
            ServiceRecord(
                service,
                workspace_id=self.folder.id,
                state="Updating" if old and old.revision else "Deploying",
                revision=old.revision if old else 0,
                deployment_id=id,
            )
        )
        self.store.leases.acquire(service, id, 30.0, runner)
        journal = Journal(journal_path(self.folder, id), self.clock.stamp)
        journal.write(
            "", "state", state="running", service=service, target="local", revision=revision.number,
            operation=operation, serving=old.revision if old else 0, stages=STAGES,
        )  # fmt: skip
        return journal

    def end(self, journal: Journal, state: str, id: str = "d1", text: str = "", **data: Any) -> None:
        """Ends the deployment in journal and store, in the order in which a runner does."""
        record = self.store.get_deployment(id)
        assert record is not None
        journal.write("", "state", text, state=state, **data)
        live = state == "live"
        if live:
            self.store.promote_revision(record.service, record.revision, state="Live", error=None)
        else:
            self.store.update_revision(record.service, record.revision, outcome="failed")
            service = self.store.get_service(record.service)
            ended = "Live" if service and service.revision else "Failed"
            self.store.update_service(record.service, state=ended, error=data.get("cause"))
        self.store.update_deployment(id, state=state, finished_time=self.clock.stamp(), cause=data.get("cause"))
        self.store.leases.release(record.service, id)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def site(folder: Path, clock: Clock) -> Iterator[Site]:
    site = Site(folder, clock)
    yield site
    site.store.close()


@pytest.fixture
def subscriptions(site: Site) -> Subscriptions:
    """Subscriptions without threads: a test calls `look()`, and questions are answered on the spot."""
    return Subscriptions(site.context, clock=site.clock, start=lambda run: None, ask=lambda run: run())


def panel_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("mldeploy-panel")]


Pass = Callable[[float], None]


@pytest.fixture
def pass_time(clock: Clock, subscriptions: Subscriptions) -> Pass:
    """Lets seconds pass, with a look whenever one is due."""

    def run(seconds: float) -> None:
        end = clock.seconds + seconds
        while True:
            pause = subscriptions.look()
            if pause is None or clock.seconds + pause > end:
                clock.seconds = end
                return
            clock.seconds += pause

    return run
