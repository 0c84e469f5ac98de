"""`Webservice`: a named, running service, with v1's names. One class for every target; subclasses add settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mldeploy_jupyter import engine
from mldeploy_jupyter.api import deploying
from mldeploy_jupyter.api.deploy_configuration import (
    aci_configuration,
    aks_configuration,
    aks_endpoint_configuration,
    local_configuration,
)
from mldeploy_jupyter.api.waiting import raise_for, wait_for
from mldeploy_jupyter.core.errors import (
    TargetNotAvailable,
    UserErrorException,
    WebserviceException,
    WebserviceNotFound,
)

if TYPE_CHECKING:
    from mldeploy_jupyter.api.model import Model
    from mldeploy_jupyter.api.workspace import Workspace
    from mldeploy_jupyter.core.client import ScoringClient
    from mldeploy_jupyter.core.records import DeploymentRecord, RevisionRecord, ServiceRecord

# The states shown and v1's words for them. v1 has none for a stopped service.
STATES = {
    "Deploying": "Transitioning",
    "Updating": "Transitioning",
    "Live": "Healthy",
    "Unhealthy": "Unhealthy",
    "Failed": "Failed",
    "Stopped": "Stopped",
}


class Webservice:
    """A service of the workspace, found by name: `Webservice(ws, "churn")` gives the subclass of its target.

    Raises:
        WebserviceNotFound: the workspace has no such service.
    """

    _compute_type: ClassVar[str] = ""

    def __new__(cls, workspace: Workspace, name: str) -> Webservice:
        record = engine.look(workspace._folder, name)
        if record is None:
            raise not_found(workspace, name)
        kind = _CLASSES.get(record.compute_type, Webservice)
        if cls is not Webservice and not issubclass(kind, cls):
            raise WebserviceNotFound(
                f"{name} is not a {cls.__name__}",
                why=f"it runs on {record.compute_type}",
                hint=f"look it up with Webservice(ws, {name!r})",
            )
        return object.__new__(kind)

    def __init__(self, workspace: Workspace, name: str) -> None:
        self.workspace = workspace
        self.name = name
        self._client: ScoringClient | None = None
        self._deployment_id = self._record.deployment_id

    # What it is -------------------------------------------------------------------------------------------------

    @property
    def _record(self) -> ServiceRecord:
        record = engine.look(self.workspace._folder, self.name)
        if record is None:
            raise not_found(self.workspace, self.name)
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
        return False

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
        return self._deployment_id

    @property
    def journal(self) -> Path:
        """The deployment's journal (JSON lines)."""
        return self.workspace._folder.deployments / self._deployment_id / engine.JOURNAL

    @property
    def models(self) -> list[str]:
        """Ids of the models in the live revision."""
        live = self._live_revision()
        return list(live.models) if live else []

    @property
    def revisions(self) -> list[dict[str, Any]]:
        """Every revision, newest first: number, outcome, models, time, digest of the bundle."""
        keys = ("number", "outcome", "models", "created_time", "bundle_digest", "deployment_id", "rolled_back_to")
        found = self.workspace._folder.open_store().list_revisions(self.name)
        ordered = sorted(found, key=lambda revision: -revision.number)
        return [{key: revision.to_dict()[key] for key in keys} for revision in ordered]

    @property
    def scoring_uri(self) -> str:
        """Where to post. Waits for a deployment that is under way."""
        return str(self._ready().endpoint.get("scoring_uri", ""))

    @property
    def swagger_uri(self) -> str:
        return str(self._ready().endpoint.get("swagger_uri", ""))

    # Waiting and reading ----------------------------------------------------------------------------------------

    def wait_for_deployment(self, show_output: bool = False, timeout_sec: float | None = None) -> None:
        """Waits until the deployment is live. Interrupting ends the waiting only.

        Raises:
            DeploymentFailed, DeploymentCancelled, DeploymentInterrupted: how it ended.
            DeploymentTimeout: `timeout_sec` has passed; the deployment goes on.
        """
        wait_for(self.workspace._folder, self.name, self._deployment_id, show=bool(show_output), timeout=timeout_sec)

    def update_deployment_state(self) -> None:
        """v1's refresh. Every attribute is read anew anyway."""
        self._record  # noqa: B018  raises when the service is gone

    def get_logs(self, num_lines: int = 5000, init: bool = False, raw: bool = False) -> str:
        """The last lines of the service's log. `init` (v1: of init containers) has no lines of its own here."""
        lines = [] if init else list(engine.logs(self.workspace._folder, self.name, tail=num_lines))
        return "\n".join(line.text if raw else _log_line(line) for line in lines)

    def follow_logs(self, num_lines: int = 20) -> Iterator[str]:
        """The last lines, then new ones as they come, until the service stops."""
        for line in engine.logs(self.workspace._folder, self.name, tail=num_lines, follow=True):
            yield _log_line(line)

    def run(self, input_data: Any) -> Any:
        """Scores one input: `bytes` and `str` go as they are, anything else as JSON. Waits for a deployment under way.

        Raises:
            ScoringError: any answer but 200; carries the status, the body and the request id.
        """
        uri = str(self._ready().endpoint.get("scoring_uri", ""))
        if self._client is None or self._client.uri != uri:
            from mldeploy_jupyter.core.client import ScoringClient

            self._client = ScoringClient(uri, lambda: self.get_keys()[0] if self.auth_enabled else "")
        return self._client.run(input_data)

    # Keys -------------------------------------------------------------------------------------------------------

    def get_keys(self) -> tuple[str, str]:
        """The primary and the secondary key."""
        keys = engine.get_keys(self.workspace._folder, self.name)
        return keys.primary, keys.secondary

    def regen_key(self, key: str, set_key: str | None = None) -> None:
        """Replaces the "Primary" or the "Secondary" key, without a restart; the other one stays valid."""
        engine.regen_key(self.workspace._folder, self.name, key, set_key)

    def get_token(self) -> tuple[str, str]:
        raise TargetNotAvailable(
            f"{self.name} gives no tokens",
            why="this version opens services with keys",
            hint="call get_keys(); the header is the same: Authorization: Bearer <key>",
        )

    get_access_token = get_token

    # Changing ---------------------------------------------------------------------------------------------------

    def update(
        self,
        models: list[Model] | None = None,
        image_config: Any = None,
        deployment_config: Any = None,
        wait: bool = False,
        inference_config: Any = None,
        *,
        tags: dict[str, Any] | None = None,
        properties: dict[str, Any] | None = None,
        description: str | None = None,
        detached: bool = False,
        **settings: Any,
    ) -> None:
        """Makes a new revision beside the live one and switches traffic when it answers; returns at once.

        What is None stays: `update(models=[m2])` alone keeps the script of the live revision. `settings` are single
        settings of the target's `deploy_configuration` (`auth_enabled=False`, `scoring_timeout_ms=...`). `tags`
        replace, `properties` add. `wait` waits as `wait_for_deployment`. `detached` uses a process of its own, so
        that the update goes on when this one ends.

        Raises:
            UserErrorException: nothing to update, or `image_config`, which v1 had deprecated.
        """
        if image_config is not None:
            raise no_images("update")
        settings = {name: value for name, value in settings.items() if value is not None}
        texts = {"tags": tags, "properties": properties, "description": description}
        texts = {name: value for name, value in texts.items() if value is not None}
        big = models is not None or inference_config is not None or deployment_config is not None or settings
        if not big and not texts:
            raise UserErrorException(
                f"nothing to update in {self.name}",
                why="every parameter is None",
                hint="pass models=, inference_config=, deployment_config= or a setting such as auth_enabled=",
            )
        if not big:
            self._describe(**texts)
            return
        record = deploying.begin_update(
            self.workspace,
            self.name,
            models=models,
            inference_config=inference_config,
            deployment_config=deployment_config,
            settings={**settings, **texts},
            detached=detached,
        )
        self._began(record, wait)

    def reload(self, wait: bool = False, *, detached: bool = False) -> None:
        """Reads the entry script and its helpers again and updates the service with them."""
        self._began(deploying.begin_update(self.workspace, self.name, reload=True, detached=detached), wait)

    def rollback(self, revision: int | None = None, wait: bool = False, *, detached: bool = False) -> None:
        """Serves an older revision again; by default the newest that was live before this one."""
        self._began(deploying.begin_rollback(self.workspace, self.name, revision, detached=detached), wait)

    def cancel(self) -> bool:
        """Cancels the deployment under way; the old revision goes on serving. False when there is none."""
        return engine.cancel(self.workspace._folder, self.name)

    def start(self) -> None:
        """Starts a stopped service with the revision it had."""
        engine.control(self.workspace._folder, self.name, "start")

    def stop(self) -> None:
        """Ends the service's processes after their requests; it keeps its name, keys, revisions and port."""
        engine.control(self.workspace._folder, self.name, "stop")

    def restart(self) -> None:
        """Replaces the workers of the live revision one by one; no request is lost."""
        engine.control(self.workspace._folder, self.name, "restart")

    def delete(self, delete_cache: bool = True, delete_image: bool = False, delete_volume: bool = True) -> None:
        """Removes the service: processes, files, record. The parameters are v1's; there is nothing to keep."""
        engine.delete(self.workspace._folder, self.name)
        if self._client is not None:
            self._client.close()

    def add_tags(self, tags: dict[str, Any]) -> None:
        self._describe(tags={**self.tags, **tags})

    def remove_tags(self, tags: list[str]) -> None:
        self._describe(tags={key: value for key, value in self.tags.items() if key not in tags})

    def add_properties(self, properties: dict[str, Any]) -> None:
        """Adds properties. One that is there cannot be changed."""
        again = sorted(set(properties) & set(self.properties))
        if again:
            raise UserErrorException(
                f"the property {again[0]} is there already", why="properties never change", hint="use a tag"
            )
        self._describe(properties=properties)

    # Forms ------------------------------------------------------------------------------------------------------

    def serialize(self) -> dict[str, Any]:
        """The service as JSON data, with v1's names. Has no key."""
        record, live = self._record, self._live_revision()
        return {
            "name": record.name,
            "description": record.description,
            "tags": record.tags,
            "properties": record.properties,
            "state": self.state,
            "createdTime": record.created_time,
            "updatedTime": record.updated_time,
            "error": record.error,
            "computeType": record.compute_type,
            "workspaceName": self.workspace.name,
            "authEnabled": record.auth_enabled,
            "scoringUri": record.endpoint.get("scoring_uri"),
            "swaggerUri": record.endpoint.get("swagger_uri"),
            "port": record.endpoint.get("port"),
            "createdBy": record.created_by,
            "revision": record.revision,
            "models": live.models if live else [],
            "bundleDigest": live.bundle_digest if live else None,
            "environment": live.environment if live else None,
            "deploymentId": record.deployment_id,
        }

    def __repr__(self) -> str:
        record = self._record
        uri = record.endpoint.get("scoring_uri")
        where = f", scoring_uri={uri!r}" if uri else ""
        return f"{type(self).__name__}(name={self.name!r}, state={self.state!r}, revision={record.revision}{where})"

    # v1's ways to make one --------------------------------------------------------------------------------------

    @staticmethod
    def deploy(
        workspace: Workspace,
        name: str,
        model_paths: list[str],
        image_config: Any,
        deployment_config: Any = None,
        deployment_target: Any = None,
        overwrite: bool = False,
    ) -> Webservice:
        """Registers each path under its file's name, then deploys them. `image_config` is an InferenceConfig."""
        from mldeploy_jupyter.api.model import Model

        models = [Model.register(workspace, str(path), Path(path).name[:30]) for path in model_paths]
        return deploy(workspace, name, models, image_config, deployment_config, deployment_target, overwrite)

    @staticmethod
    def deploy_from_model(
        workspace: Workspace,
        name: str,
        models: list[Model],
        image_config: Any,
        deployment_config: Any = None,
        deployment_target: Any = None,
        overwrite: bool = False,
    ) -> Webservice:
        """As `Model.deploy`. `image_config` is an InferenceConfig: there are no v1 images here."""
        return deploy(workspace, name, models, image_config, deployment_config, deployment_target, overwrite)

    @staticmethod
    def deploy_local_from_model(
        workspace: Workspace,
        name: str,
        models: list[Model],
        image_config: Any,
        deployment_config: Any = None,
        wait: bool = False,
    ) -> Webservice:
        service = deploy(workspace, name, models, image_config, deployment_config, overwrite=True)
        if wait:
            service.wait_for_deployment()
        return service

    @staticmethod
    def deploy_from_image(*args: Any, **kwargs: Any) -> Webservice:
        raise no_images("deploy_from_image")

    @staticmethod
    def list(
        workspace: Workspace,
        compute_type: str | None = None,
        image_name: str | None = None,
        image_id: str | None = None,
        model_name: str | None = None,
        model_id: str | None = None,
        tags: Any = None,
        properties: Any = None,
        image_digest: str | None = None,
    ) -> list[Webservice]:
        """The services of the workspace, local ones too, oldest first. Filters that are given all hold."""
        from mldeploy_jupyter.api.service_list import list_services

        return list_services(
            workspace,
            compute_type,
            model_name,
            model_id,
            tags,
            properties,
            image=image_name or image_id or image_digest,
        )

    # ------------------------------------------------------------------------------------------------------------

    def _ready(self) -> ServiceRecord:
        """The record once no deployment is under way; raises the error of one that nobody was told of."""
        folder = self.workspace._folder
        record = self._record
        if record.state in ("Deploying", "Updating"):
            print(f"waiting for the deployment of {self.name} ...", flush=True)
            wait_for(folder, self.name, record.deployment_id)
            return self._record
        last = folder.open_store().get_deployment(record.deployment_id)
        if last is not None and (not record.revision or last.id in deploying.unreported):
            deploying.unreported.discard(last.id)
            raise_for(last, serving=record.revision)
        return record

    def _live_revision(self) -> RevisionRecord | None:
        number = self._record.revision
        return self.workspace._folder.open_store().get_revision(self.name, number) if number else None

    def _began(self, record: DeploymentRecord, wait: bool) -> None:
        self._deployment_id = record.id
        if wait:
            self.wait_for_deployment()

    def _describe(self, **texts: Any) -> None:
        if "properties" in texts:
            texts["properties"] = {**self.properties, **texts["properties"]}
        self.workspace._folder.open_store().update_service(self.name, **texts)


class LocalWebservice(Webservice):
    """A service on this machine: a process that listens on 127.0.0.1."""

    _compute_type = "Local"
    deploy_configuration = staticmethod(local_configuration)

    @property
    def port(self) -> int | None:
        """The port, None before the first revision is live."""
        return self._record.endpoint.get("port")


class AciWebservice(Webservice):
    """A service on Azure Container Instances."""

    _compute_type = "ACI"
    deploy_configuration = staticmethod(aci_configuration)


class AksWebservice(Webservice):
    """A service on Kubernetes."""

    _compute_type = "AKS"
    deploy_configuration = staticmethod(aks_configuration)


class AksEndpoint(AksWebservice):
    """Versions of a service that share its traffic, on Kubernetes."""

    _compute_type = "AKSENDPOINT"
    deploy_configuration = staticmethod(aks_endpoint_configuration)


_CLASSES: dict[str, type[Webservice]] = {
    cls._compute_type: cls for cls in (LocalWebservice, AciWebservice, AksWebservice, AksEndpoint)
}


def deploy(
    workspace: Workspace,
    name: str,
    models: Any,
    inference_config: Any = None,
    deployment_config: Any = None,
    deployment_target: Any = None,
    overwrite: bool = False,
    show_output: bool = False,
    *,
    clients: dict[str, Any] | None = None,
) -> Webservice:
    """The body of `Model.deploy`, which has its documentation."""
    if deployment_target is not None:
        raise TargetNotAvailable(
            "deployment_target is not in this version",
            why="clusters come with the Kubernetes target",
            hint="leave it out and pass LocalWebservice.deploy_configuration()",
        )
    record = deploying.begin_deploy(
        workspace, name, models, inference_config, deployment_config, overwrite=overwrite, clients=clients
    )
    service = Webservice(workspace, name)
    service._began(record, False)
    if show_output:
        service.wait_for_deployment(show_output=True)
    return service


def not_found(workspace: Workspace, name: str) -> WebserviceException:
    import difflib

    names = [record.name for record in workspace._folder.open_store().list_services()]
    near = difflib.get_close_matches(str(name), names, n=1)
    return WebserviceNotFound(
        f"there is no service {name!r} in the workspace {workspace.name}",
        why=f"its services are: {', '.join(sorted(names)) or 'none'}",
        hint=f"did you mean {near[0]!r}?" if near else "see every workspace's with `mldeploy service list --all`",
    )


def no_images(call: str) -> UserErrorException:
    return UserErrorException(
        f"{call} with an image is not supported",
        why="v1 had deprecated its images; a service is made from models and an InferenceConfig",
        hint="pass inference_config=InferenceConfig(entry_script=...) to Model.deploy or update",
    )


def _log_line(line: Any) -> str:
    return f"{line.time} [{line.source}] {line.text}" if line.time else str(line.text)
