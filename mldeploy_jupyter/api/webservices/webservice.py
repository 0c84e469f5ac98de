"""`Webservice`: a named, running service, with v1's names: its state, waiting, scoring, keys and changes.

`webservice_kinds` has the class of each target, `webservice_legacy` v1's other ways to make a service. All are
imported from here.
"""

from __future__ import annotations

import sys
import time
from builtins import list as List  # `Webservice.list` hides the name inside the class
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mldeploy_jupyter import deployment
from mldeploy_jupyter.api.arguments import (
    ModelLike,
    WorkspaceLike,
    check_seconds,
    check_text,
    check_whole_number,
    check_workspace,
)
from mldeploy_jupyter.api.webservices import azure_v1, deployments, details, metadata
from mldeploy_jupyter.api.webservices.deployments import deploy
from mldeploy_jupyter.api.webservices.waiting import raise_for, wait_for
from mldeploy_jupyter.core.errors import DeploymentFailed, ScoringError, UserErrorException, WebserviceNotFound

if TYPE_CHECKING:
    from mldeploy_jupyter.core.records import DeploymentRecord, RevisionRecord, ServiceRecord
    from mldeploy_jupyter.core.scoring_client import ScoringClient


__all__ = ["STATES", "Webservice", "deploy"]

KINDS: dict[str, type[Webservice]] = {}  # compute type -> its class; each subclass adds itself

_NOT_GIVEN: Any = object()

LOOK_AGAIN = 1.0  # seconds that `run` trusts its last look at the service


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

    def __init__(self, workspace: WorkspaceLike, name: str) -> None:
        self.workspace = workspace
        self.name = name

    @property
    def record(self) -> ServiceRecord:
        record = details.look(self.workspace, self.name)
        if record is None:
            raise details.not_found(self.workspace, self.name)
        return record

    @property
    def state(self) -> str:
        """v1's word: Transitioning, Healthy, Unhealthy, Failed; ours besides: Stopped. Asked of the target now."""
        return STATES[self.shown_state]

    @property
    def shown_state(self) -> str:
        """Deploying, Updating, Live, Unhealthy, Failed or Stopped."""
        record = self.record
        return deployment.display_state(record, deployment.query_status(self.workspace.folder, record))

    @property
    def compute_type(self) -> str:
        return self.record.compute_type

    @property
    def auth_enabled(self) -> bool:
        return self.record.auth_enabled

    @property
    def token_auth_enabled(self) -> bool:
        """Whether an expiring token is asked for in place of a key (`get_access_token`)."""
        return deployment.uses_token_auth(self.workspace.folder, self.record)

    @property
    def description(self) -> str | None:
        return self.record.description

    @property
    def tags(self) -> dict[str, Any]:
        return dict(self.record.tags)

    @property
    def properties(self) -> dict[str, Any]:
        return dict(self.record.properties)

    @property
    def created_time(self) -> str:
        return self.record.created_time

    @property
    def updated_time(self) -> str:
        return self.record.updated_time

    @property
    def created_by(self) -> str:
        return self.record.created_by

    @property
    def error(self) -> dict[str, Any] | None:
        """The cause of the last deployment's failure as data; None after one that became live."""
        return self.record.error

    @property
    def revision(self) -> int:
        """The number of the revision that serves; 0 before the first is live."""
        return self.record.revision

    @property
    def deployment_id(self) -> str:
        """The deployment that this object began, or the service's last one."""
        return self._deployment_id or self.record.deployment_id

    @property
    def journal(self) -> Path:
        """The deployment's journal (JSON lines)."""
        return deployment.journal_path(self.workspace.folder, self.deployment_id)

    @property
    def image(self) -> None:
        """v1's image: a service of this version has none, so neither an id nor a digest."""
        return None

    image_id = image_digest = image

    @property
    def models(self) -> List[str]:
        """Ids of the models in the live revision."""
        live = self.live_revision()
        return list(live.models) if live else []

    @property
    def revisions(self) -> List[dict[str, Any]]:
        """Every revision, newest first: number, outcome, models, time, digest of the bundle."""
        return details.revisions(self.workspace, self.name)

    def live_revision(self) -> RevisionRecord | None:
        number = self.record.revision
        return self.workspace.folder.open_store().get_revision(self.name, number) if number else None


class Webservice(ServiceAttributes):
    """A service of the workspace, found by name: `Webservice(ws, "churn")` gives the subclass of its target.

    Raises:
        WebserviceNotFound: the workspace has no such service.
    """

    _compute_type: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "_compute_type" in vars(cls):
            KINDS[cls._compute_type] = cls

    def __new__(cls, workspace: WorkspaceLike, name: str, must_exist: bool = True) -> Webservice:
        record = details.look(check_workspace(workspace), name)
        if record is None:
            if must_exist:
                raise details.not_found(workspace, name)
            return object.__new__(cls)
        kind = KINDS.get(record.compute_type, Webservice)
        if cls is not Webservice and not issubclass(kind, cls):
            raise WebserviceNotFound(
                f"{name} is not a {cls.__name__}",
                why=f"it runs on {record.compute_type}",
                hint=f"look it up with Webservice(ws, {name!r})",
            )
        found = object.__new__(kind)
        found._deployment_id = record.deployment_id
        return found

    def __init__(self, workspace: WorkspaceLike, name: str, must_exist: bool = True) -> None:
        super().__init__(workspace, name)
        self._client: ScoringClient | None = None
        self._begun, self._looked = -1, 0.0

    # Waiting and reading ----------------------------------------------------------------------------------------

    @property
    def scoring_uri(self) -> str:
        """Where to post. Waits for a deployment that is under way."""
        return str(self._ready().endpoint.get("scoring_uri", ""))

    @property
    def swagger_uri(self) -> str:
        return str(self._ready().endpoint.get("swagger_uri", ""))

    def wait_for_deployment(self, show_output: bool = False, timeout_sec: float | None = None) -> None:
        """Waits until the deployment is live. Interrupting ends the waiting only.

        Raises:
            DeploymentFailed, DeploymentCancelled, DeploymentInterrupted: how it ended.
            DeploymentTimeout: `timeout_sec` has passed; the deployment goes on.
            UserErrorException: `timeout_sec` is no number.
        """
        check_seconds("timeout_sec", timeout_sec)
        wait_for(self.workspace.folder, self.name, self.deployment_id, show=bool(show_output), timeout=timeout_sec)

    def update_deployment_state(self) -> None:
        """v1's refresh. Every attribute is read anew anyway."""
        self.record  # noqa: B018  raises when the service is gone

    def get_logs(self, num_lines: int = 5000, init: bool = False, raw: bool = False) -> str:
        """The last lines of the service's log. `init` is v1's and changes nothing: init() writes into the same log."""
        num_lines = check_whole_number("num_lines", num_lines, 0)
        lines = deployment.read_logs(self.workspace.folder, self.name, tail=num_lines)
        return "\n".join(line.text if raw else details.log_line(line) for line in lines)

    def log_entries(self, num_lines: int = 5000) -> list[dict[str, Any]]:
        """The last entries of the service's log as data: `time`, `level`, `logger`, `message`, `request_id`, ..."""
        num_lines = check_whole_number("num_lines", num_lines, 0)
        lines = deployment.read_logs(self.workspace.folder, self.name, tail=num_lines)
        return [line.entry or {"time": line.time, "logger": line.source, "message": line.text} for line in lines]

    def follow_logs(self, num_lines: int = 20) -> Iterator[str]:
        """The last lines, then new ones as they come, until the service stops."""
        num_lines = check_whole_number("num_lines", num_lines, 0)
        for line in deployment.read_logs(self.workspace.folder, self.name, tail=num_lines, follow=True):
            yield details.log_line(line)

    def run(self, input_data: Any = _NOT_GIVEN, *, input: Any = _NOT_GIVEN) -> Any:
        """Scores one input: `bytes` and `str` go as they are, anything else as JSON. Waits for a deployment under way.

        `input` is another name for `input_data`: v1 used both.

        Raises:
            ScoringError: any answer but 200; carries the status, the body and the request id.
            UserErrorException: no input, or two.
        """
        if (input_data is _NOT_GIVEN) == (input is _NOT_GIVEN):
            raise UserErrorException(
                "run() needs one input",
                why="none is given" if input is _NOT_GIVEN else "input_data and input are both given",
                hint='call service.run({"data": [[1.0, 2.0]]})',
            )
        data = input if input_data is _NOT_GIVEN else input_data
        try:
            return self._scoring_client().run(data)
        except ScoringError as error:
            if not error.request_id:  # the service did not answer: it may have moved, or does not run
                self._looked = 0.0
                details.explain_silence(self.workspace.folder, self.record, error)
            details.explain(self.workspace.folder, self.record, error)
            raise

    # Keys -------------------------------------------------------------------------------------------------------

    def get_keys(self) -> tuple[str, str]:
        """The primary and the secondary key. Raises `WebserviceException` while the service asks for tokens."""
        keys = deployment.get_keys(self.workspace.folder, self.name)
        return keys.primary, keys.secondary

    def regen_key(self, key: str, set_key: str | None = None) -> None:
        """Replaces the "Primary" or the "Secondary" key, without a restart; the other one stays valid.

        "Token" replaces the secret of the tokens: all that were given stop working, and their holders ask again.
        """
        check_text("set_key", set_key)
        deployment.regenerate_key(self.workspace.folder, self.name, key, set_key)

    def get_access_token(self) -> WebServiceAccessToken:
        """A token for a service with `token_auth_enabled`: valid for an hour, to be renewed after 45 minutes.

        Send it as `Authorization: Bearer <token>`. `run` does so, and renews it, by itself.

        Raises:
            WebserviceException: the service does not ask for tokens.
        """
        token = deployment.get_token(self.workspace.folder, self.name)
        return WebServiceAccessToken(token.text, "Bearer", token.refresh_after, token.ends)

    def get_token(self) -> tuple[str, datetime]:
        """v1's older form of `get_access_token`: the token, and when to ask for the next one (local time)."""
        token = self.get_access_token()
        return token.access_token, token.refresh_after

    def _credential(self) -> str:
        """What opens the service: a token, a key, or "" where it is open."""
        if self.token_auth_enabled:
            return self.get_access_token().access_token
        return self.get_keys()[0] if self.auth_enabled else ""

    # Changing ---------------------------------------------------------------------------------------------------

    def update(
        self,
        models: List[ModelLike] | None = None,
        image_config: Any = None,
        deployment_config: Any = None,
        wait: bool = False,
        inference_config: Any = None,
        *,
        tags: dict[str, Any] | None = None,
        properties: dict[str, Any] | None = None,
        description: str | None = None,
        detached: bool | None = None,
        **settings: Any,
    ) -> None:
        """Makes a new revision beside the live one and switches traffic when it answers; returns at once.

        What is None stays: `update(models=[m2])` alone keeps the script of the live revision. `settings` are single
        settings of the target's `deploy_configuration` (`auth_enabled=False`, `scoring_timeout_ms=...`). `tags`
        replace, `properties` add. `wait` waits as `wait_for_deployment`. `detached` uses a process of its own, so
        that the update goes on when this one ends; by default where nobody waits and this is no interactive session.

        Raises:
            UserErrorException: nothing to update, or `image_config`, which v1 had deprecated.
        """
        if image_config is not None:
            raise azure_v1.no_images("update")
        texts = {"tags": tags, "properties": properties, "description": description}
        changed = {"models": models, "inference_config": inference_config, "deployment_config": deployment_config}
        record = deployments.update(self, changed, settings, texts, detached=_apart(detached, wait))
        if record is not None:
            self._began(record, wait)

    def reload(self, wait: bool = False, *, detached: bool | None = None) -> None:
        """Reads the entry script and its helpers again and updates the service with them."""
        detached = _apart(detached, wait)
        self._began(deployments.begin_update(self.workspace, self.name, reload=True, detached=detached), wait)

    def rollback(self, revision: int | None = None, wait: bool = False, *, detached: bool | None = None) -> None:
        """Serves an older revision again; by default the newest that was live before this one."""
        if revision is not None:
            revision = check_whole_number("revision", revision, 1)
        detached = _apart(detached, wait)
        self._began(deployments.begin_rollback(self.workspace, self.name, revision, detached=detached), wait)

    def cancel(self) -> bool:
        """Cancels the deployment under way; the old revision goes on serving. False when there is none."""
        return deployment.cancel_deployment(self.workspace.folder, self.name)

    def start(self) -> None:
        """Starts a stopped service with the revision it had.

        Raises:
            DeploymentFailed: it could not be started, such as because another process has its port.
        """
        try:
            deployment.control_service(self.workspace.folder, self.name, "start")
        except DeploymentFailed as error:
            if getattr(error.cause, "code", "") == "port-in-use":  # a service keeps its port until it is given another
                error.hint = (
                    f"stop that process, or move the service with `mldeploy service update {self.name} --port N`"
                )
                error.cause = replace(error.cause, hint=error.hint)
            raise

    def stop(self) -> None:
        """Ends the service's processes after their requests; it keeps its name, keys, revisions and port."""
        deployment.control_service(self.workspace.folder, self.name, "stop")

    def restart(self) -> None:
        """Replaces the workers of the live revision one by one; no request is lost."""
        deployment.control_service(self.workspace.folder, self.name, "restart")

    def delete(self, delete_cache: bool = True, delete_image: bool = False, delete_volume: bool = True) -> None:
        """Removes the service: processes, files, record. The parameters are v1's; there is nothing to keep.

        As in v1 a service that is gone already is no error; one line says so.
        """
        if details.look(self.workspace, self.name) is None:
            print(f"there is no service {self.name}: nothing to delete")
        else:
            deployment.delete_service(self.workspace.folder, self.name)
        if self._client is not None:
            self._client.close()

    def add_tags(self, tags: dict[str, Any]) -> None:
        """Adds tags; a key that is there gets the new value."""
        metadata.add_tags(self, tags)

    def remove_tags(self, tags: List[str]) -> None:
        """Removes tags by their keys; a key that is not there is no error."""
        metadata.remove_tags(self, tags)

    def add_properties(self, properties: dict[str, Any]) -> None:
        """Adds properties. One that is there cannot be changed: raises `UserErrorException`."""
        metadata.change(self, metadata.checked({"properties": properties}))

    # Forms ------------------------------------------------------------------------------------------------------

    def serialize(self) -> dict[str, Any]:
        """The service as JSON data, with v1's names. Has no key."""
        return details.serialize(self)

    @classmethod
    def deserialize(cls, workspace: WorkspaceLike, webservice_payload: dict[str, Any]) -> Webservice:
        """The service that `serialize()` described, looked up by its name."""
        return cls(workspace, details.name_in(webservice_payload))

    def __repr__(self) -> str:
        record = details.look(self.workspace, self.name)
        if record is None:
            return f"{type(self).__name__}(name={self.name!r}, not deployed)"
        uri = record.endpoint.get("scoring_uri")
        where = f", scoring_uri={uri!r}" if uri else ""
        return f"{type(self).__name__}(name={self.name!r}, state={self.state!r}, revision={record.revision}{where})"

    # v1's ways to make one --------------------------------------------------------------------------------------

    deploy = staticmethod(azure_v1.deploy_paths)
    deploy_from_model = staticmethod(azure_v1.deploy_from_model)
    deploy_local_from_model = staticmethod(azure_v1.deploy_local_from_model)
    deploy_from_image = staticmethod(azure_v1.deploy_from_image)

    @classmethod
    def list(
        cls,
        workspace: WorkspaceLike,
        compute_type: str | None = None,
        image_name: str | None = None,
        image_id: str | None = None,
        model_name: str | None = None,
        model_id: str | None = None,
        tags: Any = None,
        properties: Any = None,
        image_digest: str | None = None,
    ) -> List[Webservice]:
        """The services of the workspace, local ones too, oldest first; a subclass lists its own only.

        Filters that are given all hold.
        """
        from mldeploy_jupyter.api.webservices.listing import list_services

        found = list_services(
            workspace,
            compute_type,
            model_name,
            model_id,
            tags,
            properties,
            image=image_name or image_id or image_digest,
        )
        return [service for service in found if cls._compute_type in ("", service.compute_type)]

    # ------------------------------------------------------------------------------------------------------------

    def _scoring_client(self) -> ScoringClient:
        """A client of what serves now. Looked up anew when this process began a deployment, and once a second else:
        the look takes longer than a small request."""
        now, begun = time.monotonic(), len(deployments.begun)
        if self._client is None or begun != self._begun or now - self._looked > LOOK_AGAIN:
            uri = str(self._ready().endpoint.get("scoring_uri", ""))
            if self._client is None or self._client.uri != uri:
                from mldeploy_jupyter.core.scoring_client import ScoringClient

                self._client = ScoringClient(uri, self._credential)
            self._begun, self._looked = begun, now
        return self._client

    def _ready(self) -> ServiceRecord:
        """The record once no deployment is under way; raises the error of one that nobody was told of."""
        folder = self.workspace.folder
        record = self.record
        deployment.require_local(folder, record)
        if record.state in ("Deploying", "Updating"):
            print(f"waiting for the deployment of {self.name} ...", flush=True)
            wait_for(folder, self.name, record.deployment_id)
            return self.record
        last = folder.open_store().get_deployment(record.deployment_id)
        if last is not None and (not record.revision or last.id in deployments.unreported):
            deployments.unreported.discard(last.id)
            raise_for(last, serving=record.revision)
        return record

    def _began(self, record: DeploymentRecord, wait: bool) -> None:
        self._deployment_id = record.id
        if wait:
            self.wait_for_deployment()


def _apart(detached: bool | None, wait: bool) -> bool:
    """Whether an update needs a process of its own: this one may end before it does, unless somebody waits or types.

    A thread would not do: from Python 3.12 on none can be started once the main thread has ended.
    """
    return not (wait or hasattr(sys, "ps1")) if detached is None else detached


# The states shown and v1's words for them. v1 has none for a stopped service.


class WebServiceAccessToken:
    """A token, and its times as v1 gave them: `datetime`s in local time without a zone.

    `access_token` goes into the header as `Authorization: Bearer <access_token>`. After `refresh_after` ask for the
    next one; at `expiry_on` it stops working.
    """

    def __init__(self, access_token: str, token_type: str, refresh_after: float, expiry_on: float) -> None:
        """The times are Unix seconds."""
        self.access_token = access_token
        self.token_type = token_type
        self.refresh_after = datetime.fromtimestamp(refresh_after)
        self.expiry_on = datetime.fromtimestamp(expiry_on)

    def serialize(self) -> dict[str, Any]:
        """As JSON data with v1's names, the token in clear; the times have their zone."""
        return {
            "accessToken": self.access_token,
            "tokenType": self.token_type,
            "refreshAfter": self.refresh_after.astimezone().isoformat(timespec="seconds"),
            "expiryOn": self.expiry_on.astimezone().isoformat(timespec="seconds"),
        }

    def __repr__(self) -> str:
        return f"WebServiceAccessToken(access_token=********, expiry_on={self.expiry_on!r})"
