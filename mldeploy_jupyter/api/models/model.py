"""`Model`: register, find, download and delete models, under the names of the Azure ML SDK v1."""

from __future__ import annotations

import os
from builtins import list as List  # `Model.list` hides the name inside the class
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from mldeploy_jupyter.api.arguments import (
    RunLike,
    WorkspaceLike,
    azure_method,
    check_json_dict,
    check_keys,
    check_text,
    check_workspace,
)
from mldeploy_jupyter.api.azure_names import MODEL, AzureNames
from mldeploy_jupyter.api.models.download import download
from mldeploy_jupyter.api.models.json_data import asset_url, dataset_details, serialize_record
from mldeploy_jupyter.api.models.path import find_model_path
from mldeploy_jupyter.api.models.registration import make_record, register
from mldeploy_jupyter.api.models.resource_configuration import ResourceConfiguration, check_resources
from mldeploy_jupyter.api.models.search import ModelFilter, find_record, list_records
from mldeploy_jupyter.api.record_attribute import RecordAttribute
from mldeploy_jupyter.core.errors import (
    ModelInUse,
    ModelNotFoundException,
    StorageError,
    UserErrorException,
    WebserviceException,
)
from mldeploy_jupyter.core.name_rules import check_model_name
from mldeploy_jupyter.core.records import ModelRecord
from mldeploy_jupyter.core.text import printable_line

if TYPE_CHECKING:
    from pathlib import Path

    from mldeploy_jupyter.api.models.package import ModelPackage
    from mldeploy_jupyter.api.models.profile import ModelProfile
    from mldeploy_jupyter.api.webservices import InferenceConfig, Webservice
    from mldeploy_jupyter.api.webservices.deploy_arguments import Configuration

Value = TypeVar("Value")


def _read_detail(key: str) -> Callable[[ModelRecord], str | None]:
    return lambda record: record.details.get(key)


def _read_resources(record: ModelRecord) -> ResourceConfiguration | None:
    return ResourceConfiguration(**record.resource_configuration) if record.resource_configuration else None


class ModelAttribute(RecordAttribute[ModelRecord, Value]):
    """A read-only attribute from the model's record."""


class Model(AzureNames):
    """A registered model: a file or a folder under a name and a version.

    `Model(workspace, name)` finds the latest version, `Model(workspace, name, version=3)` or
    `Model(workspace, id="name:3")` an exact one, `Model(workspace, name, tags=[...])` the latest that matches. Raises
    `ModelNotFoundException`. The attributes are read-only; `update`, `add_tags` and so on change them.
    """

    _azure_owner, _azure_names = "model", MODEL

    class Framework:
        """Names for `model_framework`."""

        CUSTOM = "Custom"
        TENSORFLOW = "TensorFlow"
        SCIKITLEARN = "ScikitLearn"
        ONNX = "Onnx"
        TFKERAS = "TfKeras"
        PYTORCH = "PyTorch"
        MULTI = "Multi"

    name = ModelAttribute[str](lambda record: record.name)
    version = ModelAttribute[int](lambda record: record.version)
    id = ModelAttribute[str](lambda record: record.id, "`<name>:<version>`.")
    url = ModelAttribute(asset_url)
    tags = ModelAttribute(lambda record: dict(record.tags))
    properties = ModelAttribute(lambda record: dict(record.properties))
    description = ModelAttribute[str | None](lambda record: record.description)
    created_time = ModelAttribute(lambda record: datetime.fromisoformat(record.created_time), "In UTC.")
    created_by = ModelAttribute(lambda record: {"userName": record.created_by})
    digest = ModelAttribute[str](lambda record: record.digest, "SHA-256 over the names and contents of its files.")
    size = ModelAttribute[int](lambda record: record.size, "Size of all its files in bytes.")
    files = ModelAttribute(lambda record: sorted(record.files), "Relative paths of its files.")
    mime_type = ModelAttribute[str](lambda record: record.mime_type)
    model_framework = ModelAttribute[str | None](lambda record: record.model_framework)
    model_framework_version = ModelAttribute[str | None](lambda record: record.model_framework_version)
    experiment_name = ModelAttribute[str | None](lambda record: record.experiment_name)
    run_id = ModelAttribute[str | None](lambda record: record.run_id)
    unpack = ModelAttribute(lambda record: False, "v1's flag for archives, always False: a folder is kept as it is.")
    parent_id = ModelAttribute(_read_detail("parent_id"), "The model it was copied from with `models:/...`, or None.")
    datasets = ModelAttribute(lambda record: dict(record.details.get("datasets", {})), "Ids of data sets by scenario.")
    sample_input_dataset = ModelAttribute(_read_detail("sample_input_dataset"))
    sample_output_dataset = ModelAttribute(_read_detail("sample_output_dataset"))
    resource_configuration = ModelAttribute(_read_resources, "A `ResourceConfiguration`, or None.")

    @property
    def run(self) -> RunLike | None:
        """The `Run` it was registered from, or None. Raises `RunEnvironmentException` when it no longer exists."""
        return None if self.run_id is None else self.workspace.get_run(self.run_id)

    @property
    def derived_model_ids(self) -> List[str]:
        """Ids of the models that were copied from this one with `models:/...`."""
        return [model.id for model in Model.list(self.workspace) if model.parent_id == self.id]

    def __init__(
        self,
        workspace: WorkspaceLike,
        name: str | None = None,
        id: str | None = None,
        tags: Any = None,
        properties: Any = None,
        version: int | None = None,
        run_id: str | None = None,
        model_framework: str | None = None,
        expand: bool = True,
    ) -> None:
        self.workspace = check_workspace(workspace)
        check_text("name", name)
        check_text("id", id)
        if id is None and name is not None and ":" in name and version is None:
            name, id = None, name  # a name has no colon: this is an id
        wanted = ModelFilter.parse(tags, properties, run_id=run_id, model_framework=model_framework)
        self.record = find_record(workspace, name, id, version, wanted)

    @classmethod
    def from_record(cls, workspace: WorkspaceLike, record: ModelRecord) -> Model:
        """The model that `record` describes, without a look into the store."""
        model = cls.__new__(cls)
        model.workspace = workspace
        model.record = record
        return model

    @staticmethod
    def register(
        workspace: WorkspaceLike,
        model_path: str | os.PathLike[str],
        model_name: str,
        tags: dict[str, Any] | None = None,
        properties: dict[str, Any] | None = None,
        description: str | None = None,
        datasets: List[Any] | None = None,
        model_framework: str | None = None,
        model_framework_version: str | None = None,
        child_paths: List[str] | None = None,
        sample_input_dataset: Any = None,
        sample_output_dataset: Any = None,
        resource_configuration: ResourceConfiguration | None = None,
    ) -> Model:
        """Registers a file or folder under the next version of `model_name`.

        `model_path` may also be `runs:/<run id>/<path>`, `models:/<name>/<version>` or `models:/<name>/latest`. What
        the workspace does not have is looked up in MLflow's registry, as are `models:/<name>@<alias>`,
        `models:/<name>/<stage>` and `models:/<id>`. A folder keeps its name and its hidden files; with `child_paths`
        (relative to the folder) only those are registered. After an error or a kill there is no model. Raises
        `ConfigError` for an invalid name, `UserErrorException` or `WebserviceException` for any other bad argument,
        `ModelFileNotFound` when the path does not exist, `ModelNotFoundException` or `RunEnvironmentException` when
        there is no such model or run, `StorageError` when files cannot be read or stored.
        """
        check_workspace(workspace)
        record = make_record(
            model_name,
            tags=tags,
            properties=properties,
            description=description,
            datasets=datasets,
            model_framework=model_framework,
            model_framework_version=model_framework_version,
            sample_input_dataset=sample_input_dataset,
            sample_output_dataset=sample_output_dataset,
            resource_configuration=resource_configuration,
        )
        return Model.from_record(workspace, register(workspace, model_path, record, child_paths))

    @staticmethod
    def list(
        workspace: WorkspaceLike,
        name: str | None = None,
        tags: Any = None,
        properties: Any = None,
        run_id: str | None = None,
        latest: bool = False,
        dataset_id: str | None = None,
        expand: bool = True,
        page_count: int = 255,
        model_framework: str | None = None,
    ) -> List[Model]:
        """The models that match, newest first.

        `tags` and `properties`: a dict, or a list of `"key"`, `["key", "value"]` or `("key", "value")`; all must
        match. `latest` keeps only the highest version of each name. `expand` and `page_count` are v1's and have no
        effect. Raises `UserErrorException` for a bad filter or `page_count`.
        """
        if type(page_count) is not int or not 20 <= page_count <= 255:
            raise UserErrorException(
                f"page_count is {page_count!r}",
                why="it must be a whole number from 20 to 255",
                hint="leave it out: every model is listed",
            )
        check_text("name", name)
        wanted = ModelFilter.parse(
            tags, properties, run_id=run_id, model_framework=model_framework, dataset_id=dataset_id
        )
        records = list_records(check_workspace(workspace), name, wanted, latest=latest)
        return [Model.from_record(workspace, record) for record in records]

    @staticmethod
    def get_model_path(model_name: str, version: int | None = None, _workspace: WorkspaceLike | None = None) -> str:
        """The path of a model's file or folder, in a service as in a notebook; without `version` of the highest one.

        Searches the service's model folder (`AZUREML_MODEL_DIR`), then the workspace, which copies the model into its
        cache, then `azureml-models/` in the current directory. Raises `ModelNotFoundException` that lists where it
        looked, `ConfigError` for an invalid name, `WebserviceException` for an invalid `version`.
        """
        if not isinstance(model_name, str) or not model_name:
            check_model_name(model_name)
        if _workspace is not None:
            check_workspace(_workspace)
        return find_model_path(model_name, version, _workspace)

    def download(self, target_dir: str = ".", exist_ok: bool = False, exists_ok: bool | None = None) -> str:
        """Copies the model into `target_dir` and returns its path there. Every byte is verified.

        Existing files are replaced only with `exist_ok` (`exists_ok` is its old name). Raises `WebserviceException`
        when one is in the way, `UserErrorException` when `target_dir` is not a path, `StorageError` when the content is
        damaged or cannot be written.
        """
        return download(self.workspace.folder, self.record, target_dir, replace=bool(exist_ok or exists_ok))

    def delete(self) -> None:
        """Deletes this version. Its number is not used again; `mldeploy prune` deletes its files.

        Raises `ModelInUse` while a service uses it, `ModelNotFoundException` when it was deleted before.
        """
        store = self.workspace.folder.open_store()
        if store.services_using(self.id):
            from mldeploy_jupyter.deployment import recover_lost_deployments

            recover_lost_deployments(self.workspace.folder)  # a deployment whose process was killed uses no model
        services = store.services_using(self.id)
        if services:
            raise ModelInUse(
                f"model {self.id} is in use by {'service' if len(services) == 1 else 'services'} {', '.join(services)}",
                why="a service needs the models of its revision",
                hint=f"mldeploy service delete {services[0]}, or update it to another model first",
            )
        try:
            deleted = store.delete_model(self.name, self.version)
        except StorageError:
            from mldeploy_jupyter.deployment.prune import make_room_for_model

            if not make_room_for_model(self.workspace.folder, self.id):
                raise
            deleted = store.delete_model(self.name, self.version)
        if not deleted:
            raise ModelNotFoundException(
                f"there is no model {self.id}", why="it was deleted in the meantime", hint="mldeploy model list"
            )

    def update(
        self,
        tags: dict[str, Any] | None = None,
        description: str | None = None,
        sample_input_dataset: Any = None,
        sample_output_dataset: Any = None,
        resource_configuration: ResourceConfiguration | None = None,
    ) -> None:
        """Replaces all tags, the description, the samples or the resources. `{}` and `""` clear, None keeps.

        Raises `UserErrorException` or `WebserviceException` for a bad argument, `ModelNotFoundException` when the model
        was deleted.
        """
        changes: dict[str, Any] = {}
        if tags is not None:
            changes["tags"] = check_json_dict("tags", tags)
        if description is not None:
            changes["description"] = check_text("description", description)
        if resource_configuration is not None:
            changes["resource_configuration"] = check_resources(resource_configuration)
        samples = dataset_details(None, sample_input_dataset, sample_output_dataset)
        self._change(lambda present: {**changes, "details": {**present.details, **samples}})

    def add_tags(self, tags: dict[str, Any]) -> None:
        """Adds tags, and replaces the values of existing ones. Raises as `update_tags_properties`."""
        self.update_tags_properties(add_tags=tags)

    def remove_tags(self, tags: List[str]) -> None:
        """Removes tags by key; unknown keys are ignored. Raises as `update_tags_properties`."""
        self.update_tags_properties(remove_tags=[*check_keys("tags", tags)])

    def add_properties(self, properties: dict[str, Any]) -> None:
        """Adds properties; an existing one cannot be changed. Raises as `update_tags_properties`."""
        self.update_tags_properties(add_properties=properties)

    def add_dataset_references(self, datasets: List[Any]) -> None:
        """Adds data sets, given as pairs of a scenario and a data set, to those of the model.

        Raises `WebserviceException` for anything but pairs, `ModelNotFoundException` when the model was deleted.
        """
        added = dataset_details(datasets, None, None).get("datasets", {})

        def change(present: ModelRecord) -> dict[str, Any]:
            references = {scenario: [*ids] for scenario, ids in present.details.get("datasets", {}).items()}
            for scenario, ids in added.items():
                known = references.setdefault(scenario, [])
                known += [id for id in ids if id not in known]
            return {"details": {**present.details, "datasets": references}}

        self._change(change)

    def update_tags_properties(
        self,
        add_tags: dict[str, Any] | None = None,
        remove_tags: List[str] | None = None,
        add_properties: dict[str, Any] | None = None,
    ) -> None:
        """Removes tags, adds tags and adds properties in one change: all of it or, after an error, nothing.

        Raises `WebserviceException` when a property exists already or a value is not JSON, `UserErrorException` when
        `remove_tags` is not a list of strings, `ModelNotFoundException` when the model was deleted.
        """
        removed = check_keys("remove_tags", [] if remove_tags is None else remove_tags)
        tags, properties = check_json_dict("tags", add_tags), check_json_dict("properties", add_properties)

        def change(present: ModelRecord) -> dict[str, Any]:
            existing = sorted(set(properties) & set(present.properties))
            if existing:
                raise WebserviceException(
                    f"model {self.id} already has the property {existing[0]!r}",
                    why="properties are written once",
                    hint="use a tag for what may change",
                )
            kept = {key: value for key, value in present.tags.items() if key not in removed}
            return {"tags": {**kept, **tags}, "properties": {**present.properties, **properties}}

        self._change(change)

    get_sas_urls = azure_method(
        "get_sas_urls",
        "a model's files are in the workspace, not in a storage account",
        "copy them with model.download(target_dir)",
    )

    @classmethod
    def deserialize(cls, workspace: WorkspaceLike, model_payload: dict[str, Any]) -> Model:
        """The model that `serialize()` described, looked up by its id.

        Raises `UserErrorException` when the payload has no id, `ModelNotFoundException` when there is no such model.
        """
        id = model_payload.get("id") if isinstance(model_payload, dict) else None
        if not isinstance(id, str):
            raise UserErrorException(
                "the payload does not describe a model",
                why="it is not a dict with an id",
                hint='pass what model.serialize() gave, or call Model(ws, id="name:1")',
            )
        return cls(workspace, id=id)

    @staticmethod
    def deploy(
        workspace: WorkspaceLike,
        name: str,
        models: List[Model | str | Path],
        inference_config: InferenceConfig | None = None,
        deployment_config: Configuration | None = None,
        deployment_target: Any = None,
        overwrite: bool = False,
        show_output: bool = False,
    ) -> Webservice:
        """Begins to deploy models as the service `name` and returns it; `service.wait_for_deployment()` waits.

        Without an `inference_config` the only model of MLflow among `models` is scored as `mlflow models serve` does.
        `show_output` prints the configuration first, as `print_configuration` does. Raises `UserErrorException`,
        `ConfigError` or `TargetNotAvailable` for arguments that cannot be deployed, `NameInUse` for an existing
        service without `overwrite`, `DeploymentInProgress` while another deployment of it runs.
        """
        # Imported on use: registering a model does not need the rooms that deploy one.
        from mldeploy_jupyter.api.webservices import Webservice
        from mldeploy_jupyter.api.webservices.deployments import deploy

        record = deploy(
            workspace, name, models, inference_config, deployment_config, deployment_target, overwrite, show_output
        )
        return Webservice.from_deployment(workspace, record)

    @staticmethod
    def print_configuration(
        models: List[Model | str | Path],
        inference_config: InferenceConfig | None = None,
        deployment_config: Configuration | None = None,
        deployment_target: Any = None,
        print_: Callable[[str], object] = print,
    ) -> None:
        """Prints the models, entry script, environment and settings that `deploy` would use, without secrets.

        Raises `UserErrorException` for `models` or an `inference_config` of another type.
        """
        from mldeploy_jupyter.api.webservices.deploy_arguments import print_configuration

        print_configuration(models, inference_config, deployment_config, print_)

    @staticmethod
    def package(
        workspace: WorkspaceLike,
        models: List[Model | str | Path],
        inference_config: InferenceConfig | None = None,
        generate_dockerfile: bool = False,
        image_name: str | None = None,
        image_label: str | None = None,
        *,
        builder: str = "auto",
    ) -> ModelPackage:
        """Begins to make an image of models and a script, without a service; `wait_for_creation()` waits for it.

        With `generate_dockerfile` it becomes a folder to build one from. The image gets the name `image_name` and the
        tag `image_label`, and is pushed to the workspace's `image_registry` if it has one. `builder` is docker, oci
        (which needs no engine), or auto: docker where an engine answers. The runs that the models are of get the
        property `AzureML.DerivedImageName`.

        Raises `UserErrorException` or `ConfigError` for arguments that cannot be used.
        """
        from mldeploy_jupyter.api.models.package import package

        return package(
            workspace,
            models,
            inference_config,
            generate_dockerfile,
            image_name,
            image_label,
            builder=builder,
        )

    @staticmethod
    def profile(
        workspace: WorkspaceLike,
        profile_name: str,
        models: List[Model | str | Path],
        inference_config: InferenceConfig,
        input_dataset: Any = None,
        cpu: float | None = None,
        memory_in_gb: float | None = None,
        description: str | None = None,
        *,
        step_seconds: float = 3.0,
    ) -> ModelProfile:
        """Begins to measure how much CPU and memory the models need; `profile.wait_for_completion()` waits.

        They are deployed on this machine, with one worker, as a service of their own under a temporary name. A ramp of
        five rates, `step_seconds` each, finds the highest that the worker keeps up with; `profile.get_details()` has
        the CPU and memory recommended for it and the figures they rest on. The service is removed at the end, whatever
        happens.

        `input_dataset` is a list of inputs, a table with one column of strings as in v1, or a `Path` to a JSON lines
        file; None for the script's sample. `memory_in_gb` limits the worker's memory; `cpu` is kept, and limits
        nothing here. Raises `UserErrorException` for an argument that cannot be used.
        """
        from mldeploy_jupyter.api.models.profile import profile

        return profile(
            workspace,
            profile_name,
            models,
            inference_config,
            input_dataset,
            cpu,
            memory_in_gb,
            description,
            step_seconds,
            deploy=Model.deploy,
        )

    def serialize(self) -> dict[str, Any]:
        """The model as JSON data with v1's keys."""
        return serialize_record(self.record)

    def _change(self, change: Callable[[ModelRecord], dict[str, Any]]) -> None:
        self.record = self.workspace.folder.open_store().change_model(self.name, self.version, change)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and (self.workspace, self.id) == (other.workspace, other.id)

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return printable_line(
            f"Model(workspace={self.workspace!r}, name={self.name}, id={self.id}, version={self.version}, "
            f"tags={self.tags}, properties={self.properties})"
        )
