"""What a model is: its read-only attributes, and the same as data."""

from __future__ import annotations

from builtins import list as List  # a subclass has a method `list`
from datetime import datetime
from typing import Any

from mldeploy_jupyter.api.resource_configuration import ResourceConfiguration
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.records import ModelRecord


class ModelAttributes:
    """The attributes of one registered model, from its record."""

    workspace: Workspace
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
        from mldeploy_jupyter.api.run import Run

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
        from mldeploy_jupyter.api.model import Model

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
