"""An `Environment` as the `environment` object of inferenceconfig.json, and back."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.api.environments.conda_dependencies import CondaDependencies
from mldeploy_jupyter.api.environments.sections import (
    DATABRICKS_KEYS,
    DOCKER_KEYS,
    PLATFORM_KEYS,
    PYTHON_KEYS,
    SPARK_KEYS,
    TOP_KEYS,
    ContainerRegistry,
    check_keys,
    check_parts,
    variables,
)

if TYPE_CHECKING:
    from mldeploy_jupyter.api.environments.environment import Environment


UNUSED = {"spark": SPARK_KEYS, "databricks": DATABRICKS_KEYS}


def to_dict(environment: Environment) -> dict[str, Any]:
    """Plain data. Passwords are left out."""
    check_parts(environment)
    python = environment.python
    return {
        "name": environment.name,
        "version": environment.version,
        "environmentVariables": variables(environment),
        "python": {
            "userManagedDependencies": python.user_managed_dependencies,
            "interpreterPath": python.interpreter_path,
            "condaDependenciesFile": python.conda_dependencies_file,
            "baseCondaEnvironment": python.base_conda_environment,
            "condaDependencies": _plain(python.conda_dependencies),
        },
        "docker": {
            "baseImage": environment.docker.base_image,
            "baseDockerfile": environment.docker.base_dockerfile,
            **({"buildContext": environment.docker.build_context} if environment.docker.build_context else {}),
            "baseImageRegistry": environment.docker.base_image_registry.without_password(),
            "enabled": environment.docker.enabled,
            "arguments": [*environment.docker.arguments],
            "sharedVolumes": environment.docker.shared_volumes,
            "gpuSupport": environment.docker.gpu_support,
            "shmSize": environment.docker.shm_size,
            **({"platform": platform} if (platform := _given(environment.docker.platform, PLATFORM_KEYS)) else {}),
        },
        "inferencingStackVersion": environment.inferencing_stack_version,
        **{name: found for name, keys in UNUSED.items() if (found := _given(getattr(environment, name), keys))},
        **({"r": deepcopy(environment.r)} if environment.r else {}),
    }


def check(data: dict[str, Any]) -> None:
    """Raises `ConfigError` with the place of an unknown key."""
    check_keys(data, TOP_KEYS, "environment")
    check_keys(_part(data, "python"), PYTHON_KEYS, "environment.python")
    check_keys(_part(data, "docker"), DOCKER_KEYS, "environment.docker")
    check_keys(_part(_part(data, "docker"), "platform"), PLATFORM_KEYS, "environment.docker.platform")
    for name, keys in UNUSED.items():
        check_keys(_part(data, name), keys, f"environment.{name}")
    named = _part(data, "environmentVariables")
    check_keys(named, named, "environment.environmentVariables")


def fill(environment: Environment, data: dict[str, Any]) -> None:
    """Sets everything but the name from checked data."""
    python, docker, named = (_part(data, key) for key in ("python", "docker", "environmentVariables"))
    environment.version = None if data.get("version") is None else str(data["version"])
    environment.environment_variables = {str(key): value for key, value in named.items()}
    environment.inferencing_stack_version = data.get("inferencingStackVersion")
    for key, attribute in PYTHON_KEYS.items():
        if python.get(key) is not None and attribute != "conda_dependencies":
            setattr(environment.python, attribute, python[key])
    if python.get("condaDependencies") is not None:
        environment.python.conda_dependencies = CondaDependencies(_underlying_structure=python["condaDependencies"])
    for key, attribute in DOCKER_KEYS.items():
        if docker.get(key) is not None and attribute not in ("base_image_registry", "platform"):
            # Not by setattr, which would clear one of two bases: a file that has both is refused.
            vars(environment.docker)[attribute] = docker[key]
    environment.r = data.get("r")
    for key, value in _part(docker, "platform").items():
        setattr(environment.docker.platform, key, value)
    for name, keys in UNUSED.items():
        for key, value in _part(data, name).items():
            setattr(getattr(environment, name), keys[key], value)
    environment.docker.base_image_registry = ContainerRegistry.from_data(docker.get("baseImageRegistry"))


def _given(section: Any, keys: dict[str, str]) -> dict[str, Any]:
    """What differs from the defaults."""
    usual = type(section)()
    values = {key: (getattr(section, name), getattr(usual, name)) for key, name in keys.items()}
    return {key: deepcopy(value) for key, (value, default) in values.items() if value != default}


def _part(data: dict[str, Any], key: str) -> Any:
    return {} if data.get(key) is None else data[key]


def _plain(dependencies: CondaDependencies | None) -> dict[str, Any] | None:
    """The dependencies as data that no file is needed for: nested requirement files are read in."""
    if dependencies is None:
        return None
    if not any(line.startswith("-") for line in dependencies.pip_options):
        return dependencies.as_dict()
    spec, data = dependencies.to_spec(), dependencies.as_dict()
    kept = [item for item in data["dependencies"] if isinstance(item, str)]
    data["dependencies"] = [*kept, {"pip": [*spec.pip_options, *spec.pip]}]
    return data | ({"constraints": spec.constraints} if spec.constraints else {})
