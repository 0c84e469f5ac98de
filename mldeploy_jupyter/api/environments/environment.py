"""`Environment`: Python version, packages and variables of a service, under v1's names."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.api.arguments import WorkspaceLike, azure_method, check_path, check_workspace
from mldeploy_jupyter.api.azure_names import ENVIRONMENT, AzureNames
from mldeploy_jupyter.api.environments import json_data, kernel_python, registry, sections, sources
from mldeploy_jupyter.api.environments.conda_dependencies import CondaDependencies
from mldeploy_jupyter.api.environments.sections import ContainerRegistry, EnvironmentFields
from mldeploy_jupyter.core import migration
from mldeploy_jupyter.core.environment.conda_file import read_conda_file
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.core.errors import ConfigError, MldeployError, UserErrorException
from mldeploy_jupyter.core.files import decode_text
from mldeploy_jupyter.core.storage_errors import explain_write_errors
from mldeploy_jupyter.core.text import printable

if TYPE_CHECKING:
    from mldeploy_jupyter.environments import PreparedEnvironment

DEFINITION_FILE = "azureml_environment.json"


class Environment(EnvironmentFields, AzureNames):
    """A named Python environment.

    `python` says which packages a service gets; without any it gets the scoring server and the kernel's Python
    version. `environment_variables` are set for the entry script. `docker` is for targets that build an image.
    `version` is None until the environment is registered. `spark`, `databricks`, `r` and `inferencing_stack_version`
    are v1's; they are stored but not used.

    Raises `UserErrorException` for a name that is empty or starts with Microsoft or AzureML.
    """

    _azure_owner, _azure_names = "environment", ENVIRONMENT

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,254}", name):
            raise UserErrorException(
                f"{name!r} is not a name for an environment",
                why="a name has letters, digits, '.', '_', '-', starts with a letter or digit, up to 255 characters",
                hint="choose another name",
            )
        if registry.is_reserved(name):
            raise UserErrorException(
                f"the name {name!r} is reserved",
                why="names that start with Microsoft or AzureML are those of Azure's curated environments",
                hint="choose another name, and list the packages that the script imports",
            )
        super().__init__(name)

    # Creating ---------------------------------------------------------------------------------------------------

    @staticmethod
    def from_conda_specification(name: str, file_path: str | Path) -> Environment:
        """From a conda YAML file. Its `variables:` become environment variables.

        Raises `UserErrorException` for a value that is not a path, `ConfigError` when the file cannot be used.
        """
        environment = Environment(name)
        file_path = check_path("file_path", file_path, '"conda.yml"')
        spec = read_conda_file(file_path)
        environment.python.conda_dependencies = CondaDependencies(file_path)
        environment.environment_variables = dict(spec.environment_variables)
        return environment

    @staticmethod
    def from_pip_requirements(name: str, file_path: str | Path, pip_version: str | None = None) -> Environment:
        """From a pip requirements file; `-r`, `-c`, hashes and index options are understood.

        `pip_version` is v1's and ignored with a note, since uv installs the packages. Raises `UserErrorException` for
        a value that is not a path, `ConfigError` when the file cannot be read or is wrong.
        """
        if pip_version is not None:
            print("Environment.from_pip_requirements: pip_version is ignored; uv installs the packages")
        environment = Environment(name)
        environment.python.conda_dependencies = sources.read_pip_requirements(file_path)
        return environment

    @staticmethod
    def from_existing_conda_environment(name: str, conda_environment_name: str) -> Environment:
        """From a conda environment of this machine, as `conda env export --no-builds` lists it.

        Raises `EnvironmentBuildError` without conda, or when there is no such environment.
        """
        environment = Environment(name)
        environment.python.conda_dependencies = sources.read_conda_environment(conda_environment_name)
        return environment

    @staticmethod
    def from_kernel(name: str = "kernel", modules: Iterable[str] | None = None) -> Environment:
        """From the running kernel: exact pins of the packages that own `modules`.

        `modules` are import names; by default everything imported so far except the notebook's own machinery.
        Raises `EnvironmentBuildError` for a package installed from a local folder, which cannot be pinned.
        """
        environment = Environment(name)
        environment.python.conda_dependencies = sources.pin_kernel(modules)
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
        environment = _with_packages(name, conda_specification, pip_requirements)
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
        """From a Dockerfile, given as its path or its text, for a container target; locally only the packages count.

        Packages come from at most one of the two files. Raises `UserErrorException`.
        """
        environment = _with_packages(name, conda_specification, pip_requirements)
        environment.docker.base_dockerfile = sources.read_dockerfile(dockerfile)
        return environment

    @staticmethod
    def from_docker_build_context(name: str, docker_build_context: Any) -> Environment:
        """From a folder with a Dockerfile, for a container target. Accepts a path or v1's DockerBuildContext.

        Raises `UserErrorException` when the folder has no Dockerfile.
        """
        environment = Environment(name)
        environment.docker.build_context = sources.find_build_context(docker_build_context)
        return environment

    def clone(self, new_name: str) -> Environment:
        """A copy under another name, not registered. Raises `UserErrorException` for a name that is not allowed."""
        name = Environment(new_name).name
        copy = Environment.from_dict({**self.to_dict(), "name": name, "version": None})
        copy.docker.base_image_registry.password = self.docker.base_image_registry.password
        return copy

    # Registering ------------------------------------------------------------------------------------------------

    def register(self, workspace: WorkspaceLike) -> Environment:
        """Stores this definition in the workspace as a new version and returns it.

        A definition equal to the newest version keeps that version.
        """
        return Environment.from_dict(registry.register(check_workspace(workspace).folder, self.to_dict()))

    @staticmethod
    def get(
        workspace: WorkspaceLike, name: str, version: str | int | None = None, label: str | None = None
    ) -> Environment:
        """A registered environment, the newest without `version` or `label`.

        A curated one of Azure's is the kernel's own after `migrate(python="kernel")`. Raises `EnvironmentBuildError`
        when there is none, `UserErrorException` for both a version and a label.
        """
        if migration.uses_kernel_python() and (curated := kernel_python.curated_name(name)):
            environment = Environment(curated)
            environment.python.user_managed_dependencies = True
            environment.python.interpreter_path = kernel_python.say_curated(name)
            return environment
        return Environment.from_dict(registry.find(check_workspace(workspace).find_folder(), name, version, label))

    @staticmethod
    def list(workspace: WorkspaceLike) -> dict[str, Environment]:
        """The newest version of every registered environment, by name."""
        newest = registry.list_newest(check_workspace(workspace).find_folder())
        return {name: Environment.from_dict(definition) for name, definition in newest.items()}

    @staticmethod
    def label(workspace: WorkspaceLike, name: str, version: str | int, labels: Iterable[str]) -> None:
        """Labels a registered version for `get(workspace, name, label=...)`; a label of another version moves.

        Raises `EnvironmentBuildError` when there is no such version.
        """
        labelled = Environment.get(workspace, name, version)
        registry.add_labels(workspace.folder, labelled.name, labelled.version, labels)

    get_image_details = azure_method(
        "get_image_details",
        "Azure builds an image of each environment; here an image is made of models, script and environment together",
        "make it with Model.package(workspace, models, inference_config), or the environment alone with "
        "environment.build_local(workspace)",
    )

    def save_to_directory(self, path: str | Path, overwrite: bool = False) -> None:
        """Writes the definition into the folder `path`.

        Raises `UserErrorException` when it exists and `overwrite` is false, `StorageError` when it cannot be written.
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
        """Reads what `save_to_directory` wrote. Raises `ConfigError` when that is missing or wrong."""
        file = Path(check_path("path", path, '"environment"')) / DEFINITION_FILE
        try:
            return Environment.from_dict(json.loads(decode_text(file.read_bytes())))
        except (OSError, ValueError, TypeError, RecursionError) as error:
            why = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
            raise ConfigError(
                f"there is no environment in {path}",
                why=f"{file} cannot be read: {why}",
                hint="name a folder that save_to_directory made",
            ) from None

    def build(self, workspace: Any = None, image_build_compute: Any = None) -> PreparedEnvironment:
        """As `build_local`: this version makes the environment on this machine and builds no image."""
        if image_build_compute is not None:
            print("Environment.build: image_build_compute is ignored; the environment is made on this machine")
        return self.build_local(workspace)

    def build_local(self, workspace: Any = None, platform: Any = None, **kwargs: Any) -> PreparedEnvironment:
        """Makes the environment on this machine now, so that a deployment finds it. Prints uv's output.

        Raises `EnvironmentBuildError` when it cannot be made.
        """
        from mldeploy_jupyter.environments import prepare

        def show(kind: str, text: str = "", **data: object) -> None:
            print(printable(text))

        return prepare(self.to_spec(), kernel_python=sys.executable, emit=show)

    # As data ----------------------------------------------------------------------------------------------------

    def to_spec(self, folder: str | Path | None = None) -> EnvironmentSpec:
        """The environment as the room `environments` makes it.

        `python.conda_dependencies_file` is relative to `folder` (default: the current folder). Raises `ConfigError`
        when an attribute cannot be used, `EnvironmentBuildError` when `python.interpreter_path` does not exist.
        """
        sections.check_types(self)
        if self.python.user_managed_dependencies:
            spec = EnvironmentSpec(interpreter=sources.find_interpreter(self.python.interpreter_path))
        elif self.python.conda_dependencies_file:
            spec = read_conda_file(Path(folder or ".") / self.python.conda_dependencies_file)
        elif self.python.conda_dependencies is not None:
            spec = self.python.conda_dependencies.to_spec()
        else:
            spec = EnvironmentSpec()
        spec = kernel_python.replace_old_python(spec, self.name)
        variables = {**spec.environment_variables, **sections.variables(self)}
        return replace(spec, name=self.name, version=self.version, environment_variables=variables)

    def to_dict(self) -> dict[str, Any]:
        """The `environment` object of inferenceconfig.json, without passwords.

        Raises `ConfigError` when an attribute has the wrong type.
        """
        return json_data.to_dict(self)

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Environment:
        """From the `environment` object of inferenceconfig.json. Raises `ConfigError` with the path of a wrong key."""
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


def _with_packages(
    name: str, conda_specification: str | Path | None, pip_requirements: str | Path | None
) -> Environment:
    """An environment with the packages of at most one of the two files. Raises `UserErrorException` for both."""
    if conda_specification is not None and pip_requirements is not None:
        raise UserErrorException(
            "conda_specification and pip_requirements are both given",
            why="an environment has one list of packages",
            hint="name the PyPI packages under `pip:` of the conda file",
        )
    if conda_specification is not None:
        return Environment.from_conda_specification(name, conda_specification)
    if pip_requirements is not None:
        return Environment.from_pip_requirements(name, pip_requirements)
    return Environment(name)
