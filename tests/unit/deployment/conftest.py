"""A workspace with one service, whose deployment has a journal; nothing runs."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.records import DeploymentRecord, RevisionRecord, ServiceRecord
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder, create_workspace
from tests.polling import wait_until


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


@pytest.fixture
def stopped() -> Iterator[dict[str, Any]]:
    """The identity of a process that a signal has stopped; its command line ends like that of a runner of `d1`."""
    with subprocess.Popen([sys.executable, "-c", "input()", "d1"], stdin=subprocess.PIPE) as process:
        identity = process_identity.identify_process(process.pid)
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: process_identity.is_stopped(identity))
        yield identity
        process.kill()


@pytest.fixture(autouse=True)
def _no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here may reach the container engine of the machine: a prune would remove layers of its user."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
