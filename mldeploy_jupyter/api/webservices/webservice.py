"""`Webservice`: a named, running service under v1's names: its state, waiting, scoring, keys and changes."""

from __future__ import annotations

from builtins import list as List  # `Webservice.list` hides the name inside the class
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast

from mldeploy_jupyter import deployment
from mldeploy_jupyter.api.arguments import (
    ModelLike,
    WorkspaceLike,
    check_seconds,
    check_text,
    check_whole_number,
    check_workspace,
)
from mldeploy_jupyter.api.azure_names import SERVICE, AzureNames
from mldeploy_jupyter.api.record_attribute import RecordAttribute
from mldeploy_jupyter.api.webservices import (
    azure_v1,
    control,
    deployments,
    details,
    listing,
    log_text,
    metadata,
    migrated,
    scoring,
    waiting,
)
from mldeploy_jupyter.api.webservices.access_token import WebServiceAccessToken
from mldeploy_jupyter.api.webservices.latency.arguments import METHOD, bind, takes
from mldeploy_jupyter.core.errors import ScoringError, UserErrorException, WebserviceNotFound
from mldeploy_jupyter.core.records import ServiceRecord

if TYPE_CHECKING:
    import requests

    from mldeploy_jupyter.api.webservices.deploy_arguments import Configuration
    from mldeploy_jupyter.api.webservices.inference_config import InferenceConfig
    from mldeploy_jupyter.core.records import DeploymentRecord, RevisionRecord
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
    from mldeploy_jupyter.latency.measuring import Endpoint
    from mldeploy_jupyter.latency.result import LatencyResult

Value = TypeVar("Value")

CANCEL_SECONDS = 5.0  # that `cancel` waits; a runner on this machine ends within one

KINDS: dict[str, type[Webservice]] = {}  # by compute type; each subclass adds itself


class _NotGiven:
    def __repr__(self) -> str:  # as a signature shows it
        return "..."


_NOT_GIVEN: Any = _NotGiven()


class ServiceAttribute(RecordAttribute[ServiceRecord, Value]):
    """A read-only attribute from the service's record, which is read again each time."""


def _find_kind(record: ServiceRecord) -> type[Webservice]:
    return KINDS.get(migrated.compute_type_of(record), Webservice)


class Webservice(azure_v1.OlderDeployMethods, AzureNames):
    """A service of the workspace, found by name: `Webservice(ws, "churn")` returns the subclass of its target.

    Every attribute is read from the workspace each time; all raise `WebserviceNotFound` once the service is gone. With
    `must_exist` False a name that no service has returns an object too.

    Raises:
        WebserviceNotFound: the workspace has no such service, or it runs on another target than this class's.
        UserErrorException: `workspace` is no `Workspace`.
    """

    _azure_owner, _azure_names = "service", SERVICE
    _compute_type: ClassVar[str] = ""
    _deployment_id = ""  # of the deployment that this object began, or the last one when it was found

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "_compute_type" in vars(cls):
            KINDS[cls._compute_type] = cls

    def __new__(cls, workspace: WorkspaceLike, name: str, must_exist: bool = True) -> Webservice:
        read = details.require_record if must_exist else details.find_record
        record = read(check_workspace(workspace), name)
        if record is None:
            return object.__new__(cls)
        kind = _find_kind(record)
        if cls is not Webservice and not issubclass(kind, cls):
            raise WebserviceNotFound(
                f"{name} is not a {cls.__name__}",
                why=f"it runs on {migrated.compute_type_of(record)}",
                hint=f"look it up with Webservice(ws, {name!r})",
            )
        found = object.__new__(kind)
        found._deployment_id = record.deployment_id
        return found

    def __init__(self, workspace: WorkspaceLike, name: str, must_exist: bool = True) -> None:
        self.workspace = workspace
        self.name = name
        self._caller = scoring.ServiceCaller(lambda: self.scoring_uri, self._credential, self._refuse_endpoint)

    @classmethod
    def from_deployment(cls, workspace: WorkspaceLike, record: DeploymentRecord, wait: bool = False) -> Self:
        """The service of a deployment that was begun; `wait` waits for it as `wait_for_deployment`."""
        folder = workspace.find_folder()
        # Read without a check for a dead runner, which would wait for the runner that is starting.
        stored = folder.open_store().get_service(record.service) if folder is not None else None
        if stored is None:
            service = Webservice(workspace, record.service)
        else:
            service = object.__new__(_find_kind(stored))
            Webservice.__init__(service, workspace, record.service)
        service._follow(record, wait)
        return cast("Self", service)

    # Attributes -------------------------------------------------------------------------------------------------

    @property
    def record(self) -> ServiceRecord:
        """The service's record in the store, after a check for a dead runner. Raises `WebserviceNotFound`."""
        return details.require_record(self.workspace, self.name)

    compute_type = ServiceAttribute[str](migrated.compute_type_of, "Local, ACI, AKS or AKSENDPOINT.")
    auth_enabled = ServiceAttribute[bool](lambda record: record.auth_enabled, "Whether requests need a key.")
    description = ServiceAttribute[str | None](lambda record: record.description)
    tags = ServiceAttribute(lambda record: dict(record.tags))
    properties = ServiceAttribute(lambda record: dict(record.properties))
    created_time = ServiceAttribute[str](lambda record: record.created_time, "ISO 8601, in UTC.")
    updated_time = ServiceAttribute[str](lambda record: record.updated_time, "ISO 8601, in UTC.")
    created_by = ServiceAttribute[str](lambda record: record.created_by)
    revision = ServiceAttribute[int](
        lambda record: record.revision, "The number of the revision that serves; 0 before the first is live."
    )

    @property
    def state(self) -> str:
        """v1's state: Transitioning, Healthy, Unhealthy or Failed; also Stopped, which v1 lacked. Asks the target."""
        return details.STATES.get(self.shown_state, "Failed")  # a damaged row may have any value

    @property
    def shown_state(self) -> str:
        """Deploying, Updating, Live, Unhealthy, Failed, Cancelled or Stopped. Asks the target."""
        record = self.record
        return deployment.display_state(record, deployment.query_status(self._folder, record))

    @property
    def error(self) -> dict[str, Any] | None:
        """Why it is unhealthy, or why the last deployment failed; None after a success and during a deployment."""
        record = self.record
        return details.find_error(record, deployment.query_status(self._folder, record))

    @property
    def token_auth_enabled(self) -> bool:
        """Whether requests need an expiring token instead of a key (`get_access_token`)."""
        return deployment.uses_token_auth(self._folder, self.record)

    @property
    def deployment_id(self) -> str:
        """The deployment that this object began, otherwise the service's last one."""
        return self._deployment_id or self.record.deployment_id

    @property
    def journal(self) -> Path:
        """The deployment's journal (JSON lines)."""
        return deployment.journal_path(self._folder, self.deployment_id)

    @property
    def image(self) -> str | None:
        """The name of the image that a container of it runs; None for a process."""
        return self._of_image("image")

    @property
    def image_id(self) -> str | None:
        """The digest of the image's configuration, by which an engine knows it; None for a process."""
        return self._of_image("image_id")

    @property
    def image_digest(self) -> str | None:
        """The digest of the image's manifest; None for a process, and before a registry has the image."""
        return self._of_image("image_digest")

    def receipt(self) -> dict[str, Any]:
        """What the live revision was made of: the digests of its bundle and lock, and the lock's pins.

        Of a container also its image: base with digest, layers with sizes, builder and versions; `sbom` is a list of
        its packages in CycloneDX. {} before the first revision is live.
        """
        from mldeploy_jupyter.api.webservices.receipts import make_receipt

        live = self.live_revision()
        return make_receipt(self._folder, live) if live is not None else {}

    def _of_image(self, name: str) -> str | None:
        live = self.live_revision()
        return (getattr(live, name) or None) if live is not None else None

    @property
    def models(self) -> List[str]:
        """Ids of the models in the live revision."""
        live = self.live_revision()
        return list(live.models) if live else []

    @property
    def revisions(self) -> details.Revisions:
        """Every revision, newest first, as a list of dicts: number, outcome, models, time, digest of the bundle."""
        return details.list_revisions(self._folder, self.record)

    def live_revision(self) -> RevisionRecord | None:
        """The record of the revision that serves; None before the first is live."""
        return details.live_revision(self._folder, self.record)

    @property
    def scoring_uri(self) -> str:
        """The address to post to. Waits for a deployment under way and raises its error."""
        return str(self._ready_record().endpoint.get("scoring_uri", ""))

    @property
    def swagger_uri(self) -> str:
        """The address of the OpenAPI description. Waits as `scoring_uri` does."""
        return str(self._ready_record().endpoint.get("swagger_uri", ""))

    # Waiting, logs and scoring ----------------------------------------------------------------------------------

    def wait_for_deployment(self, show_output: bool = False, timeout_sec: float | None = None) -> None:
        """Waits until the deployment is live, for at most `timeout_sec` seconds. Interrupting ends the waiting only.

        `show_output` prints the stages.

        Raises:
            DeploymentFailed, DeploymentCancelled, DeploymentInterrupted: how it ended.
            DeploymentTimeout: `timeout_sec` seconds have passed; the deployment continues.
            UserErrorException: `timeout_sec` is not a number.
        """
        check_seconds("timeout_sec", timeout_sec)
        waiting.wait_for_deployment(
            self._folder, self.name, self.deployment_id, show=bool(show_output), timeout=timeout_sec
        )

    def update_deployment_state(self) -> None:
        """v1's refresh; attributes are always current. Raises `WebserviceNotFound` when the service is gone."""
        self.record  # noqa: B018

    def get_logs(
        self, num_lines: int = 5000, init: bool = False, raw: bool = False, *, timestamps: bool = False
    ) -> str:
        """The last `num_lines` lines of the service's log.

        A line has the time in UTC, the revision and the beginning of the request's id; the further lines of a
        traceback are indented. `timestamps` gives every line the whole time, process id and request id, `raw` none.
        `init` is v1's and changes nothing, because init() writes to the same log. Raises `UserErrorException` when
        `num_lines` is not a whole number.
        """
        return log_text.read_text(self._folder, self.name, num_lines, raw=raw, timestamps=timestamps)

    def log_entries(self, num_lines: int = 5000) -> list[dict[str, Any]]:
        """The last entries of the log as data: `time`, `level`, `logger`, `message`, `request_id` and so on.

        Raises `UserErrorException` when `num_lines` is not a whole number.
        """
        return log_text.read_entries(self._folder, self.name, num_lines)

    def follow_logs(self, num_lines: int = 20, *, timestamps: bool = False) -> Iterator[str]:
        """Yields the last `num_lines` lines, then new entries as they come, until the service stops.

        The entry of a traceback has several lines, formatted as in `get_logs`. Raises
        `UserErrorException` when `num_lines` is not a whole number.
        """
        return log_text.follow_text(self._folder, self.name, num_lines, timestamps=timestamps)

    def run(self, input_data: Any = _NOT_GIVEN, *, input: Any = _NOT_GIVEN) -> Any:
        """Scores one input: `bytes` and `str` are sent as they are, anything else as JSON.

        Where the service takes a JSON object, an array, a table, a list or a number is sent under the name of the one
        parameter of the script's `run()`; a dict is sent as it is. Tables may be pandas', polars' or pyarrow's.

        Waits for a deployment under way. `input` and `input_data` mean the same; v1 used both.

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
        with self._explained_errors():
            return self._caller.run(data)

    def send(self, body: bytes, content_type: str = "application/json") -> requests.Response:
        """The response to one request, of any status, headers included. `run` is the usual way to score.

        Raises `ScoringError` when there is no response, with the reason.
        """
        with self._explained_errors():
            return self._caller.send(body, {"Content-Type": content_type, "Accept": "*/*"})

    def explain(self, error: ScoringError) -> None:
        """Adds what the script raised and where, if this machine's log has it, to the error of a request."""
        if not isinstance(error, ScoringError):
            raise UserErrorException(
                f"explain() takes a ScoringError, not {type(error).__name__}",
                why="only the error of a request can be explained from the service's log",
                hint="pass the error that service.run() raised",
            )
        scoring.explain_error(self._folder, self.record, error)

    def read_openapi(self) -> dict[str, Any] | None:
        """The OpenAPI document that the service gives now; None when it has none. Raises `ScoringError`."""
        with self._explained_errors():
            return self._caller.read_document()

    @contextmanager
    def _explained_errors(self) -> Iterator[None]:
        """Adds the script's exception to an error of a request in its block."""
        try:
            yield
        except ScoringError as error:
            scoring.explain_error(self._folder, self.record, error)
            raise

    # Measuring --------------------------------------------------------------------------------------------------

    @takes(METHOD)
    def latency(self, *args: Any, **kwargs: Any) -> LatencyResult:
        """Measures the latency of this service, and side by side that of those in `with_`.

        `mldeploy_jupyter.measure_latency([service, *with_], ...)` says what the arguments mean and what is raised.
        """
        from mldeploy_jupyter.api.webservices.latency.measure import measure_latency

        given = bind(METHOD, "latency", (self, *args), kwargs)
        service, others = given.pop("self"), given.pop("with_")
        return measure_latency([service, *(others if isinstance(others, (list, tuple)) else [others])], **given)

    def find_endpoint(self) -> Endpoint:
        """The service's address, verified to be its own, with its key or token.

        Raises `EndpointRefused` when another program may listen there.
        """
        from mldeploy_jupyter.latency.measuring import Endpoint, EndpointRefused

        record = self.record
        uri = str(record.endpoint.get("scoring_uri", ""))
        reason = deployment.refuse_endpoint(self._folder, record, uri) if uri else "none of its revisions is live"
        if reason:
            raise EndpointRefused(
                f"nothing was sent to {self.name}",
                why=reason,
                hint=f"see its state with `mldeploy service show {self.name}`",
            )
        return Endpoint(uri, self._credential())

    def count_requests(self) -> int | None:
        """The number of requests answered since the service started; None when its metrics do not have it."""
        return details.count_requests(self.read_metrics())

    def read_metrics(self) -> str:
        """The service's metrics in Prometheus' text format; "" when it has none. Raises `ScoringError`."""
        with self._explained_errors():
            return self._caller.read_metrics()

    # Keys -------------------------------------------------------------------------------------------------------

    def get_keys(self) -> tuple[str, str]:
        """The primary and the secondary key. Raises `WebserviceException` while the service asks for tokens."""
        keys = deployment.get_keys(self._folder, self.name)
        return keys.primary, keys.secondary

    def regen_key(self, key: str, set_key: str | None = None) -> None:
        """Replaces the "Primary" or the "Secondary" key by `set_key` or a new one, without a restart.

        The other key stays valid. "Token" replaces the secret of the tokens, so that every token stops working. Raises
        `UserErrorException` or `WebserviceException` for a key that cannot be replaced.
        """
        check_text("set_key", set_key)
        deployment.regenerate_key(self._folder, self.name, key, set_key)

    def get_access_token(self) -> WebServiceAccessToken:
        """A token for a service with `token_auth_enabled`: valid for an hour, to be renewed after 45 minutes.

        Send it as `Authorization: Bearer <token>`. `run` sends and renews it automatically.

        Raises:
            WebserviceException: the service does not ask for tokens.
        """
        token = deployment.get_token(self._folder, self.name)
        return WebServiceAccessToken(token.text, "Bearer", token.refresh_after, token.ends)

    def get_token(self) -> tuple[str, datetime]:
        """v1's older form of `get_access_token`: the token, and the local time at which to ask for the next one."""
        token = self.get_access_token()
        return token.access_token, token.refresh_after

    def _credential(self) -> str:
        """The token or key that requests need, or ""."""
        if self.token_auth_enabled:
            return self.get_access_token().access_token
        return self.get_keys()[0] if self.auth_enabled else ""

    def _refuse_endpoint(self, uri: str) -> str:
        """Why the program at `uri` may not be the service, or ""."""
        return deployment.refuse_endpoint(self._folder, self.record, uri)

    # Changing ---------------------------------------------------------------------------------------------------

    def update(
        self,
        models: List[ModelLike | str | Path] | None = None,
        image_config: None = None,
        deployment_config: Configuration | None = None,
        wait: bool = False,
        inference_config: InferenceConfig | None = None,
        *,
        tags: dict[str, Any] | None = None,
        properties: dict[str, Any] | None = None,
        description: str | None = None,
        replay: bool = False,
        detached: bool | None = None,
        **settings: Any,
    ) -> None:
        """Starts a new revision beside the live one and switches traffic when it answers; returns at once.

        What is None stays: `update(models=[m2])` alone keeps the script of the live revision. `settings` are single
        settings of the target's `deploy_configuration` (`auth_enabled=False`, `scoring_timeout_ms=...`). `tags`
        replace, `properties` add. `replay` scores the last request that the live revision answered before the switch,
        and refuses the new one when it answers with a 5xx. `wait` waits as `wait_for_deployment`. `detached` uses a
        separate process, so that the update continues when this one ends; the default is True unless `wait` is or the
        session is interactive.

        Raises:
            UserErrorException: nothing to update, an argument that cannot be used, or `image_config`, which v1 had
                deprecated.
            ConfigError: the settings break a rule.
            DeploymentInProgress: another operation holds the service.
        """
        if image_config is not None:
            raise azure_v1.images_error("update")
        changes = deployments.ServiceUpdate(
            models,
            inference_config,
            deployment_config,
            settings={name: value for name, value in settings.items() if value is not None},
            metadata=metadata.check({"tags": tags, "properties": properties, "description": description}),
            replay=replay,
        )
        detached = deployments.needs_process(detached, wait)
        record = deployments.update(self.workspace, self.name, changes, detached=detached)
        if record is not None:
            self._follow(record, wait)

    def reload(self, wait: bool = False, *, replay: bool = False, detached: bool | None = None) -> None:
        """Reads the entry script and its helpers again and updates the service with them. Raises as `update` does."""
        changes = deployments.ServiceUpdate(reload=True, replay=replay)
        detached = deployments.needs_process(detached, wait)
        self._follow(deployments.begin_update(self.workspace, self.name, changes, detached=detached), wait)

    def rollback(self, revision: int | None = None, wait: bool = False, *, detached: bool | None = None) -> None:
        """Serves an older revision again, by default the newest that was live before this one, and prints its number.

        Raises `WebserviceException` when the revision does not exist, `UserErrorException` when it is not a number.
        """
        if revision is not None:
            revision = check_whole_number("revision", revision, 1)
        detached = deployments.needs_process(detached, wait)
        record = deployments.begin_rollback(self._folder, self.name, revision, detached=detached)
        print(f"{self.name} goes back to what revision {record.request['revision']} was.")
        self._follow(record, wait)

    def cancel(self) -> bool:
        """Cancels the current deployment; the live revision keeps serving. Returns False when there is none.

        Waits up to 5 seconds for the deployment to end, so that another can begin.
        """
        cancelled = deployment.cancel_deployment(self._folder, self.name)
        if cancelled:
            deployment.wait_for_end(self._folder, self.name, CANCEL_SECONDS)
        return cancelled

    def start(self) -> None:
        """Starts a stopped service with the revision it had.

        If its processes died, its keys are replaced, because another program may have taken its port.

        Raises:
            DeploymentFailed: it did not start, for example because another process has its port.
        """
        control.start(self._folder, self.name, details.print_note)

    def stop(self) -> None:
        """Ends the service's processes once their requests are answered; name, keys, revisions and port stay."""
        deployment.control_service(self._folder, self.name, "stop", details.print_note)

    def restart(self) -> None:
        """Replaces the workers of the live revision one by one; no request is lost."""
        deployment.control_service(self._folder, self.name, "restart")

    def delete(self, delete_cache: bool = True, delete_image: bool = False, delete_volume: bool = True) -> None:
        """Removes the service: processes, files, record. The parameters are v1's and have no effect.

        As in v1, a service that does not exist is not an error, only a printed line.
        """
        if details.find_record(self.workspace, self.name) is None:
            print(f"there is no service {self.name}: nothing to delete")
        else:
            deployment.delete_service(self._folder, self.name)
        self._caller.close()

    def add_tags(self, tags: dict[str, Any]) -> None:
        """Adds tags, replacing the value of an existing key. Raises `WebserviceException` when `tags` is not a dict."""
        metadata.change(self._folder, self.name, metadata.add_tags(tags))

    def remove_tags(self, tags: List[str]) -> None:
        """Removes tags by key; unknown keys are ignored. Raises `UserErrorException` when `tags` is not a list."""
        metadata.change(self._folder, self.name, metadata.remove_tags(tags))

    def add_properties(self, properties: dict[str, Any]) -> None:
        """Adds properties. Raises `UserErrorException` when one would change, as properties never do."""
        added = metadata.check({"properties": properties})
        metadata.change(self._folder, self.name, metadata.merge(added))

    # As data ----------------------------------------------------------------------------------------------------

    def serialize(self) -> dict[str, Any]:
        """The service as JSON data with v1's names; without its keys."""
        record = self.record
        live, status = details.live_revision(self._folder, record), deployment.query_status(self._folder, record)
        return details.serialize(record, live, status, workspace=self.workspace.name)

    @classmethod
    def deserialize(cls, workspace: WorkspaceLike, webservice_payload: dict[str, Any]) -> Webservice:
        """The service that `serialize()` described, looked up by its name.

        Raises `UserErrorException` when the payload has no name, `WebserviceNotFound` when there is no such service.
        """
        return cls(workspace, details.name_in_payload(webservice_payload))

    def __repr__(self) -> str:
        record = details.find_record(self.workspace, self.name)
        if record is None:
            return f"{type(self).__name__}(name={self.name!r}, not deployed)"
        uri = record.endpoint.get("scoring_uri")
        where = f", scoring_uri={uri!r}" if uri else ""
        return f"{type(self).__name__}(name={self.name!r}, state={self.state!r}, revision={record.revision}{where})"

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
        """The services of the workspace, including local ones, oldest first; a subclass lists its own only.

        Every given filter must match. `image_name`, with or without its tag, `image_id` and `image_digest` match the
        image of a service in a container. Raises `UserErrorException` for an unknown compute type or a filter of
        another form.
        """
        folder = check_workspace(workspace).find_folder()
        records = listing.list_records(
            folder,
            compute_type,
            model_name,
            model_id,
            tags,
            properties,
            image_name=image_name,
            image_id=image_id,
            image_digest=image_digest,
        )
        wanted = [record for record in records if cls._compute_type in ("", migrated.compute_type_of(record))]
        return [cls._from_record(workspace, record) for record in wanted]

    @classmethod
    def _from_record(cls, workspace: WorkspaceLike, record: ServiceRecord) -> Webservice:
        """As `Webservice(workspace, record.name)`, without a query."""
        service = object.__new__(_find_kind(record))
        Webservice.__init__(service, workspace, record.name)
        service._deployment_id = record.deployment_id
        return service

    # ------------------------------------------------------------------------------------------------------------

    @property
    def _folder(self) -> WorkspaceFolder:
        return self.workspace.folder

    def _ready_record(self) -> ServiceRecord:
        """The record once no deployment is under way. Raises the error of one that was not reported yet."""
        record = self.record
        return self.record if waiting.wait_until_ready(self._folder, record) else record

    def _follow(self, record: DeploymentRecord, wait: bool) -> None:
        """Makes `record` this object's deployment, and waits for it when asked to."""
        self._deployment_id = record.id
        if wait:
            self.wait_for_deployment()
