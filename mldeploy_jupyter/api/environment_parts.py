"""What an environment's attributes must be when it is used: anything could be set before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.api.conda_dependencies import CondaDependencies
from mldeploy_jupyter.api.environment_sections import (
    ContainerRegistry,
    DatabricksSection,
    DockerSection,
    PythonSection,
    SparkSection,
)
from mldeploy_jupyter.core.errors import ConfigError

if TYPE_CHECKING:
    from mldeploy_jupyter.api.environment import Environment


def check_parts(environment: Environment) -> None:
    """Raises `ConfigError` when an attribute was set to what it cannot be."""
    wanted: list[tuple[str, Any, type, str]] = [
        ("python", environment.python, PythonSection, "PythonSection()"),
        ("docker", environment.docker, DockerSection, "DockerSection()"),
        ("spark", environment.spark, SparkSection, "SparkSection()"),
        ("databricks", environment.databricks, DatabricksSection, "DatabricksSection()"),
        ("environment_variables", environment.environment_variables or {}, Mapping, '{"NAME": "value"}'),
    ]
    conda = getattr(environment.python, "conda_dependencies", None)
    if conda is not None:
        wanted.append(("python.conda_dependencies", conda, CondaDependencies, "CondaDependencies(file_path)"))
    if isinstance(environment.docker, DockerSection):
        registry, arguments = environment.docker.base_image_registry, environment.docker.arguments
        wanted.append(("docker.base_image_registry", registry, ContainerRegistry, "ContainerRegistry(address)"))
        wanted.append(("docker.arguments", [*arguments] if isinstance(arguments, tuple) else arguments, list, '["-v"]'))
    for attribute, value, kind, example in wanted:
        if not isinstance(value, kind):
            raise ConfigError(
                f"{attribute} of the environment {environment.name!r} cannot be used",
                # Not the value: it may hold a password.
                why=f"it is of type {type(value).__name__}, and must be of type {kind.__name__}",
                hint=f"such as environment.{attribute} = {example}",
            )
    for name, value in (environment.environment_variables or {}).items():
        if not isinstance(name, str) or not isinstance(value, (str, int, float)):
            # The value may be a password, so it is not shown.
            raise ConfigError(
                f"the environment variable {name!r} of the environment {environment.name!r} is no text",
                why=f"its value is of type {type(value).__name__}" if isinstance(name, str) else "its name is none",
                hint="names and values are strings; leave it out to have the variable unset",
            )


def variables(environment: Environment) -> dict[str, str]:
    """The environment variables as texts."""
    return {name: str(value) for name, value in (environment.environment_variables or {}).items()}
