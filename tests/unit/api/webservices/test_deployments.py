"""What `update` and `rollback` refuse before anything is begun; when they need a process of their own."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest

from mldeploy_jupyter.api.webservices import AciWebservice, Webservice, deployments
from mldeploy_jupyter.api.webservices.deployments import ServiceUpdate, begin_rollback, begin_update, update
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import ConfigError, UserErrorException, WebserviceException
from mldeploy_jupyter.core.records import DeploymentRequest, RevisionRecord, ServiceRecord


@pytest.fixture(autouse=True)
def _nothing_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests of the same process have begun deployments."""
    monkeypatch.setattr(deployments, "begun", [])


@pytest.fixture
def outcomes(ws: Workspace) -> Workspace:
    """`on-local` with revisions 1 (was live), 2 (failed), 3 (was live) and 4 (live)."""
    store = ws.folder.open_store()
    store.update_revision("on-local", 1, outcome="kept")
    for outcome in ("failed", "kept", "live"):
        store.add_revision(RevisionRecord(service="on-local", outcome=outcome))
    store.update_service("on-local", revision=4, state="Live")
    return ws


@pytest.mark.parametrize(("number", "what"), [(2, "no revision 2"), (9, "no revision 9")])
def test_a_rollback_goes_only_to_a_revision_that_was_live(outcomes: Workspace, number: int, what: str) -> None:
    with pytest.raises(WebserviceException, match=what) as caught:
        begin_rollback(outcomes.folder, "on-local", number)
    assert caught.value.why == "revisions that were live before: 1, 3"
    assert deployments.begun == []


def test_the_oldest_revision_has_nothing_to_go_back_to(ws: Workspace) -> None:
    with pytest.raises(WebserviceException, match="on-local has no older revision"):
        begin_rollback(ws.folder, "on-local", None)


@pytest.mark.parametrize(
    ("name", "why"), [("nope", "there is no such service"), ("new", "no deployment of it has become live")]
)
def test_an_update_needs_a_live_revision(ws: Workspace, name: str, why: str) -> None:
    ws.folder.open_store().save_service(ServiceRecord(name="new", target="local", compute_type="Local"))
    with pytest.raises(WebserviceException, match=f"{name} has no revision to update") as caught:
        begin_update(ws, name, ServiceUpdate(reload=True))
    assert caught.value.why == why


def test_an_update_cannot_move_a_service_to_another_target(ws: Workspace) -> None:
    changes = ServiceUpdate(deployment_config=AciWebservice.deploy_configuration())
    with pytest.raises(UserErrorException, match="cannot move a service to another target"):
        begin_update(ws, "on-local", changes)


def test_settings_are_checked_before_an_update_begins(ws: Workspace) -> None:
    with pytest.raises(ConfigError):
        begin_update(ws, "on-local", ServiceUpdate(settings={"port": -1}))
    service = Webservice(ws, "on-local")
    assert service.deployment_id == "" and deployments.begun == []


def test_an_update_of_metadata_alone_begins_no_deployment(ws: Workspace) -> None:
    assert update(ws, "on-local", ServiceUpdate(metadata={"tags": {"a": "b"}})) is None
    assert Webservice(ws, "on-local").tags == {"a": "b"}
    with pytest.raises(UserErrorException, match="nothing to update in on-local"):
        update(ws, "on-local", ServiceUpdate())


@pytest.mark.parametrize(
    ("detached", "wait", "interactive", "expected"),
    [
        (None, False, False, True),
        (None, True, False, False),
        (None, False, True, False),
        (True, True, True, True),
        (False, False, False, False),
    ],
)
def test_an_update_that_might_outlive_this_process_gets_its_own(
    monkeypatch: pytest.MonkeyPatch, detached: Any, wait: bool, interactive: bool, expected: bool
) -> None:
    if interactive:
        monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    else:
        monkeypatch.delattr(sys, "ps1", raising=False)
    assert deployments.needs_process(detached, wait) is expected


ENVIRONMENT = {"environment": {"pip": ["numpy"]}, "entry_path": "/old/score.py"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"inference_config": {**ENVIRONMENT, "entry_path": "/new/score.py"}}, False),
        ({"reload": True, "inference_config": {"entry_path": "/old/score.py"}}, False),
        ({"deploy_config": {"workers": 2}}, False),
        ({"models": ["churn:2"]}, True),
        ({"inference_config": {**ENVIRONMENT, "environment": {"pip": ["numpy", "scipy"]}}}, True),
        ({"inference_config": {**ENVIRONMENT, "environment": None}}, True),
        ({"inference_config": {**ENVIRONMENT, "base_image": "debian:12"}}, True),
        ({"inference_config": {**ENVIRONMENT, "extra_docker_file_steps": "/steps"}}, True),
        ({"target": "aks"}, True),
    ],
)
def test_only_an_update_of_a_container_s_code_runs_in_a_thread(changes: dict[str, Any], expected: bool) -> None:
    live = RevisionRecord("churn", models=["churn:1"], inference_config=ENVIRONMENT)
    request = DeploymentRequest("churn", "docker", models=["churn:1"], inference_config=ENVIRONMENT)
    request = replace(request, **changes)
    assert deployments._needs_runner(request, False, live) is expected
    assert deployments._needs_runner(request, True, live)
    assert deployments._needs_runner(request, False) == (request.target != "local")
