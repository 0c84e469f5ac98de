"""Waiting for the order to take over."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mldeploy_jupyter.serving.container.standby import Standby
from mldeploy_jupyter.serving.ipc.failure import failure
from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.supervisor.generation import Aborted, Deployment, Generation
from mldeploy_jupyter.serving.system.background import run_in_background
from tests.polling import wait_until
from tests.unit.serving.supervisor.fakes import FakeWorker


class FakeArbiter:
    """Notes with which predecessor it switches."""

    def __init__(self) -> None:
        self.predecessors: list[Any] = []

    def switch(self, new: Generation, new_port: bool, save: Any, predecessor: Any = None) -> None:
        self.predecessors.append(predecessor)


class Site:
    def __init__(self) -> None:
        self.arbiter = FakeArbiter()
        self.ready: list[Generation] = []
        self.began: list[Path | None] = []
        self.problem: Aborted | None = None
        self.worker = FakeWorker()
        self.generation = Generation(Settings(), "d", None, [self.worker])  # type: ignore[arg-type]
        self.deployment = Deployment("d", 1)
        self.standby = Standby(self.arbiter, self._open, self.ready.append, self._begin)  # type: ignore[arg-type]

    def _open(self, folder: Path) -> Any:
        def connect() -> None:
            if self.problem is not None:
                raise self.problem

        return SimpleNamespace(folder=folder, connect=connect)

    def _begin(self, folder: Path | None) -> None:
        self.began.append(folder)

    def hold(self) -> Any:
        waiting = run_in_background(lambda: self.standby.hold(self.generation, self.deployment))
        wait_until(lambda: self.standby.waiting)
        return waiting


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.mark.parametrize("given", ["/volume/containers/c1", ""])
def test_the_switch_has_the_other_container_as_its_predecessor(site: Site, given: str) -> None:
    waiting = site.hold()
    assert site.ready == [site.generation]
    events: list[dict[str, Any]] = []
    order = run_in_background(lambda: site.standby.take_over({"from": given}, events.append))
    switch = waiting()
    switch(site.generation, False, lambda: None)
    site.standby.emit({"event": "stage"})
    site.standby.finish({"ok": True})
    assert order() == {"ok": True} and events == [{"event": "stage"}]
    assert site.began == [Path(given) if given else None]
    assert [getattr(found, "folder", None) for found in site.arbiter.predecessors] == site.began
    assert site.standby.take_over({}, print)["failure"]["code"] == "not-standby"


def test_an_order_that_cannot_be_carried_out_leaves_the_container_standing_by(site: Site) -> None:
    assert site.standby.take_over({}, print)["failure"]["code"] == "not-standby"  # its workers are still loading
    waiting = site.hold()
    site.problem = Aborted(failure("predecessor-silent", "switch", "no answer"))
    assert site.standby.take_over({"from": "/volume/c1"}, print)["failure"]["code"] == "predecessor-silent"
    assert site.standby.waiting and site.began == []
    threading.Thread(target=site.standby.take_over, args=({}, print)).start()
    waiting()
    site.standby.finish({"ok": True})


def test_a_cancel_ends_the_wait(site: Site) -> None:
    waiting = site.hold()
    site.deployment.cancelled = True
    with pytest.raises(Aborted, match="cancelled"):
        waiting()
    assert not site.standby.waiting
    assert site.standby.take_over({}, print)["failure"]["code"] == "not-standby"


def test_the_death_of_a_worker_ends_the_wait(site: Site) -> None:
    waiting = site.hold()
    site.worker.exit_failure = lambda: failure("killed", "probe", "ended by signal 9")  # type: ignore[method-assign]
    site.worker.die()
    with pytest.raises(Aborted, match="signal 9"):
        waiting()
