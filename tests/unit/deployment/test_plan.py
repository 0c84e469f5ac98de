"""What an environment becomes: tracing adds packages to one that is built, an image has one that it can have."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.core.configs import DeployConfig
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.core.errors import ConfigError
from mldeploy_jupyter.core.records import DeploymentRequest
from mldeploy_jupyter.core.workspace.folder import WorkspaceConfig, WorkspaceFolder
from mldeploy_jupyter.deployment.plan import Inputs, _with_image, _with_tracing
from mldeploy_jupyter.serving.requirements import TRACING

BUILT = EnvironmentSpec(pip=["numpy"])


@pytest.mark.parametrize(
    ("spec", "tracing", "expected"),
    [
        (BUILT, "otlp", ["numpy", *TRACING]),
        (BUILT, "console", ["numpy", *TRACING]),
        (BUILT, "off", ["numpy"]),
        (BUILT, None, ["numpy"]),
        (EnvironmentSpec(interpreter="/usr/bin/python3"), "otlp", []),
    ],
)
def test_tracing_adds_packages_to_a_built_environment(spec: EnvironmentSpec, tracing: Any, expected: list[str]) -> None:
    made = _with_tracing(spec, DeployConfig(passed={"tracing": tracing} if tracing else {}))
    assert made is not None and made.pip == expected


def test_tracing_needs_no_packages_without_an_environment() -> None:
    assert _with_tracing(None, DeployConfig(passed={"tracing": "otlp"})) is None


NOWHERE = WorkspaceFolder(Path("/nowhere"), WorkspaceConfig("id", "w"))


def test_the_tracing_extra_lists_the_same_packages() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert project["optional-dependencies"]["tracing"] == TRACING


@pytest.mark.parametrize("docker", [{"baseImage": "own:1"}, {"baseDockerfile": "FROM own:1"}])
def test_user_managed_packages_are_the_base_image_s(docker: dict[str, str]) -> None:
    inference = {"environment_definition": {"docker": docker, "python": {"interpreterPath": "python"}}}
    own = EnvironmentSpec(interpreter="/usr/bin/python3", environment_variables={"A": "b"})
    config = DeployConfig(passed={"tracing": "otlp"})
    request = DeploymentRequest("svc", "docker", inference_config=inference)
    made = _with_image(Inputs(environment=own, config=config), request, NOWHERE)
    variables = {"A": "b"}
    assert made.environment == EnvironmentSpec(base_packages=True, pip=TRACING, environment_variables=variables)


def test_a_base_image_s_interpreter_cannot_be_chosen() -> None:
    python = {"interpreterPath": "/usr/bin/python3"}
    inference = {"environment_definition": {"docker": {"baseImage": "own:1"}, "python": python}}
    inputs = Inputs(environment=EnvironmentSpec(interpreter="/usr/bin/python3"))
    with pytest.raises(ConfigError, match="cannot be chosen in a base image"):
        _with_image(inputs, DeploymentRequest("svc", "docker", inference_config=inference), NOWHERE)
