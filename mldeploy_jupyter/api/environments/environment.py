"""`Environment`: Python version, packages and variables of a service, in v1's words."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.api.arguments import KnownNames, azure_method, check_path, check_text, check_workspace
from mldeploy_jupyter.api.environments import images, json_data, sections, sources
from mldeploy_jupyter.api.environments import labels as environment_labels
from mldeploy_jupyter.api.environments.conda_dependencies import CondaDependencies
from mldeploy_jupyter.api.environments.sections import (
    ContainerRegistry,
    DatabricksSection,
    DockerSection,
    PythonSection,
    SparkSection,
)
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec, from_conda_file, from_requirements_file
from mldeploy_jupyter.core.errors import ConfigError, EnvironmentBuildError, MldeployError, UserErrorException
from mldeploy_jupyter.core.storage_errors import explain_write_errors

if TYPE_CHECKING:
    from mldeploy_jupyter.environments import PreparedEnvironment


__all__ = ["CondaDependencies", "ContainerRegistry", "DockerSection", "Environment", "PythonSection"]

DEFINITION_FILE = "azureml_environment.json"


class Environment(KnownNames):
    """A named Python environment.

    `version` is None until it is registered. Without any dependency the service gets the scoring server and
    the kernel's Python version. `environment_variables` reach the entry script. Raises `UserErrorException`
    for a name that is empty or starts with Microsoft or AzureML.
    """

    _names = frozenset(
        {"name", "version", "python", "docker", "environment_variables", "inferencing_stack_version"}
        | {"spark", "databricks", "r"}
    )

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,254}", name):
            raise UserErrorException(
                f"{name!r} is not a name for an environment",
                why="a name has letters, digits, '.', '_', '-', starts with a letter or digit, up to 255 characters",
                hint="choose another name",
            )
        if name.lower().startswith(("microsoft", "azureml")):
            raise UserErrorException(
                f"the name {name!r} is reserved",
                why="names that start with Microsoft or AzureML are Azure's own",
                hint="choose another name",
            )
        self.name = name
        self.version: str | None = None
        self.python = PythonSection(conda_dependencies=CondaDependencies())
        self.docker = DockerSection()
        self.environment_variables: dict[str, str] = {}
        self.inferencing_stack_version: str | None = None
        self.spark = SparkSection()  # these three are v1's, kept, and not used
        self.databricks = DatabricksSection()
        self.r: Any = None

    # Making one.

    @staticmethod
    def from_conda_specification(name: str, file_path: str | Path) -> Environment:
        """From a conda YAML file. Its `variables:` become environment variables. Raises `UserErrorException`."""
        environment = Environment(name)
        file_path = check_path("file_path", file_path, '"conda.yml"')
        spec = from_conda_file(file_path)
        environment.python.conda_dependencies = CondaDependencies(file_path)
        environment.environment_variables = dict(spec.environment_variables)
        return environment

    @staticmethod
    def from_pip_requirements(name: str, file_path: str | Path, pip_version: str | None = None) -> Environment:
        """From a pip requirements file; `-r`, `-c`, hashes and index options are understood.

        Raises `UserErrorException`. `pip_version` is v1's and ignored with a note: uv installs, not pip.
        """
        if pip_version is not None:
            print("Environment.from_pip_requirements: pip_version is ignored; uv installs the packages")
        environment = Environment(name)
        spec = from_requirements_file(check_path("file_path", file_path, '"requirements.txt"'))
        environment.python.conda_dependencies = _conda_of(spec)
        return environment

    @staticmethod
    def from_existing_conda_environment(name: str, conda_environment_name: str) -> Environment:
        """From a conda environment of this machine, as `conda env export --no-builds` writes it."""
        environment = Environment(name)
        environment.python.conda_dependencies = sources.conda_environment(conda_environment_name)
        return environment

    @staticmethod
    def from_kernel(name: str = "kernel", modules: Iterable[str] | None = None) -> Environment:
        """The running kernel: exact pins of the packages that own `modules`.

        `modules` are import names; default: everything that is imported now, less the notebook's own machinery.
        Raises `EnvironmentBuildError` for a package that was installed from a local folder, which cannot be pinned.
        """
        environment = Environment(name)
        environment.python.conda_dependencies = sources.kernel(modules)
        return environment

    current = from_kernel

    @staticmethod
    def from_docker_image(
        name: str,
        image: str,
        container_registry: ContainerRegistry | None = None,
        conda_specification: str | Path | None = None,
        pip_requirements: str | Path | None = None,
    ) -> Environment:
        """From a base image, with the packages of at most one of the two files. Raises `UserErrorException`."""
        environment = images.with_packages(name, conda_specification, pip_requirements)
        environment.docker.base_image = image
        environment.docker.base_image_registry = container_registry or ContainerRegistry()
        return environment

    @staticmethod
    def from_dockerfile(
        name: str,
        dockerfile: str | Path,
        conda_specification: str | Path | None = None,
        pip_requirements: str | Path | None = None,
    ) -> Environment:
        """From a Dockerfile, its path or its text, for a container target; locally its packages only.

        Packages come from at most one of the two files. Raises `UserErrorException`.
        """
        environment = images.with_packages(name, conda_specification, pip_requirements)
        environment.docker.base_dockerfile = images.dockerfile_text(dockerfile)
        return environment

    @staticmethod
    def from_docker_build_context(name: str, docker_build_context: Any) -> Environment:
        """From a folder with a Dockerfile, for a container target. Takes a path or v1's DockerBuildContext.

        Raises `UserErrorException`.
        """
        environment = Environment(name)
        environment.docker.build_context = images.context_folder(docker_build_context)
        return environment

    def clone(self, new_name: str) -> Environment:
        """A copy under another name, not registered."""
        name = Environment(new_name).name  # a name that cannot be one is refused
        copy = Environment.from_dict({**self.to_dict(), "name": name, "version": None})
        copy.docker.base_image_registry.password = self.docker.base_image_registry.password
        return copy

    # Keeping one.

    def register(self, workspace: Any) -> Environment:
        """Keep this definition in the workspace as a new version, and return it; the same again keeps its version."""
        store, definition = check_workspace(workspace).folder.open_store(), self.to_dict() | {"version": None}
        newest = store.get_environment(self.name)
        if newest is not None and newest | {"version": None} == definition:
            return Environment.from_dict(newest)
        return Environment.from_dict(definition | {"version": store.add_environment(self.name, definition)})

    @staticmethod
    def get(workspace: Any, name: str, version: str | int | None = None, label: str | None = None) -> Environment:
        """A registered environment, the newest without `version` or `label`.

        Raises `EnvironmentBuildError` if there is none, `UserErrorException` for both a version and a label.
        """
        check_workspace(workspace)
        check_text("label", label)
        if label is not None and version is not None:
            raise UserErrorException(
                f"version {version!r} and label {label!r} are both given",
                why="each of them says which version is meant",
                hint="leave one of them out",
            )
        if label is not None:
            version = environment_labels.find(workspace, name, label)
        if version is not None and not str(version).isdigit():
            raise UserErrorException(
                f"{version!r} is not a version of an environment",
                why="versions are 1, 2, 3 and so on",
                hint="leave the version out for the newest",
            )
        folder = workspace.find_folder()
        wanted = None if version is None else int(version)
        definition = folder.open_store().get_environment(name, wanted) if folder else None
        if definition is None:
            raise EnvironmentBuildError(
                f"there is no environment {name!r}" + (f" of version {version}" if version is not None else ""),
                why="the workspace has " + (", ".join(sorted(Environment.list(workspace))) or "no environments"),
                hint="register it in Python with Environment(...).register(ws), or give a conda file in its place",
                code="EnvironmentNotFound",
            )
        return Environment.from_dict(definition)

    @staticmethod
    def list(workspace: Any) -> dict[str, Environment]:
        """The registered environments by name, each in its newest version."""
        found: dict[str, Environment] = {}
        folder = check_workspace(workspace).find_folder()
        for definition in folder.open_store().list_environments() if folder else []:  # newest version of a name first
            if definition["name"] not in found:
                found[definition["name"]] = Environment.from_dict(definition)
        return found

    @staticmethod
    def label(workspace: Any, name: str, version: str | int, labels: Iterable[str]) -> None:
        """Puts labels on a registered version, for `get(workspace, name, label=...)`; a label moves to the newest call.

        Raises `EnvironmentBuildError` if there is no such version.
        """
        environment_labels.put(workspace, Environment.get(workspace, name, version), labels)

    get_image_details = azure_method(
        "get_image_details",
        "this version builds no images",
        "make the environment here: environment.build_local(workspace)",
    )

    def save_to_directory(self, path: str | Path, overwrite: bool = False) -> None:
        """Write the definition into a folder.

        Raises `UserErrorException` if it is there and not `overwrite`, `StorageError` when it cannot be written.
        """
        folder = Path(check_path("path", path, '"environment"'))
        if folder.exists() and (not overwrite or not folder.is_dir()):
            raise UserErrorException(
                f"{folder} exists already",
                why="what is there would be replaced"
                if folder.is_dir()
                else "it is a file, and a folder is to be made",
                hint="choose another folder" + (", or pass overwrite=True" if folder.is_dir() else ""),
            )
        text = json.dumps(self.to_dict(), indent=2)
        with explain_write_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / DEFINITION_FILE).write_text(text, "utf-8")

    @staticmethod
    def load_from_directory(path: str | Path) -> Environment:
        """Read what `save_to_directory` wrote. Raises `ConfigError`."""
        file = Path(check_path("path", path, '"environment"')) / DEFINITION_FILE
        try:
            return Environment.from_dict(json.loads(file.read_text("utf-8")))
        except (OSError, ValueError, TypeError) as error:
            why = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
            raise ConfigError(
                f"there is no environment in {path}",
                why=f"{file} cannot be read: {why}",
                hint="name a folder that save_to_directory made",
            ) from None

    def build(self, workspace: Any = None, image_build_compute: Any = None) -> PreparedEnvironment:
        """As `build_local`: this version makes the environment on this machine, and no image."""
        if image_build_compute is not None:
            print("Environment.build: image_build_compute is ignored; the environment is made on this machine")
        return self.build_local(workspace)

    def build_local(self, workspace: Any = None, platform: Any = None, **kwargs: Any) -> PreparedEnvironment:
        """Make the environment on this machine now, so that a deployment finds it. Prints what uv says."""
        from mldeploy_jupyter.environments import prepare

        def show(kind: str, text: str = "", **data: object) -> None:
            print(text)

        return prepare(self.to_spec(), kernel_python=sys.executable, emit=show)

    # For the rooms below.

    def to_spec(self, folder: str | Path | None = None) -> EnvironmentSpec:
        """What the room `environments` makes. `conda_dependencies_file` is relative to `folder` (default: cwd)."""
        sections.check_parts(self)
        if self.python.user_managed_dependencies:
            spec = EnvironmentSpec(interpreter=_interpreter(self.python.interpreter_path))
        elif self.python.conda_dependencies_file:
            spec = from_conda_file(Path(folder or ".") / self.python.conda_dependencies_file)
        elif self.python.conda_dependencies is not None:
            spec = self.python.conda_dependencies.to_spec()
        else:
            spec = EnvironmentSpec()
        variables = {**spec.environment_variables, **sections.variables(self)}
        return replace(spec, name=self.name, version=self.version, environment_variables=variables)

    def to_dict(self) -> dict[str, Any]:
        """The `environment` object of inferenceconfig.json. Passwords are left out."""
        return json_data.to_dict(self)

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Environment:
        """From the `environment` object of inferenceconfig.json. An unknown key raises `ConfigError` with its place."""
        json_data.check(data)
        try:
            environment = Environment(data.get("name") or "environment")
        except MldeployError as error:
            error.where = "environment.name"
            raise
        json_data.fill(environment, data)
        return environment

    def __repr__(self) -> str:
        return f"Environment(name={self.name!r}, version={self.version!r})"


def _interpreter(path: str) -> str:
    """An absolute path; "python", v1's default, is the kernel's own."""
    if path == "python":
        return sys.executable
    found = shutil.which(os.path.expanduser(path))
    if found is None:
        raise EnvironmentBuildError(
            f"there is no interpreter {path}",
            why="python.interpreter_path names neither a file nor a command on PATH",
            hint="give an absolute path, or leave it 'python' for the kernel's own",
            code="PythonNotFound",
        )
    return os.path.abspath(found)


def _conda_of(spec: EnvironmentSpec) -> CondaDependencies:
    data: dict[str, Any] = {"dependencies": [{"pip": [*spec.pip_options, *spec.pip]}]}
    if spec.constraints:
        data["constraints"] = spec.constraints
    return CondaDependencies(_underlying_structure=data)
