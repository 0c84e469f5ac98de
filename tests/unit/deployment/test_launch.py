"""How a deployment begins: what is recorded before anything is started for it. Nothing is started here."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from mldeploy_jupyter.core.journal.journal import read_events
from mldeploy_jupyter.core.records import DeploymentRecord, DeploymentRequest
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
from mldeploy_jupyter.deployment.files import journal_path
from mldeploy_jupyter.deployment.launch import LaunchSpec, start_deployment


def spec(**more: Any) -> LaunchSpec:
    request = DeploymentRequest("new", "local", inference_config={}, deploy_config={}, kernel_python=sys.executable)
    return LaunchSpec("new", "Local", lambda *_: request, **more)


def refuse(*_: object, **__: object) -> None:
    raise OSError("no more processes")


def test_a_deployment_is_shown_before_a_process_is_started_for_it(
    workspace: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a view that shows it already is told when none could be started."""
    shown: list[DeploymentRecord] = []
    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(OSError, match="no more processes"):
        start_deployment(workspace, spec(on_recorded=shown.append))
    (record,) = shown
    *_, last = read_events(journal_path(workspace, record.id))
    assert (last.kind, last.data["state"], last.data["cause"]) == ("state", "failed", {"what": "no more processes"})
    ended = workspace.open_store().get_deployment(record.id)
    assert ended is not None and ended.state == "failed"


def test_the_supervisor_is_started_before_the_runner(
    workspace: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it imports takes longest, and the runner's own start would take a processor from it."""
    started: list[str] = []

    def note(command: list[str], **_: object) -> None:
        started.append(command[command.index("-m") + 1].rpartition(".")[2])
        raise OSError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", note)
    with pytest.raises(OSError, match="no more processes"):
        start_deployment(workspace, spec())
    assert started == ["supervisor", "runner"]


def test_a_view_that_fails_leaves_nothing_behind(workspace: WorkspaceFolder) -> None:
    def interrupt(record: DeploymentRecord) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start_deployment(workspace, spec(on_recorded=interrupt))
    store = workspace.open_store()
    assert store.get_service("new") is None
    store.leases.acquire("new", "another", 30.0, {})
