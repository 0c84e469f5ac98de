"""What an `Environment` consists of: Python, Docker, the registry of a base image, and v1's unused sections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from typing import Any

from mldeploy_jupyter.api.arguments import KnownNames
from mldeploy_jupyter.api.environments.conda_dependencies import CondaDependencies
from mldeploy_jupyter.core.errors import ConfigError

# An image has one base; as in v1, setting one of these clears the others.
BASES = ("base_image", "base_dockerfile", "build_context")


@dataclass
class ContainerRegistry(KnownNames):
    """Where a base image is pulled from. Empty means a public image. The password is never stored or shown."""

    address: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    registry_identity: str | None = None

    @staticmethod
    def from_data(data: Any) -> ContainerRegistry:
        """Accepts an object with the fields or a bare address, since v1's documentation shows both.

        Raises `ConfigError` for anything else and for an unknown key.
        """
        if data is None or isinstance(data, str):
            return ContainerRegistry(address=data)
        if not isinstance(data, dict):
            raise ConfigError(
                "baseImageRegistry has the wrong type", hint="give an object with address, username, password"
            )
        known = {"address": "address", "username": "username", "password": "password"}
        known |= {"registryIdentity": "registry_identity", "registry_identity": "registry_identity"}
        check_keys(data, known, "baseImageRegistry")
        return ContainerRegistry(**{known[key]: value for key, value in data.items()})

    def without_password(self) -> dict[str, Any]:
        """The fields that are set, as data that may be stored."""
        data = asdict(self)
        del data["password"]
        return {key: value for key, value in data.items() if value is not None}


@dataclass
class PythonSection(KnownNames):
    """Where the Python and its packages come from.

    With `user_managed_dependencies` the interpreter at `interpreter_path` is used unchanged ("python" is the
    kernel's own). In an image with a base of its own it is the Python of that base, with the packages that it has, to
    which the scoring server's are added. Otherwise the packages of `conda_dependencies_file`, or of
    `conda_dependencies`, are installed.
    """

    user_managed_dependencies: bool = False
    interpreter_path: str = "python"
    conda_dependencies: CondaDependencies | None = None
    conda_dependencies_file: str | None = None
    base_conda_environment: str | None = None


@dataclass
class DockerPlatform(KnownNames):
    """v1's; stored but not used."""

    os: str = "Linux"
    architecture: str = "amd64"


@dataclass
class DockerSection(KnownNames):
    """The image that a container target starts from.

    It is `base_image`, the text `base_dockerfile`, or the Dockerfile in the folder `build_context` (an absolute path).
    Setting one clears the others and prints a line. `enabled`, `arguments`, `shared_volumes`, `gpu_support` and
    `platform` are v1's and have no effect.
    """

    base_image: str | None = None
    base_dockerfile: str | None = None
    build_context: str | None = None
    base_image_registry: ContainerRegistry = field(default_factory=ContainerRegistry)
    enabled: bool = False
    arguments: list[str] = field(default_factory=list)
    shared_volumes: bool = True
    gpu_support: bool = False
    shm_size: str | None = None
    platform: DockerPlatform = field(default_factory=DockerPlatform)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in BASES and value is not None:
            for other in BASES:
                if other != name and getattr(self, other, None) is not None:
                    print(f"DockerSection: {other} is cleared, because {name} takes its place")
                    super().__setattr__(other, None)
        super().__setattr__(name, value)


@dataclass
class DockerBuildContext:
    """v1's folder with a Dockerfile, for `Environment.from_docker_build_context`."""

    location: str
    dockerfile_path: str = "Dockerfile"

    @staticmethod
    def from_local_directory(workspace: Any, path: str, dockerfile_path: str = "Dockerfile") -> DockerBuildContext:
        """The folder `path` of this machine. Nothing is uploaded, so `workspace` is ignored."""
        return DockerBuildContext(str(path), dockerfile_path)


@dataclass
class SparkSection(KnownNames):
    """v1's; stored but not used, as services here run Python."""

    repositories: list[str] = field(default_factory=list)
    packages: list[Any] = field(default_factory=list)
    precache_packages: bool = True


@dataclass
class DatabricksSection(KnownNames):
    """v1's; stored but not used."""

    maven_libraries: list[Any] = field(default_factory=list)
    pypi_libraries: list[Any] = field(default_factory=list)
    rcran_libraries: list[Any] = field(default_factory=list)
    jar_libraries: list[Any] = field(default_factory=list)
    egg_libraries: list[Any] = field(default_factory=list)


@dataclass(eq=False, repr=False)
class EnvironmentFields(KnownNames):
    """The attributes of an `Environment`. The functions of this package take these, and `Environment` is one."""

    name: str
    version: str | None = None
    python: PythonSection = field(default_factory=lambda: PythonSection(conda_dependencies=CondaDependencies()))
    docker: DockerSection = field(default_factory=DockerSection)
    environment_variables: dict[str, str] = field(default_factory=dict)
    # v1's; stored but not used.
    inferencing_stack_version: str | None = None
    spark: SparkSection = field(default_factory=SparkSection)
    databricks: DatabricksSection = field(default_factory=DatabricksSection)
    r: Any = None


def check_keys(data: Any, known: Iterable[str], where: str) -> None:
    """Raises `ConfigError` when `data` is not a dict or has a key that is not in `known`."""
    if not isinstance(data, dict):
        raise ConfigError(
            f"{where} has the wrong type", why=f"expected an object, found {data!r:.60}", hint=f"correct {where}"
        )
    for key in data:
        if key not in known:
            close = get_close_matches(str(key), list(known), n=1)
            raise ConfigError(
                f"unknown key {where}.{key}",
                why=f"the keys are {', '.join(known)}",
                hint=f"did you mean {close[0]!r}?" if close else f"remove {key!r}",
            )


def check_types(environment: EnvironmentFields) -> None:
    """Raises `ConfigError` when an attribute or an environment variable has the wrong type."""
    expected: list[tuple[str, Any, type, str]] = [
        ("python", environment.python, PythonSection, "PythonSection()"),
        ("docker", environment.docker, DockerSection, "DockerSection()"),
        ("spark", environment.spark, SparkSection, "SparkSection()"),
        ("databricks", environment.databricks, DatabricksSection, "DatabricksSection()"),
        ("environment_variables", environment.environment_variables or {}, Mapping, '{"NAME": "value"}'),
    ]
    conda = getattr(environment.python, "conda_dependencies", None)
    if conda is not None:
        expected.append(("python.conda_dependencies", conda, CondaDependencies, "CondaDependencies(file_path)"))
    if isinstance(environment.docker, DockerSection):
        registry, arguments = environment.docker.base_image_registry, environment.docker.arguments
        expected.append(("docker.base_image_registry", registry, ContainerRegistry, "ContainerRegistry(address)"))
        expected.append(
            ("docker.arguments", [*arguments] if isinstance(arguments, tuple) else arguments, list, '["-v"]')
        )
    for attribute, value, kind, example in expected:
        if not isinstance(value, kind):
            raise ConfigError(
                f"{attribute} of the environment {environment.name!r} cannot be used",
                # The message leaves the value out: it may be a password.
                why=f"it is of type {type(value).__name__}, and must be of type {kind.__name__}",
                hint=f"such as environment.{attribute} = {example}",
            )
    for name, value in (environment.environment_variables or {}).items():
        if not isinstance(name, str) or not isinstance(value, (str, int, float)):
            # Here too the value may be a password.
            raise ConfigError(
                f"the environment variable {name!r} of the environment {environment.name!r} is not text",
                why=f"its value is of type {type(value).__name__}" if isinstance(name, str) else "its name is none",
                hint="names and values are strings; leave it out to have the variable unset",
            )


def variables(environment: EnvironmentFields) -> dict[str, str]:
    """The environment variables with their values as strings."""
    return {name: str(value) for name, value in (environment.environment_variables or {}).items()}
