"""v1's images of 2018: a script and its files are described first, and made into an image with models, then deployed.

Here such an image is only its description, kept in this process: what is deployed from it is made as by `Model.deploy`.
"""

from __future__ import annotations

import os
from builtins import list as List  # `Image.list` hides the name inside the class
from pathlib import Path
from typing import Any

from mldeploy_jupyter.api.arguments import ModelLike, WorkspaceLike, check_json_dict, check_workspace
from mldeploy_jupyter.api.azure_names import IMAGE, AzureNames
from mldeploy_jupyter.api.environments.sections import ContainerRegistry
from mldeploy_jupyter.api.tag_filters import matches, parse_filter
from mldeploy_jupyter.api.webservices.inference_config import InferenceConfig
from mldeploy_jupyter.core.errors import UserErrorException, WebserviceException

_made: dict[str, List[Image]] = {}  # the images of this process, oldest first, by the workspace's name


class ContainerImageConfig(InferenceConfig):
    """An `InferenceConfig` under v1's older names: `execution_script` is its entry script.

    `dependencies` are files and folders that the script needs; each is beside the script at its path below the current
    folder. `schema_file` and `allow_absolute_path` have no effect; `tags` and `properties` are those of the images.
    Raises as `InferenceConfig` does; a dependency that is not there is an error of the deployment.
    """

    def __init__(
        self,
        execution_script: str | Path,
        runtime: str = "python",
        conda_file: str | Path | None = None,
        docker_file: str | Path | None = None,
        schema_file: str | Path | None = None,
        dependencies: List[str] | None = None,
        enable_gpu: bool | None = None,
        tags: dict[str, Any] | None = None,
        properties: dict[str, Any] | None = None,
        description: str | None = None,
        base_image: str | None = None,
        base_image_registry: ContainerRegistry | None = None,
        allow_absolute_path: bool = False,
        cuda_version: str | None = None,
    ) -> None:
        if schema_file is not None:
            print(f"schema_file is ignored: {execution_script} has the schema, in @input_schema or its type hints")
        super().__init__(
            execution_script,
            runtime,
            conda_file,
            docker_file,
            enable_gpu=enable_gpu,
            description=description,
            base_image=base_image,
            base_image_registry=base_image_registry,
            cuda_version=cuda_version,
        )
        self._dependencies = _list_dependencies(dependencies or [])
        self._tags = check_json_dict("tags", tags)
        self._properties = check_json_dict("properties", properties)

    @property
    def image_tags(self) -> dict[str, Any]:
        """The tags of its images."""
        return dict(self._tags)

    @property
    def image_properties(self) -> dict[str, Any]:
        """The properties of its images."""
        return dict(self._properties)

    @property
    def execution_script(self) -> str | None:
        """The entry script."""
        return self.entry_script


class Image(AzureNames):
    """What `Image.create` returned; `Image(workspace, name)` finds the newest of that name in this process.

    `image_location` and the logs of its build are None. Raises `WebserviceException` when there is none of that name,
    `id` (`NAME:VERSION`) and version.
    """

    _azure_owner, _azure_names = "image", IMAGE

    workspace: WorkspaceLike
    name: str
    version: int
    models: List[ModelLike | str | Path]
    image_config: InferenceConfig
    tags: dict[str, Any]
    properties: dict[str, Any]
    description: str | None
    creation_state = "Succeeded"
    image_type = image_flavor = "Docker"
    image_location = image_build_log_uri = generated_image_build_log_uri = creation_error = None  # notebooks print them

    def __new__(
        cls,
        workspace: WorkspaceLike,
        name: str | None = None,
        id: str | None = None,
        tags: Any = None,
        properties: Any = None,
        version: Any = None,
    ) -> Image:
        found = [
            image
            for image in Image.list(workspace, name, tags=tags, properties=properties)
            if id in (None, image.id) and version in (None, image.version, str(image.version))
        ]
        if not found:
            raise WebserviceException(
                f"there is no image {id or name}",
                why="an image of v1 is kept in the process that created it",
                hint="call ContainerImage.create(...) in this notebook, or deploy with Model.deploy(...)",
            )
        return found[-1]

    @staticmethod
    def image_configuration(
        execution_script: str | Path,
        runtime: str = "python",
        conda_file: str | Path | None = None,
        docker_file: str | Path | None = None,
        schema_file: str | Path | None = None,
        dependencies: List[str] | None = None,
        enable_gpu: bool | None = None,
        tags: dict[str, Any] | None = None,
        properties: dict[str, Any] | None = None,
        description: str | None = None,
        base_image: str | None = None,
        base_image_registry: ContainerRegistry | None = None,
        cuda_version: str | None = None,
    ) -> ContainerImageConfig:
        """A `ContainerImageConfig`, which documents the parameters and names the errors."""
        return ContainerImageConfig(
            execution_script,
            runtime,
            conda_file,
            docker_file,
            schema_file,
            dependencies,
            enable_gpu,
            tags,
            properties,
            description,
            base_image,
            base_image_registry,
            cuda_version=cuda_version,
        )

    @staticmethod
    def create(
        workspace: WorkspaceLike, name: str, models: List[ModelLike | str | Path], image_config: InferenceConfig
    ) -> Image:
        """Describes an image of the models and the script. Nothing is built before it is deployed.

        Raises `UserErrorException` for another `image_config`.
        """
        if not isinstance(image_config, InferenceConfig):
            raise UserErrorException(
                f"image_config is {image_config!r}",
                why="an image is made from a configuration of its script",
                hint='such as ContainerImage.image_configuration(execution_script="score.py", conda_file="env.yml")',
            )
        image = object.__new__(ContainerImage)
        made = _made.setdefault(_key(workspace), [])
        image.workspace, image.name = workspace, name
        image.version = 1 + sum(other.name == name for other in made)
        image.models, image.image_config = List(models), image_config
        image.tags = getattr(image_config, "image_tags", {})
        image.properties = getattr(image_config, "image_properties", {})
        image.description = image_config.description
        made.append(image)
        return image

    @staticmethod
    def list(
        workspace: WorkspaceLike,
        image_name: str | None = None,
        model_name: str | None = None,
        model_id: str | None = None,
        tags: Any = None,
        properties: Any = None,
    ) -> List[Image]:
        """The images that this process has created in the workspace, oldest first."""
        wanted, needed = parse_filter("tags", tags), parse_filter("properties", properties)
        return [
            image
            for image in _made.get(_key(workspace), [])
            if image_name in (None, image.name)
            and (model_name is None or any(getattr(model, "name", model) == model_name for model in image.models))
            and (model_id is None or any(getattr(model, "id", model) == model_id for model in image.models))
            and matches(image.tags, wanted)
            and matches(image.properties, needed)
        ]

    @property
    def id(self) -> str:
        """`NAME:VERSION`."""
        return f"{self.name}:{self.version}"

    def wait_for_creation(self, show_output: bool = False) -> None:
        """Returns at once. With `show_output` it prints that nothing is built yet."""
        if show_output:
            print(f"{self.id} is described; it is made when it is deployed: Webservice.deploy_from_image(...)")

    update_creation_state = wait_for_creation

    def add_tags(self, tags: dict[str, Any]) -> None:
        """Adds tags to the description."""
        self.tags |= tags

    def add_properties(self, properties: dict[str, Any]) -> None:
        """Adds properties to the description."""
        self.properties |= properties

    def remove_tags(self, tags: List[str]) -> None:
        """Removes tags from the description."""
        for tag in tags:
            self.tags.pop(tag, None)

    def update(self, tags: dict[str, Any]) -> None:
        """Replaces the tags."""
        self.tags = dict(tags)

    def delete(self) -> None:
        """Forgets the image. Services that were deployed from it stay."""
        _made[_key(self.workspace)].remove(self)

    def serialize(self) -> dict[str, Any]:
        """The description as data, with v1's keys."""
        return {
            "name": self.name,
            "version": self.version,
            "id": self.id,
            "creationState": self.creation_state,
            "description": self.description,
            "tags": self.tags,
            "properties": self.properties,
            "models": [getattr(model, "id", str(model)) for model in self.models],
        }

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, version={self.version})"


class ContainerImage(Image):
    """v1's one kind of image."""


def _key(workspace: WorkspaceLike) -> str:
    return check_workspace(workspace).name


def _list_dependencies(paths: List[str]) -> dict[str, str]:
    """Relative path -> absolute path of each: v1 kept the path below the current folder, as scripts open it."""
    here = Path.cwd()
    absolute = [Path(os.path.normpath(here / path)) for path in paths]
    return {
        path.relative_to(here).as_posix() if path.is_relative_to(here) else path.name: str(path) for path in absolute
    }
