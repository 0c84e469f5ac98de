"""A workspace with a service of each target."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.records import RevisionRecord, ServiceRecord

TARGETS = {"Local": "local", "ACI": "aci", "AKS": "aks", "AKSENDPOINT": "aks"}


@pytest.fixture
def ws(folder: Path) -> Workspace:
    """A workspace with one service a target."""
    workspace = Workspace.create("test")
    store = workspace.folder.open_store()
    for number, (compute_type, target) in enumerate(TARGETS.items()):
        name = f"on-{compute_type.lower()}"
        record = ServiceRecord(name=name, target=target, compute_type=compute_type, state="Deploying", revision=1)
        store.save_service(record)
        store.add_revision(RevisionRecord(service=name, models=[f"m:{number}"], outcome="live"))
    return workspace
