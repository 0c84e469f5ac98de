"""The files in a deployment's folder, `deployments/<id>/`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


REQUEST_FILE = "request.json"
JOURNAL_FILE = "events.jsonl"
CANCEL_FILE = "cancel"  # empty; tells the runner to stop
PREWARM_FILE = "ahead.json"  # the identity of the supervisor process that was started before the runner
SOURCE_LIST = "source.json"  # the files that the deployment was asked for
SOURCE_FOLDER = "source"  # copies of their code
RUNNER_LOG = "runner.log"  # standard output and error of the runner


def journal_path(folder: WorkspaceFolder, deployment_id: str) -> Path:
    return folder.deployments / deployment_id / JOURNAL_FILE


def cancel_path(folder: WorkspaceFolder, deployment_id: str) -> Path:
    return folder.deployments / deployment_id / CANCEL_FILE
