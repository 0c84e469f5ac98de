"""`Model`: register, find, download and delete models, under the names of the Azure ML SDK v1."""

from __future__ import annotations

import json
import os
from builtins import list as List  # `Model.list` hides the name inside the class
from collections.abc import Callable
from datetime import datetime
from typing import Any

from mldeploy_jupyter.api.arguments import (
    WorkspaceLike,
    azure_method,
    check_json_dict,
    check_keys,
    check_text,
    check_workspace,
)
from mldeploy_jupyter.api.models.details import check_framework, dataset_details, resources, user_name
from mldeploy_jupyter.api.models.download import download
from mldeploy_jupyter.api.models.path import find_model_path
from mldeploy_jupyter.api.models.registration import register
from mldeploy_jupyter.api.models.resource_configuration import ResourceConfiguration
from mldeploy_jupyter.api.models.search import find_record
from mldeploy_jupyter.api.tag_filters import matches, parse_filter
from mldeploy_jupyter.core.configs import check_model_name
from mldeploy_jupyter.core.errors import (
    ModelInUse,
    ModelNotFoundException,
    TargetNotAvailable,
    UserErrorException,
    WebserviceException,
)
from mldeploy_jupyter.core.records import ModelRecord

__all__ = ["Model", "ResourceConfiguration"]


class ModelAttributes:
    """The attributes of one registered model, from its record."""

    workspace: WorkspaceLike
    _record: ModelRecord

    @property
    def name(self) -> str:
        return self._record.name

    @property
    def version(self) -> int:
        return self._record.version

    @property
    def id(self) -> str:
        """`<name>:<version>`."""
        return self._record.id

    @property
    def url(self) -> str:
        return f"aml://asset/{self.id}"

    @property
    def tags(self) -> dict[str, Any]:
        return dict(self._record.tags)

    @property
    def properties(self) -> dict[str, Any]:
        return dict(self._record.properties)

    @property
    def description(self) -> str | None:
        return self._record.description

    @property
    def created_time(self) -> datetime:
        """When it was registered, in UTC."""
        return datetime.fromisoformat(self._record.created_time)

    @property
    def created_by(self) -> dict[str, str]:
        return {"userName": self._record.created_by}

    @property
    def digest(self) -> str:
        """SHA-256 over the names and contents of its files."""
        return self._record.digest

    @property
    def size(self) -> int:
        """Bytes of its files together."""
        return self._record.size

    @property
    def files(self) -> List[str]:
        return sorted(self._record.files)

    @property
    def mime_type(self) -> str:
        return self._record.mime_type

    @property
    def model_framework(self) -> str | None:
        return self._record.model_framework

    @property
    def model_framework_version(self) -> str | None:
        return self._record.model_framework_version

    @property
    def experiment_name(self) -> str | None:
        return self._record.experiment_name

    @property
    def run_id(self) -> str | None:
        return self._record.run_id

    @property
    def run(self) -> Any:
        """The `Run` it was registered from, or None."""
        if self.run_id is None:
            return None
        from mldeploy_jupyter.api.runs.run import Run

        return Run(self.workspace, self.run_id)

    @property
    def unpack(self) -> bool:
        return False

    @property
    def parent_id(self) -> str | None:
        """The model it was copied from with `models:/...`, or None."""
        return self._record.details.get("parent_id")

    @property
    def derived_model_ids(self) -> List[str]:

        return [model.id for model in Model.list(self.workspace) if model.parent_id == self.id]

    @property
    def datasets(self) -> dict[str, Any]:
        return dict(self._record.details.get("datasets", {}))

    @property
    def sample_input_dataset(self) -> str | None:
        return self._record.details.get("sample_input_dataset")

    @property
    def sample_output_dataset(self) -> str | None:
        return self._record.details.get("sample_output_dataset")

    @property
    def resource_configuration(self) -> ResourceConfiguration | None:
        resources = self._record.resource_configuration
        return ResourceConfiguration(**resources) if resources else None

    def serialize(self) -> dict[str, Any]:
        """The model as JSON data, with v1's keys."""
        record = self._record
        return {
            "createdTime": record.created_time,
            "createdBy": self.created_by,
            "description": record.description,
            "id": record.id,
            "mimeType": record.mime_type,
            "name": record.name,
            "framework": record.model_framework,
            "frameworkVersion": record.model_framework_version,
            "tags": record.tags,
            "properties": record.properties,
            "unpack": False,
            "url": self.url,
            "version": record.version,
            "experimentName": record.experiment_name,
            "runId": record.run_id,
            "runDetails": None,
            "datasets": record.details.get("datasets", {}),
            "resourceConfiguration": record.resource_configuration,
            "sampleInputDatasetId": self.sample_input_dataset,
            "sampleOutputDatasetId": self.sample_output_dataset,
            "digest": record.digest,
            "size": record.size,
        }

    def __repr__(self) -> str:
        return (
            f"Model(workspace={self.workspace!r}, name={self.name}, id={self.id}, version={self.version}, "
            f"tags={self.tags}, properties={self.properties})"
        )


class Model(ModelAttributes):
    """A registered model: a file or a folder under a name and a version.

    `Model(workspace, name)` finds the latest version, `Model(workspace, name, version=3)` or
    `Model(workspace, id="name:3")` an exact one, `Model(workspace, name, tags=[...])` the latest that matches. Raises
    `ModelNotFoundException`. The attributes are read-only; `update`, `add_tags` and so on change them.
    """

    class Framework:
        """Names for `model_framework`."""

        CUSTOM = "Custom"
        TENSORFLOW = "TensorFlow"
        SCIKITLEARN = "ScikitLearn"
        ONNX = "Onnx"
        TFKERAS = "TfKeras"
        PYTORCH = "PyTorch"
        MULTI = "Multi"

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
        self._record = find_record(workspace, name, id, tags, properties, version, run_id, model_framework)

    @classmethod
    def _of(cls, workspace: WorkspaceLike, record: ModelRecord) -> Model:
        model = cls.__new__(cls)
        model.workspace = workspace
        model._record = record
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

        `model_path` may also be `runs:/<run id>/<path>`, `models:/<name>/<version>` or `models:/<name>/latest`. A
        folder is kept with its own name and hidden files; `child_paths` (relative to the folder) keeps only those. All
        or nothing: an error or a kill leaves no half model. Raises `WebserviceException` for a bad argument,
        `ModelFileNotFound` for a missing path, `StorageError` when bytes cannot be read or kept.
        """
        check_workspace(workspace)
        check_model_name(model_name)
        check_framework(model_framework, model_framework_version)
        check_text("description", description)
        record = ModelRecord(
            name=model_name,
            tags=check_json_dict("tags", tags),
            properties=check_json_dict("properties", properties),
            description=description,
            model_framework=model_framework,
            model_framework_version=model_framework_version,
            resource_configuration=resources(resource_configuration),
            details=dataset_details(datasets, sample_input_dataset, sample_output_dataset),
            created_by=user_name(),
        )
        return Model._of(workspace, register(workspace, model_path, record, child_paths))

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
        match. `latest` keeps only the highest version of each name. Raises `UserErrorException` for a bad filter.
        """
        if type(page_count) is not int or not 20 <= page_count <= 255:
            raise UserErrorException(
                f"page_count is {page_count!r}",
                why="it must be a whole number from 20 to 255",
                hint="leave it out: every model is listed",
            )
        check_text("name", name)
        wanted_tags, wanted_properties = parse_filter("tags", tags), parse_filter("properties", properties)
        folder = check_workspace(workspace).find_folder()
        records = folder.open_store().list_models(name, latest) if folder else []
        return [
            Model._of(workspace, record)
            for record in records
            if matches(record.tags, wanted_tags)
            and matches(record.properties, wanted_properties)
            and (run_id is None or record.run_id == run_id)
            and (model_framework is None or record.model_framework == model_framework)
            and (dataset_id is None or dataset_id in json.dumps(record.details.get("datasets", {})))
        ]

    @staticmethod
    def get_model_path(model_name: str, version: int | None = None, _workspace: WorkspaceLike | None = None) -> str:
        """The path of a model's file or folder, in a service as in a notebook.

        Looks in the service's model folder (`AZUREML_MODEL_DIR`), then in the workspace, whose models are put into its
        cache, then in `azureml-models/` here. Without `version` the highest one. Raises `ModelNotFoundException` that
        lists where it looked, `WebserviceException` when the name or `version` cannot be one.
        """
        if not isinstance(model_name, str) or not model_name:
            check_model_name(model_name)
        if _workspace is not None:
            check_workspace(_workspace)
        return find_model_path(model_name, version, _workspace)

    def download(self, target_dir: str = ".", exist_ok: bool = False, exists_ok: bool | None = None) -> str:
        """Copies the model into `target_dir`, every byte verified, and gives back its path.

        Existing files are replaced only with `exist_ok` (`exists_ok` is its old name). Raises `WebserviceException`
        when one is in the way, `UserErrorException` for what is no path, `StorageError` when the content is damaged or
        cannot be written.
        """
        return download(self, target_dir, replace=bool(exist_ok or exists_ok))

    def delete(self) -> None:
        """Deletes this version. Its number is not used again; its bytes go with the next `mldeploy prune`.

        Raises `ModelInUse` while a service uses it, `ModelNotFoundException` when it is gone already.
        """
        store = self.workspace.folder.open_store()
        services = store.services_using(self.id)
        if services:
            raise ModelInUse(
                f"model {self.id} is in use by {'service' if len(services) == 1 else 'services'} {', '.join(services)}",
                why="a service needs the models of its revision",
                hint=f"mldeploy service delete {services[0]}, or update it to another model first",
            )
        if not store.delete_model(self.name, self.version):
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
        """Replaces what is given: all tags, the description, the resources. `{}` and `""` clear, None does not."""
        changes: dict[str, Any] = {}
        if tags is not None:
            changes["tags"] = check_json_dict("tags", tags)
        if description is not None:
            changes["description"] = check_text("description", description)
        if resource_configuration is not None:
            changes["resource_configuration"] = resources(resource_configuration)
        samples = dataset_details(None, sample_input_dataset, sample_output_dataset)
        self._change(lambda present: {**changes, "details": {**present.details, **samples}})

    def add_tags(self, tags: dict[str, Any]) -> None:
        """Adds tags; a key that is there gets the new value."""
        self.update_tags_properties(add_tags=tags)

    def remove_tags(self, tags: List[str]) -> None:
        """Removes tags by their keys; a key that is not there is no error."""
        self.update_tags_properties(remove_tags=[*check_keys("tags", tags)])

    def add_properties(self, properties: dict[str, Any]) -> None:
        """Adds properties. A property never changes: raises `WebserviceException` for a key that is there."""
        self.update_tags_properties(add_properties=properties)

    def add_dataset_references(self, datasets: List[Any]) -> None:
        """Adds data sets, as pairs of a scenario and a data set, to those the model was registered with."""
        added = dataset_details(datasets, None, None).get("datasets", {})

        def change(present: ModelRecord) -> dict[str, Any]:
            references = {scenario: [*ids] for scenario, ids in present.details.get("datasets", {}).items()}
            for scenario, ids in added.items():
                there = references.setdefault(scenario, [])
                there += [id for id in ids if id not in there]
            return {"details": {**present.details, "datasets": references}}

        self._change(change)

    def update_tags_properties(
        self,
        add_tags: dict[str, Any] | None = None,
        remove_tags: List[str] | None = None,
        add_properties: dict[str, Any] | None = None,
    ) -> None:
        """`remove_tags`, `add_tags` and `add_properties` at once; a property that is there stops all of it."""
        removed = check_keys("remove_tags", [] if remove_tags is None else remove_tags)
        tags, properties = check_json_dict("tags", add_tags), check_json_dict("properties", add_properties)

        def change(present: ModelRecord) -> dict[str, Any]:
            taken = sorted(set(properties) & set(present.properties))
            if taken:
                raise WebserviceException(
                    f"model {self.id} already has the property {taken[0]!r}",
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
        """The model that `serialize()` described, looked up by its id. Raises `ModelNotFoundException`."""
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
        models: List[Any],
        inference_config: Any = None,
        deployment_config: Any = None,
        deployment_target: Any = None,
        overwrite: bool = False,
        show_output: bool = False,
    ) -> Any:
        """Deploys models as the service `name` and returns it at once; see `Webservice.wait_for_deployment`.

        `show_output` prints what is deployed, as `print_configuration` does.
        """
        from mldeploy_jupyter.api.webservices import deployments

        return deployments.deploy(
            workspace, name, models, inference_config, deployment_config, deployment_target, overwrite, show_output
        )

    @staticmethod
    def print_configuration(
        models: List[Any],
        inference_config: Any = None,
        deployment_config: Any = None,
        deployment_target: Any = None,
        print_: Callable[[str], object] = print,
    ) -> None:
        """Prints what `deploy` would be given: models, entry script, environment and every setting. No secret."""
        from mldeploy_jupyter.api.webservices.deploy_configuration import from_data
        from mldeploy_jupyter.api.webservices.deployments import as_config

        if not isinstance(models, (list, tuple)):
            raise UserErrorException(f"models is {models!r}", why="it must be a list", hint="pass models=[model]")
        if inference_config is not None and not hasattr(inference_config, "print_configuration"):
            raise UserErrorException(
                f"inference_config is {inference_config!r}",
                why="it must be an InferenceConfig",
                hint='make it with InferenceConfig(entry_script="score.py")',
            )
        print_(f"Models: {', '.join(str(getattr(model, 'id', model)) for model in models) or 'none'}")
        if inference_config is not None:
            inference_config.print_configuration(print_)
        from_data(as_config(deployment_config)).print_deploy_configuration(print_)

    @staticmethod
    def package(
        workspace: WorkspaceLike,
        models: List[Any],
        inference_config: Any = None,
        generate_dockerfile: bool = False,
        image_name: str | None = None,
        image_label: str | None = None,
    ) -> Any:
        """Not in this version: raises `TargetNotAvailable`."""
        raise TargetNotAvailable(
            "Model.package is not in this version",
            why="it needs container images, which come with the Docker target",
            hint="deploy on this machine: Model.deploy(ws, name, models, inference_config)",
        )

    @staticmethod
    def profile(
        workspace: WorkspaceLike,
        profile_name: str,
        models: List[Any],
        inference_config: Any,
        input_dataset: Any,
        cpu: float | None = None,
        memory_in_gb: float | None = None,
        description: str | None = None,
    ) -> Any:
        """Not in this version: raises `TargetNotAvailable`."""
        raise TargetNotAvailable(
            "Model.profile is not in this version",
            why="measuring a service comes with the latency lab",
            hint="deploy the model, score with it, and read the time of each request: mldeploy service get-logs NAME",
        )

    def _change(self, change: Callable[[ModelRecord], dict[str, Any]]) -> None:
        self._record = self.workspace.folder.open_store().change_model(self.name, self.version, change)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and (self.workspace, self.id) == (other.workspace, other.id)

    def __hash__(self) -> int:
        return hash(self.id)
