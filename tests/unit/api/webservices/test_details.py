"""A service as data."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.api.webservices import Webservice
from mldeploy_jupyter.api.webservices.details import REVISION_KEYS, require_record
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.configs import DeployConfig
from mldeploy_jupyter.core.errors import WebserviceNotFound
from mldeploy_jupyter.core.records import RevisionRecord


def test_serialize_has_the_settings_with_defaults_and_no_secret(ws: Workspace) -> None:
    config = DeployConfig("Local", {"scoring_timeout_ms": 5, "environment_variables": {"A": "hunter2"}})
    store = ws.folder.open_store()
    environment = {"kind": "current", "imported": {"/lib/numpy/__init__.py": [1, 2, 3, ""]}, "pins": ["numpy==2.4.6"]}
    revision = RevisionRecord(
        service="on-local", deploy_config=config.to_dict(), environment=environment, outcome="live"
    )
    store.add_revision(revision)
    store.update_service("on-local", revision=2)
    data = Webservice(ws, "on-local").serialize()
    assert (data["workspaceName"], data["computeType"], data["revision"]) == ("test", "Local", 2)
    assert data["settings"]["scoring_timeout_ms"] == 5 and data["settings"]["init_timeout"] > 0
    assert data["environment"] == {"kind": "current", "pins": ["numpy==2.4.6"]}
    assert "hunter2" not in str(data) and not {"primary_key", "port", "auth_enabled", "tags"} & set(data["settings"])


def test_serialize_before_the_first_revision_is_live(ws: Workspace) -> None:
    ws.folder.open_store().update_service("on-local", revision=0)
    data = Webservice(ws, "on-local").serialize()
    assert (data["models"], data["settings"], data["environment"], data["state"]) == ([], None, None, "Failed")


def test_revisions_are_listed_newest_first(ws: Workspace) -> None:
    ws.folder.open_store().add_revision(RevisionRecord(service="on-local", outcome="failed"))
    revisions = Webservice(ws, "on-local").revisions
    assert [(revision["number"], revision["outcome"]) for revision in revisions] == [(2, "failed"), (1, "live")]
    assert all(tuple(revision) == REVISION_KEYS for revision in revisions)


def test_a_missing_service_suggests_the_nearest_name(ws: Workspace) -> None:
    with pytest.raises(WebserviceNotFound) as caught:
        require_record(ws, "on-loca")
    assert caught.value.hint == "did you mean 'on-local'?"
    assert caught.value.why == "its services are: on-aci, on-aks, on-aksendpoint, on-local"
