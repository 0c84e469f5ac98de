"""What a service is: its state and its read-only attributes, asked for when they are read."""

from __future__ import annotations

from builtins import list as List  # a subclass has a method `list`
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter import engine
from mldeploy_jupyter.api import service_data

if TYPE_CHECKING:
    from mldeploy_jupyter.api.workspace import Workspace
    from mldeploy_jupyter.core.records import RevisionRecord, ServiceRecord

# The states shown and v1's words for them. v1 has none for a stopped service.
STATES = {
    "Deploying": "Transitioning",
    "Updating": "Transitioning",
    "Live": "Healthy",
    "Unhealthy": "Unhealthy",
    "Failed": "Failed",
    "Stopped": "Stopped",
}


class ServiceAttributes:
    """The attributes of the service `name`. Each is read anew; all raise `WebserviceNotFound` when it is gone."""

    _deployment_id = ""  # of the service as it was found

    def __init__(self, workspace: Workspace, name: str) -> None:
        self.workspace = workspace
        self.name = name

    @property
    def _record(self) -> ServiceRecord:
        record = service_data.look(self.workspace, self.name)
        if record is None:
            raise service_data.not_found(self.workspace, self.name)
        return record

    @property
    def state(self) -> str:
        """v1's word: Transitioning, Healthy, Unhealthy, Failed; ours besides: Stopped. Asked of the target now."""
        return STATES[self.shown_state]

    @property
    def shown_state(self) -> str:
        """Deploying, Updating, Live, Unhealthy, Failed or Stopped."""
        record = self._record
        return engine.shown_state(record, engine.look_at_target(self.workspace._folder, record))

    @property
    def compute_type(self) -> str:
        return self._record.compute_type

    @property
    def auth_enabled(self) -> bool:
        return self._record.auth_enabled

    @property
    def token_auth_enabled(self) -> bool:
        """Whether an expiring token is asked for in place of a key (`get_access_token`)."""
        return engine.asks_for_tokens(self.workspace._folder, self._record)

    @property
    def description(self) -> str | None:
        return self._record.description

    @property
    def tags(self) -> dict[str, Any]:
        return dict(self._record.tags)

    @property
    def properties(self) -> dict[str, Any]:
        return dict(self._record.properties)

    @property
    def created_time(self) -> str:
        return self._record.created_time

    @property
    def updated_time(self) -> str:
        return self._record.updated_time

    @property
    def created_by(self) -> str:
        return self._record.created_by

    @property
    def error(self) -> dict[str, Any] | None:
        """The cause of the last deployment's failure as data; None after one that became live."""
        return self._record.error

    @property
    def revision(self) -> int:
        """The number of the revision that serves; 0 before the first is live."""
        return self._record.revision

    @property
    def deployment_id(self) -> str:
        """The deployment that this object began, or the service's last one."""
        return self._deployment_id or self._record.deployment_id

    @property
    def journal(self) -> Path:
        """The deployment's journal (JSON lines)."""
        return self.workspace._folder.deployments / self.deployment_id / engine.JOURNAL

    @property
    def image(self) -> None:
        """v1's image: a service of this version has none, so neither an id nor a digest."""
        return None

    image_id = image_digest = image

    @property
    def models(self) -> List[str]:
        """Ids of the models in the live revision."""
        live = self._live_revision()
        return list(live.models) if live else []

    @property
    def revisions(self) -> List[dict[str, Any]]:
        """Every revision, newest first: number, outcome, models, time, digest of the bundle."""
        return service_data.revisions(self.workspace, self.name)

    def _live_revision(self) -> RevisionRecord | None:
        number = self._record.revision
        return self.workspace._folder.open_store().get_revision(self.name, number) if number else None
