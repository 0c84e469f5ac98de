"""An `Environment` as the `environment` object of inferenceconfig.json, and back."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from mldeploy_jupyter.api.environments.conda_dependencies import CondaDependencies
from mldeploy_jupyter.api.environments.sections import (
    ContainerRegistry,
    EnvironmentFields,
    check_keys,
    check_types,
    variables,
)

# Keys of inferenceconfig.json -> attributes.
PYTHON_KEYS = {
    "userManagedDependencies": "user_managed_dependencies",
    "interpreterPath": "interpreter_path",
    "condaDependencies": "conda_dependencies",
    "condaDependenciesFile": "conda_dependencies_file",
    "baseCondaEnvironment": "base_conda_environment",
}

DOCKER_KEYS = {
    "baseImage": "base_image",
    "baseDockerfile": "base_dockerfile",
    "buildContext": "build_context",
    "baseImageRegistry": "base_image_registry",
    "enabled": "enabled",
    "arguments": "arguments",
    "sharedVolumes": "shared_volumes",
    "gpuSupport": "gpu_support",
    "shmSize": "shm_size",
    "platform": "platform",
}

PLATFORM_KEYS = {"os": "os", "architecture": "architecture"}

SPARK_KEYS = {"repositories": "repositories", "packages": "packages", "precachePackages": "precache_packages"}

DATABRICKS_KEYS = {
    "mavenLibraries": "maven_libraries",
    "pypiLibraries": "pypi_libraries",
    "rcranLibraries": "rcran_libraries",
    "jarLibraries": "jar_libraries",
    "eggLibraries": "egg_libraries",
}

TOP_KEYS = (
    *("name", "version", "environmentVariables", "python", "docker", "inferencingStackVersion"),
    *("spark", "databricks", "r", "assetId", "autoRebuild"),
)

# The sections that are stored but not used.
UNUSED = {"spark": SPARK_KEYS, "databricks": DATABRICKS_KEYS}


def to_dict(environment: EnvironmentFields) -> dict[str, Any]:
    """The environment as JSON data, without passwords. Raises `ConfigError` when an attribute has the wrong type."""
    check_types(environment)
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
            **({"platform": platform} if (platform := _changed(environment.docker.platform, PLATFORM_KEYS)) else {}),
        },
        "inferencingStackVersion": environment.inferencing_stack_version,
        **{name: found for name, keys in UNUSED.items() if (found := _changed(getattr(environment, name), keys))},
        **({"r": deepcopy(environment.r)} if environment.r else {}),
    }


def check(data: dict[str, Any]) -> None:
    """Raises `ConfigError` naming the path of an unknown key or of a value of the wrong type."""
    check_keys(data, TOP_KEYS, "environment")
    check_keys(_part(data, "python"), PYTHON_KEYS, "environment.python")
    check_keys(_part(data, "docker"), DOCKER_KEYS, "environment.docker")
    check_keys(_part(_part(data, "docker"), "platform"), PLATFORM_KEYS, "environment.docker.platform")
    for name, keys in UNUSED.items():
        check_keys(_part(data, name), keys, f"environment.{name}")
    named = _part(data, "environmentVariables")
    check_keys(named, named, "environment.environmentVariables")


def fill(environment: EnvironmentFields, data: dict[str, Any]) -> None:
    """Sets every attribute but the name from data that `check` accepted."""
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
            # Bypasses __setattr__, which would clear one of two bases: a file with both must be refused, not repaired.
            vars(environment.docker)[attribute] = docker[key]
    environment.r = data.get("r")
    for key, value in _part(docker, "platform").items():
        setattr(environment.docker.platform, key, value)
    for name, keys in UNUSED.items():
        for key, value in _part(data, name).items():
            setattr(getattr(environment, name), keys[key], value)
    environment.docker.base_image_registry = ContainerRegistry.from_data(docker.get("baseImageRegistry"))


def _changed(section: Any, keys: dict[str, str]) -> dict[str, Any]:
    """The values that differ from the section's defaults."""
    defaults = type(section)()
    values = {key: (getattr(section, name), getattr(defaults, name)) for key, name in keys.items()}
    return {key: deepcopy(value) for key, (value, default) in values.items() if value != default}


def _part(data: dict[str, Any], key: str) -> Any:
    return {} if data.get(key) is None else data[key]


def _plain(dependencies: CondaDependencies | None) -> dict[str, Any] | None:
    """The dependencies as self-contained data: the content of nested requirements files is inlined."""
    if dependencies is None:
        return None
    if not any(line.startswith("-") for line in dependencies.pip_options):
        return dependencies.as_dict()
    spec, data = dependencies.to_spec(), dependencies.as_dict()
    kept = [item for item in data["dependencies"] if isinstance(item, str)]
    data["dependencies"] = [*kept, {"pip": [*spec.pip_options, *spec.pip]}]
    return data | ({"constraints": spec.constraints} if spec.constraints else {})
