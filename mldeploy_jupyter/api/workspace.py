"""`Workspace`: the folder that holds models and services, under the names of the Azure ML SDK v1."""

from __future__ import annotations

import shlex
from builtins import list as List  # `Workspace.list` hides the name inside the class
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.api.arguments import azure_method, note_ignored
from mldeploy_jupyter.core.errors import WorkspaceError
from mldeploy_jupyter.core.files import make_private_dir, write_json
from mldeploy_jupyter.core.workspace import folder as folders
from mldeploy_jupyter.core.workspace import known_workspaces
from mldeploy_jupyter.core.workspace.azure_config import find_azure_config
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

if TYPE_CHECKING:
    from mldeploy_jupyter.api.models import Model
    from mldeploy_jupyter.api.runs import Run
    from mldeploy_jupyter.deployment.prune import PruneReport


AZURE_SETTINGS = ("subscription_id", "resource_group", "workspace_name", "location")

# v1's parameters for what Azure makes with a workspace.
CREATE_IGNORED = (
    *("create_resource_group", "sku", "storage_account", "key_vault", "app_insights", "container_registry"),
    *("adb_workspace", "primary_user_assigned_identity", "cmk_keyvault", "resource_cmk_uri", "hbi_workspace"),
    *("default_cpu_compute_target", "default_gpu_compute_target", "private_endpoint_config"),
    *("private_endpoint_auto_approval", "user_assigned_identity_for_cmk_encryption"),
    *("system_datastores_auth_mode", "v1_legacy_mode"),
)

UPDATE_IGNORED = (
    *("image_build_compute", "service_managed_resources_settings", "primary_user_assigned_identity"),
    *("allow_public_access_when_behind_vnet", "v1_legacy_mode", "container_registry", "app_insights"),
)


class Workspace:
    """A workspace: a folder `.mldeploy/` with the store of models and services and the artifacts.

    `Workspace()` is the workspace of the current directory, as every command finds it. When there is none, the first
    write makes it there and says so; reads find nothing. The Azure settings are kept for the Azure targets; `auth` is
    accepted for v1 and not used: targets find credentials themselves.
    """

    def __init__(
        self,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        workspace_name: str | None = None,
        auth: Any = None,
        *,
        path: str | Path | None = None,
    ) -> None:
        self._azure = _given(
            subscription_id=subscription_id, resource_group=resource_group, workspace_name=workspace_name
        )
        start = None if path is None else Path(path).expanduser().absolute()
        self._made: WorkspaceFolder | None = folders.find_workspace(start)
        self.start: Path = start or (self._made.root.parent if self._made else Path.cwd())

    @classmethod
    def _of(cls, folder: WorkspaceFolder, azure: dict[str, str] | None = None) -> Workspace:
        """The workspace of a folder that is there."""
        workspace = cls.__new__(cls)
        workspace._azure = azure or {}
        workspace.start = folder.root.parent
        workspace._made = folder
        return workspace

    @classmethod
    def create(
        cls,
        name: str | None = None,
        auth: Any = None,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        location: str | None = None,
        *,
        path: str | Path = ".",
        exist_ok: bool = False,
        store: str | None = None,
        artifacts: str | None = None,
        tags: dict[str, Any] | None = None,
        friendly_name: str | None = None,
        show_output: bool = True,
        **azure_resources: Any,
    ) -> Workspace:
        """Makes `.mldeploy/` in `path`. `name` defaults to the folder's.

        `store` is a database URL (default: SQLite in the folder; a team's: `postgresql+psycopg://...`), `artifacts` a
        folder or any fsspec URL. With `exist_ok` a workspace that is there is given back. v1's parameters for Azure
        resources (`sku`, `storage_account`...) are ignored with a note; `show_output` False leaves the note out.
        Raises `WorkspaceError`.
        """
        note_ignored("Workspace.create", azure_resources, CREATE_IGNORED, show=show_output)
        azure = _given(subscription_id=subscription_id, resource_group=resource_group, location=location)
        kept = {"tags": _tags(tags), "friendly_name": friendly_name}
        folder = folders.create_workspace(
            path, name=name, store=store, artifacts=artifacts, exist_ok=exist_ok, **azure, **kept
        )
        return cls._of(folder)

    @classmethod
    def get(
        cls,
        name: str | None = None,
        auth: Any = None,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        location: str | None = None,
        cloud: str = "AzureCloud",
        id: str | None = None,
        *,
        path: str | Path | None = None,
    ) -> Workspace:
        """The workspace of `path` or the current directory; with `name`, else the known one of that name.

        With the `id` of a known workspace, that one; an id of Azure's is ignored with a note, as is another `cloud`.
        Raises `WorkspaceError` when there is none, or when two have the name.
        """
        azure = _given(subscription_id=subscription_id, resource_group=resource_group, location=location)
        known = by_id(id) if id else None
        if known is not None:
            return cls._of(known, azure)
        elsewhere = {"cloud": None if cloud == "AzureCloud" else cloud, "id": id}
        note_ignored("Workspace.get", elsewhere, elsewhere)
        folder = folders.find_workspace(path)
        if folder is not None and name in (None, folder.config.name):
            return cls._of(folder, azure)
        if name is None:
            raise none_here(Path(path or "."))
        if path is not None:
            raise WorkspaceError(
                f"there is no workspace {name!r} at {path}",
                why=f"the one there has the name {folder.config.name!r}" if folder else "there is none",
                hint=f"Workspace.get(name={name!r}) looks among all known ones",
            )
        return cls._of(by_name(name), azure)

    @classmethod
    def list(
        cls, subscription_id: str | None = None, auth: Any = None, resource_group: str | None = None
    ) -> dict[str, List[Workspace]]:
        """The workspaces this user has made or written to, by name; those that carry other Azure names are left out."""
        wanted = _given(subscription_id=subscription_id, resource_group=resource_group)
        found: dict[str, List[Workspace]] = {}
        for folder in folders.list_workspaces():
            if all(getattr(folder.config, key) in (None, value) for key, value in wanted.items()):
                found.setdefault(folder.config.name, []).append(cls._of(folder))
        return found

    @classmethod
    def from_config(
        cls,
        path: str | Path | None = None,
        auth: Any = None,
        _logger: Any = None,
        _file_name: str | None = None,
    ) -> Workspace:
        """The workspace of `path` or the current directory, with the Azure settings of a `config.json` found upwards.

        Looks for `.mldeploy/`, and for `.azureml/config.json`, `aml_config/config.json` or `config.json` as v1 does;
        `path` is a folder to start in or such a file. Where there is only an Azure file, the first write makes
        `.mldeploy/` beside it. Raises `WorkspaceError` when there is neither.
        """
        start = Path(path or ".").expanduser().absolute()
        if not start.exists():
            raise WorkspaceError(
                f"there is no such file or folder: {path}",
                why=f"it was looked for in {start.parent}",
                hint="name a folder, or the config.json itself",
            )
        azure = find_azure_config(start, _file_name)
        folder = folders.find_workspace(start.parent if start.is_file() else None if path is None else start)
        if folder is not None:
            return cls._of(folder, azure[1] if azure else None)
        if azure is None:
            raise none_here(start)
        file, settings = azure
        beside = file.parent.parent if file.parent.name in (".azureml", "aml_config") else file.parent
        workspace = cls(path=beside)
        workspace._azure = settings
        return workspace

    def write_config(self, path: str | Path | None = None, file_name: str | None = None) -> None:
        """Writes the Azure settings to `<path>/.azureml/config.json` (default: beside the workspace), as v1 does."""
        target = Path(path).expanduser() if path else self.start
        folder = target if target.name == ".azureml" else target / ".azureml"
        make_private_dir(folder)
        settings = {key: self._setting(key) or "" for key in ("subscription_id", "resource_group")}
        write_json(folder / (file_name or "config.json"), {**settings, "workspace_name": self.name})

    def get_details(self) -> dict[str, Any]:
        """Id, name, place, store, artifacts and Azure settings."""
        folder = self._made
        return {
            "id": folder.config.id if folder else None,
            "name": self.name,
            "path": str(folder.root) if folder else None,
            "store": _without_password(folder.store_url) if folder else None,
            "artifacts": folder.artifacts_url if folder else None,
            **{key: self._setting(key) for key in AZURE_SETTINGS},
            "friendly_name": folder.config.friendly_name if folder else None,
            "description": folder.config.description if folder else None,
            "tags": self.tags,
        }

    def update(
        self,
        friendly_name: str | None = None,
        description: str | None = None,
        tags: dict[str, Any] | None = None,
        **azure_resources: Any,
    ) -> dict[str, Any]:
        """Keeps a friendly name, a description and tags; what is None stays. Returns `get_details()`."""
        note_ignored("Workspace.update", azure_resources, UPDATE_IGNORED)
        changes = {"friendly_name": friendly_name, "description": description, "tags": _tags(tags)}
        changes = {key: value for key, value in changes.items() if value is not None}
        self._made = self.folder.with_config(**changes) if changes else self._made
        return self.get_details()

    def delete(self, delete_dependent_resources: bool = False, no_wait: bool = False) -> None:
        """Deletes `.mldeploy/` with its models, runs and environments; the parameters are v1's and have no effect.

        A store or artifacts elsewhere stay. Raises `WorkspaceError` while there are services.
        """
        folder = self.find_folder()
        if folder is None:
            raise none_here(self.start)
        delete(folder)
        self._made = None

    def get_run(self, run_id: str) -> Run:
        """The run of that id. Raises `RunEnvironmentException`."""
        from mldeploy_jupyter.api.runs import Run

        return Run(self, run_id)

    def register_model(self, model_path: str, model_name: str) -> Model:
        """Registers a file or folder; see `Model.register`, which has more parameters."""
        from mldeploy_jupyter.api.models import Model

        return Model.register(self, model_path, model_name)

    def get_mlflow_tracking_uri(self) -> str:
        """The tracking URI that MLflow uses here. Raises `RunEnvironmentException` without MLflow."""
        from mldeploy_jupyter.api.runs.mlflow_run import get_tracking_uri

        return get_tracking_uri()

    get_default_datastore = azure_method(
        "get_default_datastore",
        "a workspace here is a folder, and keeps no data sets",
        "read your files with pandas or numpy, then Model.register(workspace, path, name)",
    )
    get_default_keyvault = azure_method(
        "get_default_keyvault",
        "this package keeps no secrets of yours",
        "read the secret from os.environ; a service's keys are service.get_keys()",
    )
    get_default_compute_target = azure_method(
        "get_default_compute_target",
        "a workspace here has no clusters",
        "deploy on this machine: Model.deploy(ws, name, models, inference_config)",
    )

    @property
    def tags(self) -> dict[str, Any]:
        return dict(self._made.config.tags or {}) if self._made else {}

    @property
    def compute_targets(self) -> dict[str, Any]:
        """Empty: this version has no clusters."""
        return {}

    datastores = datasets = images = compute_targets

    @property
    def name(self) -> str:
        """The workspace's name: `config.json`'s, else the Azure one, else the folder's."""
        if self._made is not None:
            return self._made.config.name
        start = self.start
        return self._azure.get("workspace_name") or start.name or "workspace"

    @property
    def subscription_id(self) -> str | None:
        return self._setting("subscription_id")

    @property
    def resource_group(self) -> str | None:
        return self._setting("resource_group")

    @property
    def location(self) -> str | None:
        return self._setting("location")

    @property
    def models(self) -> dict[str, Model]:
        """The latest version of every model, by name."""
        from mldeploy_jupyter.api.models import Model

        return {model.name: model for model in Model.list(self, latest=True)}

    @property
    def webservices(self) -> dict[str, Any]:
        """Every service, by name."""
        from mldeploy_jupyter.api.webservices.webservice import Webservice

        return {service.name: service for service in Webservice.list(self)} if self.find_folder() else {}

    @property
    def environments(self) -> dict[str, Any]:
        """The latest version of every registered environment, by name."""
        from mldeploy_jupyter.api.environments.environment import Environment

        return dict(Environment.list(self)) if self.find_folder() else {}

    @property
    def folder(self) -> WorkspaceFolder:
        """The folder, for writing: made, with one line of output, when it is not there yet."""
        return self.make_folder()

    def make_folder(self, announce: Callable[[str], object] = print) -> WorkspaceFolder:
        if self._made is None:
            # The name that was shown so far stays, though the folder may have another.
            self._made = folders.ensure_workspace(self.start, announce, name=self.name)
            changes = {key: value for key, value in self._azure.items() if value}
            if changes:
                self._made = self._made.with_config(**changes)
        known_workspaces.remember_root(self._made.root)
        return self._made

    def find_folder(self) -> WorkspaceFolder | None:
        """The folder, or None when nothing was written yet."""
        if self._made is None:
            self._made = folders.find_workspace(self.start)
        return self._made

    def _setting(self, key: str) -> str | None:
        return self._azure.get(key) or (getattr(self._made.config, key) if self._made else None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Workspace) and (self.start, self._made) == (other.start, other._made)

    def __hash__(self) -> int:
        return hash(self.start)

    def __repr__(self) -> str:
        place = self._made.root if self._made else f"not made yet, in {self.start}"
        return f"Workspace(name={self.name!r}, path={str(place)!r})"


def prune(workspace: Workspace, *, keep_deployments: int = 20, dry_run: bool = False) -> PruneReport:
    """Removes old deployments and what only they used.

    Each service keeps its newest `keep_deployments` deployments with their journals (and always its last, the one
    that serves and one that runs), every bundle that serves, is pending, or belongs to one of these, and every file
    of a registered model. The rest is removed: older deployments, bundles, files of deleted models, folders of
    deleted services, leftovers of killed commands, and the shared environments that no workspace of this user needs.
    With `dry_run` nothing is removed. Raises `UserErrorException` when `keep_deployments` is not a whole number of
    at least 0.
    """
    from mldeploy_jupyter.deployment.prune import prune_workspace

    return prune_workspace(workspace.find_folder(), keep_deployments=keep_deployments, dry_run=dry_run)


def _given(**settings: str | None) -> dict[str, str]:
    return {key: value for key, value in settings.items() if value}


def _tags(tags: Any) -> dict[str, Any] | None:
    from mldeploy_jupyter.api.arguments import check_json_dict

    return None if tags is None else check_json_dict("tags", tags)


def _without_password(url: str) -> str:
    if "@" not in url:
        return url
    from sqlalchemy import make_url

    return make_url(url).render_as_string(hide_password=True)


def by_id(id: str) -> WorkspaceFolder | None:
    return next((folder for folder in folders.list_workspaces() if folder.id == id), None)


def by_name(name: str) -> WorkspaceFolder:
    """The one known workspace of that name. Raises `WorkspaceError` for none and for several."""
    known = folders.list_workspaces()
    found = [folder for folder in known if folder.config.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise WorkspaceError(
            f"more than one workspace has the name {name!r}",
            why=", ".join(str(folder.root) for folder in found),
            hint=f"name its folder, such as {found[0].root.parent}",
        )
    names = ", ".join(sorted({folder.config.name for folder in known})) or "none"
    raise WorkspaceError(
        f"there is no workspace {name!r}",
        why=f"known workspaces: {names}",
        hint=f"mldeploy workspace create -n {shlex.quote(name)}",
    )


def none_here(start: Path) -> WorkspaceError:
    return WorkspaceError(
        f"there is no workspace in {start.absolute()} or above it",
        why="neither .mldeploy/ nor .azureml/config.json was found",
        hint="Workspace.create(), or mldeploy workspace create",
    )


def delete(folder: WorkspaceFolder) -> None:
    """Deletes the folder `.mldeploy/`. Raises `WorkspaceError` while the workspace has services."""
    services = sorted(record.name for record in folder.open_store().list_services())
    if services:
        raise WorkspaceError(
            f"the workspace {folder.config.name} has services: {', '.join(services)}",
            why="deleting it would leave their processes without an owner",
            hint=f"mldeploy service delete -n {services[0]}",
        )
    folders.delete_workspace(folder)
