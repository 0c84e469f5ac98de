"""A workspace with one service, whose deployment has a journal; nothing runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.core.records import DeploymentRecord, RevisionRecord, ServiceRecord
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder, create_workspace


@pytest.fixture
def workspace(folder: Path) -> WorkspaceFolder:
    return create_workspace(folder)


@pytest.fixture
def service(workspace: WorkspaceFolder) -> ServiceRecord:
    """A service whose first deployment, `d1`, runs and has got revision 1."""
    store = workspace.open_store()
    store.add_deployment(DeploymentRecord("d1", "svc", "local"))
    store.add_revision(RevisionRecord("svc", deployment_id="d1"))
    store.update_deployment("d1", revision=1)
    return store.save_service(ServiceRecord("svc", "local", "Local", workspace_id=workspace.id, deployment_id="d1"))
