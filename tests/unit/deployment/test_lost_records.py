"""Services that are there and that the store does not know get their records back."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from mldeploy_jupyter.core.records import DeploymentRequest, ServiceRecord
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
from mldeploy_jupyter.deployment.lost_records import restore_service, restore_services
from mldeploy_jupyter.deployment.prune import prune_workspace
from mldeploy_jupyter.deployment.recovery import recover_lost_deployments, refresh_service

BUNDLE = "b" * 64


@pytest.fixture
def lost(workspace: WorkspaceFolder) -> Path:
    """The folder of a stopped service, `lost`, which the store does not know."""
    folder, bundle = workspace.services / "lost", workspace.bundles / BUNDLE
    request = DeploymentRequest(
        "lost",
        "local",
        models=["m:3"],
        inference_config={"entry_script": "score.py"},
        deploy_config={"compute_type": "Local", "passed": {"tags": {"a": "b"}, "token_auth_enabled": True}},
    )
    write(folder / "live.json", {"revision": 4, "deployment_id": "d7", "port": 8123, "settings": settings(bundle)})
    write(workspace.deployments / "d7" / "request.json", request.to_dict())
    model = {"name": "m", "version": 3, "folder": "azureml-models/m/3"}
    files = {"app/azureml-models/m/3/m.pkl": ["c" * 64, 5], "app/source/score.py": ["d" * 64, 6]}
    script = {"source_directory": "source", "entry_script": "source/score.py"}
    write(bundle / "bundle.json", {"models": [model], "files": files, **script})
    (folder / "lock").touch()
    os.utime(folder / "lock", (0, 0))
    return folder


def settings(bundle: Path) -> dict[str, object]:
    return {
        "server_path": str(bundle / "server"),
        "python": f"/cache/environments/{'e' * 64}/bin/python",
        "auth_enabled": False,
    }


def write(path: Path, data: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))


def test_all_that_the_folders_tell_is_restored(workspace: WorkspaceFolder, lost: Path) -> None:
    notes: list[str] = []
    service = refresh_service(workspace, "lost", notes.append)
    assert service is not None and len(notes) == 1 and str(workspace.root / "store.db") in notes[0]
    assert (service.state, service.revision, service.deployment_id, service.tags) == ("Stopped", 4, "d7", {"a": "b"})
    assert service.endpoint["scoring_uri"] == "http://127.0.0.1:8123/score" and not service.auth_enabled
    assert service.created_time == "1970-01-01T00:00:00.000Z"
    store = workspace.open_store()
    revision, deployment = store.get_revision("lost", 4), store.get_deployment("d7")
    assert revision is not None and (revision.outcome, revision.models) == ("live", ["m:3"])
    assert (revision.bundle_digest, revision.environment["digest"]) == (BUNDLE, "e" * 64)
    assert deployment is not None and (deployment.state, deployment.revision) == ("live", 4)
    model = store.get_model("m")
    assert model is not None and (model.version, model.size, model.files) == (3, 5, {"m.pkl": ["c" * 64, 5]})
    assert refresh_service(workspace, "lost", notes.append) == service and len(notes) == 1


def test_a_list_tells_of_all_at_once_and_a_prune_keeps_what_they_need(workspace: WorkspaceFolder, lost: Path) -> None:
    write(workspace.services / "other" / "live.json", {"revision": 1, "deployment_id": "d0"})
    notes: list[str] = []
    recover_lost_deployments(workspace, notes.append)
    assert len(notes) == 1 and "lost, other" in notes[0]
    report = prune_workspace(workspace, clock=lambda: 1e10)
    assert (report.deployments, report.bundles, report.services) == (0, 0, 0)
    assert lost.exists() and (workspace.bundles / BUNDLE).exists()


def test_a_store_from_a_backup_gets_the_live_revision(workspace: WorkspaceFolder, lost: Path) -> None:
    store = workspace.open_store()
    assert restore_services(workspace) == ["lost"]
    store.update_service("lost", revision=2, description="kept", state="Live")
    assert restore_services(workspace) == ["lost"] and restore_services(workspace) == []
    service = store.get_service("lost")
    assert service is not None and (service.revision, service.description) == (4, "kept")


def test_a_service_that_is_being_changed_is_left_alone(workspace: WorkspaceFolder, lost: Path) -> None:
    from mldeploy_jupyter.core import process_identity

    workspace.open_store().leases.acquire("lost", "d8", 30, process_identity.identify_process())
    assert not restore_service(workspace, "lost")


def test_folders_without_a_service_add_nothing(workspace: WorkspaceFolder, service: ServiceRecord) -> None:
    (workspace.services / "empty").mkdir(parents=True)
    (workspace.services / "a-file").touch()
    assert restore_services(workspace) == [] and not restore_service(workspace, "empty")
    # A deployment that is under way switches before its record says so.
    write(workspace.services / "svc" / "live.json", {"revision": 9})
    assert restore_services(workspace) == []


def test_another_folder_s_service_is_not_taken_over(workspace: WorkspaceFolder, lost: Path) -> None:
    restore_services(workspace)
    store = workspace.open_store()
    service = store.get_service("lost")
    assert service is not None
    store.save_service(replace(service, workspace_id="another", revision=1))
    assert restore_services(workspace) == []


@pytest.mark.parametrize(
    "content", ["", "[1]", '{"models": 5, "deploy_config": [], "inference_config": "x"}', "garbage"]
)
def test_damaged_files_restore_what_they_can(workspace: WorkspaceFolder, lost: Path, content: str) -> None:
    (workspace.deployments / "d7" / "request.json").write_text(content)
    (workspace.bundles / BUNDLE / "bundle.json").write_text(content)
    service = refresh_service(workspace, "lost")
    assert service is not None and service.revision == 4
