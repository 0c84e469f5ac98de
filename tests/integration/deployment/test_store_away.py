"""A workspace that is unavailable for seconds fails no deployment: settings, store, journal and files wait for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter import Model
from mldeploy_jupyter.core.journal.journal import read_events
from mldeploy_jupyter.deployment import launch

from .conftest import Site, ask

HARNESS = str(Path(__file__).with_name("away_runner.py"))


def test_a_workspace_that_comes_back_costs_no_deployment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    (site.folder / "m.txt").write_text("model")
    model = Model.register(site.ws, str(site.folder / "m.txt"), "m")
    monkeypatch.setattr(launch, "RUNNER", ["-P", HARNESS])
    monkeypatch.setenv("AWAY", "3")
    service = site.deploy(models=[model])
    service.wait_for_deployment(timeout_sec=240)
    assert ask(service) == 1
    events = list(read_events(service.journal))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert list(site.folder.glob("away")) == []
