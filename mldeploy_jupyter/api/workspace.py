"""`Workspace`: the folder that holds models and services, under the names of the Azure ML SDK v1.

It is on top of the API and hands out the objects of the other rooms, which are imported on use: each takes longer to
load than a workspace.
"""

from __future__ import annotations

import shlex
from builtins import list as List  # `Workspace.list` hides the name inside the class
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.api.arguments import (
    azure_method,
    check_json_dict,
    check_path,
    check_text,
    note_ignored,
)
from mldeploy_jupyter.api.azure_names import WORKSPACE, AzureNames
from mldeploy_jupyter.api.images import check_image_setting
from mldeploy_jupyter.core import migration
from mldeploy_jupyter.core.errors import WorkspaceError
from mldeploy_jupyter.core.files import make_private_dir, write_json
from mldeploy_jupyter.core.workspace import folder as folders
from mldeploy_jupyter.core.workspace import known_workspaces
from mldeploy_jupyter.core.workspace.azure_config import find_azure_config
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

if TYPE_CHECKING:
    from mldeploy_jupyter.api.environments import Environment
    from mldeploy_jupyter.api.models import Model
    from mldeploy_jupyter.api.runs import Experiment, Run
    from mldeploy_jupyter.api.webservices import Webservice
    from mldeploy_jupyter.api.webservices.container_image import Image

AZURE_SETTINGS = ("subscription_id", "resource_group", "workspace_name", "location")

# Parameters of v1 for Azure resources, which `create` and `update` ignore.
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


class Workspace(AzureNames):
    """A folder `.mldeploy/` with the database of models and services, and their files.

    `Workspace()` is the workspace of the current directory, as every command finds it. When there is none, reads find
    nothing, and the first write creates it there and prints a line. The Azure settings are stored for the Azure
    targets; `auth` is accepted for v1 and not used, because targets find credentials themselves. Raises
    `WorkspaceError` when the workspace's settings cannot be read or it belongs to another user.
    """

    _azure_owner, _azure_names = "workspace", WORKSPACE

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
        given = _path(path)
        start = given.absolute() if given is not None else None
        self._existing: WorkspaceFolder | None = folders.find_workspace(start)
        self.start: Path = start or (self._existing.root.parent if self._existing else Path.cwd())

    @classmethod
    def _from_folder(cls, folder: WorkspaceFolder, azure: dict[str, str] | None = None) -> Workspace:
        """The workspace of an existing folder."""
        workspace = cls.__new__(cls)
        workspace._azure = azure or {}  # noqa: SLF001  a second constructor
        workspace.start = folder.root.parent
        workspace._existing = folder  # noqa: SLF001  a second constructor
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
        """Creates `.mldeploy/` in `path`. `name` defaults to the folder's name.

        `store` is a database URL (default: SQLite in the folder; for a team `postgresql+psycopg://...`), `artifacts` a
        folder or any fsspec URL. With `exist_ok` an existing workspace is returned. v1's parameters for Azure
        resources (`sku`, `storage_account`...) are ignored with a note, unless `show_output` is False. Raises
        `WorkspaceError` when there is a workspace already or the folder cannot be created, `UserErrorException` for a
        parameter that v1 does not have, `WebserviceException` when `tags` are not a dict of JSON values.
        """
        note_ignored("Workspace.create", azure_resources, CREATE_IGNORED, show=show_output)
        azure = _given(subscription_id=subscription_id, resource_group=resource_group, location=location)
        texts: dict[str, Any] = {"tags": _check_tags(tags), "friendly_name": check_text("friendly_name", friendly_name)}
        given = _given(name=name, store=store, artifacts=artifacts)
        folder = folders.create_workspace(_path(path) or ".", exist_ok=exist_ok, **given, **azure, **texts)
        return cls._from_folder(folder)

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
        """The workspace of `path` or the current directory, or else the known workspace called `name`.

        A `config.json` of v1 with that name counts as one, as in `from_config`. `id` is that of a known workspace; an
        Azure id is ignored with a note, as is another `cloud`. Raises `WorkspaceError` when there is no such
        workspace, or several have the name.
        """
        azure = _given(subscription_id=subscription_id, resource_group=resource_group, location=location)
        path, name = _path(path), check_text("name", name)
        if id:
            for known in folders.list_workspaces():
                if known.id == id:
                    return cls._from_folder(known, azure)
        elsewhere = {"cloud": None if cloud == "AzureCloud" else cloud, "id": id}
        note_ignored("Workspace.get", elsewhere, elsewhere)
        folder = folders.find_workspace(path)
        if folder is not None and name in (None, folder.config.name):
            return cls._from_folder(folder, azure)
        if name is None:
            raise _not_found(Path(path or "."))
        if path is not None:
            raise WorkspaceError(
                f"there is no workspace {name!r} at {path}",
                why=f"the one there has the name {folder.config.name!r}" if folder else "there is none",
                hint=f"Workspace.get(name={name!r}) looks among all known ones",
            )
        here = None if folder is not None else find_azure_config(Path("."))
        if here is not None and here[1].get("workspace_name") == name:
            return cls.from_config()  # the config.json here names it: other folders may have one of the same name
        return cls._from_folder(_find_by_name(name), azure)

    @classmethod
    def list(
        cls, subscription_id: str | None = None, auth: Any = None, resource_group: str | None = None
    ) -> dict[str, List[Workspace]]:
        """The workspaces that this user created or wrote to, by name, without those with other Azure settings."""
        wanted = _given(subscription_id=subscription_id, resource_group=resource_group)
        found: dict[str, List[Workspace]] = {}
        for folder in folders.list_workspaces():
            if all(getattr(folder.config, key) in (None, value) for key, value in wanted.items()):
                found.setdefault(folder.config.name, []).append(cls._from_folder(folder))
        return found

    @classmethod
    def from_config(
        cls,
        path: str | Path | None = None,
        auth: Any = None,
        _logger: Any = None,
        _file_name: str | None = None,
    ) -> Workspace:
        """The workspace of `path` or the current directory, with the Azure settings of a `config.json`.

        Searches upwards for `.mldeploy/`, and for `.azureml/config.json`, `aml_config/config.json` or `config.json` as
        v1 does; `path` is a folder to start in or such a file. When there is only an Azure file, the first write
        creates `.mldeploy/` beside it. Raises `WorkspaceError` when there is neither.
        """
        check_text("_file_name", _file_name)
        start = (_path(path or None) or Path(".")).absolute()
        if not start.exists():
            raise WorkspaceError(
                f"there is no such file or folder: {path}",
                why=f"it was looked for in {start.parent}",
                hint="name a folder, or the config.json itself",
            )
        azure = find_azure_config(start, _file_name)
        folder = folders.find_workspace(start.parent if start.is_file() else None if path is None else start)
        if folder is not None:
            return cls._from_folder(folder, azure[1] if azure else None)
        if azure is None:
            raise _not_found(start)
        file, settings = azure
        beside = file.parent.parent if file.parent.name in (".azureml", "aml_config") else file.parent
        workspace = cls(path=beside)
        workspace._azure = settings
        return workspace

    def write_config(self, path: str | Path | None = None, file_name: str | None = None) -> None:
        """Writes the Azure settings to `<path>/.azureml/config.json`, as v1 does; `path` defaults to `start`."""
        target = _path(path or None) or self.start
        check_text("file_name", file_name)
        folder = target if target.name == ".azureml" else target / ".azureml"
        make_private_dir(folder)
        settings = {key: self._setting(key) or "" for key in ("subscription_id", "resource_group")}
        write_json(folder / (file_name or "config.json"), {**settings, "workspace_name": self.name})

    def get_details(self) -> dict[str, Any]:
        """Id, name, path, store and artifacts URLs (without passwords), Azure settings, description and tags."""
        folder = self._existing
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
            "base_image": folder.config.base_image if folder else None,
            "image_registry": folder.config.image_registry if folder else None,
        }

    def update(
        self,
        friendly_name: str | None = None,
        description: str | None = None,
        tags: dict[str, Any] | None = None,
        *,
        base_image: str | None = None,
        image_registry: str | None = None,
        **azure_resources: Any,
    ) -> dict[str, Any]:
        """Replaces what is not None of the friendly name, the description, the tags and the settings of images.

        `base_image` is what images start from whose service names none: instead of MLDEPLOY_BASE_IMAGE, or the
        official image `python:{python}-slim`, where `{python}` stands for the version such as 3.12. `image_registry`
        is where images are pushed, such as `registry.example:5000/team`, instead of MLDEPLOY_IMAGE_REGISTRY. ""
        removes either. Returns `get_details()`.

        Raises `UserErrorException` for a parameter that v1 does not have, `WebserviceException` when `tags` are not a
        dict of JSON values.
        """
        note_ignored("Workspace.update", azure_resources, UPDATE_IGNORED)
        check_text("friendly_name", friendly_name)
        check_text("description", description)
        changes = {"friendly_name": friendly_name, "description": description, "tags": _check_tags(tags)}
        for name, value in (("base_image", base_image), ("image_registry", image_registry)):
            changes[name] = check_image_setting(name, value)
        changes = {key: value for key, value in changes.items() if value is not None}
        changes |= {key: None for key in ("base_image", "image_registry") if changes.get(key) == ""}
        self._existing = self.folder.with_config(**changes) if changes else self._existing
        return self.get_details()

    def delete(self, delete_dependent_resources: bool = False, no_wait: bool = False) -> None:
        """Deletes `.mldeploy/` with its models, runs and environments; the parameters are v1's and have no effect.

        A store or artifacts elsewhere stay. Raises `WorkspaceError` when there is no workspace or it has services.
        """
        folder = self.find_folder()
        if folder is None:
            raise _not_found(self.start)
        services = sorted(record.name for record in folder.open_store().list_services())
        if services:
            raise WorkspaceError(
                f"the workspace {folder.config.name} has services: {', '.join(services)}",
                why="deleting it would leave their processes without an owner",
                hint=f"mldeploy service delete -n {services[0]}",
            )
        folders.delete_workspace(folder)
        self._existing = None

    def get_run(self, run_id: str) -> Run:
        """The run with this id. Raises `RunEnvironmentException` when there is none."""
        from mldeploy_jupyter.api.runs import Run

        return Run(self, run_id)

    def register_model(self, model_path: str, model_name: str) -> Model:
        """Registers a file or folder; see `Model.register`, which has more parameters."""
        from mldeploy_jupyter.api.models import Model

        return Model.register(self, model_path, model_name)

    def get_mlflow_tracking_uri(self) -> str:
        """The tracking URI that MLflow uses here. Raises `RunEnvironmentException` without MLflow."""
        from mldeploy_jupyter.core.runs.mlflow_run import get_tracking_uri

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
        """The tags given to `create` or `update`."""
        return dict(self._existing.config.tags or {}) if self._existing else {}

    @property
    def compute_targets(self) -> dict[str, Any]:
        """Empty; after `migrate(local=True)` the stand-ins that a notebook has created, by name."""
        return dict(migration.compute_targets.get(self.name, {}))

    @property
    def datastores(self) -> dict[str, Any]:
        """Empty, as `datasets` is: a workspace has none."""
        return {}

    datasets = datastores

    @property
    def images(self) -> dict[str, Image]:
        """v1's images that this process created, the newest of each name."""
        from mldeploy_jupyter.api.webservices.container_image import Image

        return {image.name: image for image in Image.list(self)}

    @property
    def name(self) -> str:
        """The name in `.mldeploy/config.json`; before the first write the Azure name or the folder's."""
        if self._existing is not None:
            return self._existing.config.name
        return self._azure.get("workspace_name") or self.start.name or "workspace"

    @property
    def subscription_id(self) -> str:
        """v1's Azure setting; "" when it was not given."""
        return self._setting("subscription_id") or ""

    @property
    def resource_group(self) -> str:
        """v1's Azure setting; "" when it was not given."""
        return self._setting("resource_group") or ""

    @property
    def location(self) -> str:
        """v1's Azure region; "local" when it was not given."""
        return self._setting("location") or "local"

    @property
    def sku(self) -> str:
        """v1's edition of the Azure resource: "Basic"."""
        return "Basic"

    @property
    def friendly_name(self) -> str:
        """The name given to `create` or `update`; otherwise `name`."""
        return (self._existing.config.friendly_name if self._existing else None) or self.name

    @property
    def description(self) -> str:
        """The description given to `update`; "" without one."""
        return (self._existing.config.description if self._existing else None) or ""

    @property
    def models(self) -> dict[str, Model]:
        """The latest version of every model, by name."""
        from mldeploy_jupyter.api.models import Model

        return {model.name: model for model in Model.list(self, latest=True)}

    @property
    def webservices(self) -> dict[str, Webservice]:
        """Every service, by name."""
        from mldeploy_jupyter.api.webservices import Webservice

        return {service.name: service for service in Webservice.list(self)} if self.find_folder() else {}

    @property
    def experiments(self) -> dict[str, Experiment]:
        """Every experiment that has runs, by name. Raises `RunEnvironmentException` when MLflow cannot be reached."""
        from mldeploy_jupyter.api.runs import Experiment

        return {experiment.name: experiment for experiment in Experiment.list(self)}

    @property
    def environments(self) -> dict[str, Environment]:
        """The latest version of every registered environment, by name."""
        from mldeploy_jupyter.api.environments import Environment

        return dict(Environment.list(self)) if self.find_folder() else {}

    @property
    def folder(self) -> WorkspaceFolder:
        """The folder `.mldeploy/`, created with one line of output when it does not exist. See `make_folder`."""
        return self.make_folder()

    def make_folder(self, announce: Callable[[str], object] = print) -> WorkspaceFolder:
        """The folder `.mldeploy/`; when it does not exist it is created, and `announce` gets one line.

        Raises `WorkspaceError` when it cannot be created.
        """
        if self._existing is None:
            # Under the name that was shown so far, which may be the Azure one and not the folder's.
            self._existing = folders.ensure_workspace(self.start, announce, name=self.name)
            changes = {key: value for key, value in self._azure.items() if value}
            if changes:
                self._existing = self._existing.with_config(**changes)
        known_workspaces.remember_root(self._existing.root)
        return self._existing

    def find_folder(self) -> WorkspaceFolder | None:
        """The folder `.mldeploy/`, or None when it does not exist."""
        if self._existing is None:
            self._existing = folders.find_workspace(self.start)
        return self._existing

    def _setting(self, key: str) -> str | None:
        return self._azure.get(key) or (getattr(self._existing.config, key) if self._existing else None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Workspace) and (self.start, self._existing) == (other.start, other._existing)

    def __hash__(self) -> int:
        return hash(self.start)

    def __repr__(self) -> str:
        place = self._existing.root if self._existing else f"not made yet, in {self.start}"
        return f"Workspace(name={self.name!r}, path={str(place)!r})"


def _given(**settings: str | None) -> dict[str, str]:
    """The settings that are not empty. Raises `UserErrorException` for one that is not a string."""
    return {key: value for key, value in settings.items() if check_text(key, value) and value}


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(check_path("path", path, 'path="."')).expanduser()


def _check_tags(tags: Any) -> dict[str, Any] | None:
    return None if tags is None else check_json_dict("tags", tags)


def _without_password(url: str) -> str:
    if "@" not in url:
        return url
    from sqlalchemy import make_url

    return make_url(url).render_as_string(hide_password=True)


def _find_by_name(name: str) -> WorkspaceFolder:
    """The known workspace called `name`. Raises `WorkspaceError` when there is none or more than one."""
    known = folders.list_workspaces()
    found = [folder for folder in known if folder.config.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise WorkspaceError(
            f"more than one workspace has the name {name!r}",
            why=", ".join(str(folder.root) for folder in found),
            hint=f"name its folder: Workspace.get(path={str(found[0].root.parent)!r})",
        )
    names = ", ".join(sorted({folder.config.name for folder in known})) or "none"
    raise WorkspaceError(
        f"there is no workspace {name!r}",
        why=f"known workspaces: {names}",
        hint=f"mldeploy workspace create -n {shlex.quote(name)}",
    )


def _not_found(start: Path) -> WorkspaceError:
    return WorkspaceError(
        f"there is no workspace in {start.absolute()} or above it",
        why="neither .mldeploy/ nor .azureml/config.json was found",
        hint="create one: mldeploy workspace create (in Python: Workspace.create()), or name one with -w "
        "(in Python: Workspace.get(path=...))",
    )
