"""Which engine a local service gets, keeps and may not be moved to."""

from __future__ import annotations

from typing import Any

import pytest

from mldeploy_jupyter.core.configs import make_config
from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
from mldeploy_jupyter.deployment.services import engines


def choose(folder: WorkspaceFolder | None, **settings: Any) -> str:
    return engines.choose_target(folder, "svc", make_config("Local", settings))


def test_a_new_service_is_a_process_unless_another_engine_is_named(workspace: WorkspaceFolder) -> None:
    assert choose(None) == choose(workspace) == "local"
    assert choose(workspace, engine="process") == "local"
    assert choose(workspace, engine="docker") == "docker"
    assert engines.choose_target(workspace, "svc", make_config("ACI", {})) == "aci"


def test_auto_takes_a_container_where_an_engine_answers(
    workspace: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    assert engines.find_engine() == "" and choose(workspace, engine="auto") == "local"
    monkeypatch.setattr(engines, "find_engine", lambda: "Docker 28")
    assert choose(workspace, engine="auto") == "docker"


@pytest.mark.parametrize("target", ["local", "docker"])
def test_a_live_service_keeps_its_engine(workspace: WorkspaceFolder, target: str) -> None:
    service = ServiceRecord("svc", target, workspace_id=workspace.id, revision=1)
    workspace.open_store().save_service(service)
    assert choose(workspace) == choose(workspace, engine="auto") == target
    assert choose(workspace, engine="process") == "local"  # an overwrite may move it


def test_an_update_cannot_move_a_service() -> None:
    service = ServiceRecord("svc", "docker", revision=1)
    engines.refuse_other_engine(service, {"engine": "docker"})
    engines.refuse_other_engine(service, {"engine": "auto"})
    engines.refuse_other_engine(None, {"engine": "process"})
    with pytest.raises(UserErrorException, match="an update cannot move svc to the engine process") as caught:
        engines.refuse_other_engine(service, {"engine": "process"})
    assert "overwrite=True" in caught.value.hint
