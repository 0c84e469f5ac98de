"""The state of a running deployment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.journal.journal import Journal
from mldeploy_jupyter.core.records import DeploymentRecord, DeploymentRequest, RevisionRecord
from mldeploy_jupyter.deployment.plan import Inputs
from mldeploy_jupyter.deployment.stages import Stages
from mldeploy_jupyter.targets import Cancel

if TYPE_CHECKING:
    from mldeploy_jupyter.core.bundle.builder import Bundle
    from mldeploy_jupyter.core.store.store import Store
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


@dataclass
class ExecutionState:
    """A running deployment. The stages fill in the fields after the first group as they finish."""

    folder: WorkspaceFolder
    store: Store
    record: DeploymentRecord
    request: DeploymentRequest
    journal: Journal
    stages: Stages
    cancel: Cancel  # raises when the deployment was cancelled or its lease lost
    secrets: dict[str, str]

    revision: RevisionRecord | None = None
    inputs: Inputs | None = None
    bundle: Bundle | None = None
    clients: dict[str, Any] = field(default_factory=dict)
    lock: str = ""  # text of the environment's lock
    environment: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    built_image: str = ""  # the name of the image that was made
    modules: dict[str, str] = field(default_factory=dict)  # what the service had imported after init() and the sample
