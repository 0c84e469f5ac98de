"""The `environment` object of inferenceconfig.json."""

from __future__ import annotations

from typing import Any

import pytest

from mldeploy_jupyter.api.environments import ContainerRegistry, Environment
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.core.errors import ConfigError


def test_the_documented_object_is_read_and_written_back() -> None:
    data = {
        "name": "e",
        "version": 2,
        "environmentVariables": {"A": "b"},
        "python": {
            "userManagedDependencies": False,
            "interpreterPath": "python",
            "condaDependencies": {"channels": ["c"], "dependencies": ["python=3.11", {"pip": ["six"]}], "name": "n"},
            "baseCondaEnvironment": None,
        },
        "docker": {"baseImage": "i", "baseImageRegistry": "registry.invalid", "enabled": True, "sharedVolumes": True},
        "spark": {"repositories": [], "packages": [{"group": "g"}], "precachePackages": False},
        "databricks": {"jarLibraries": ["a.jar"]},
        "inferencingStackVersion": "latest",
    }
    environment = Environment.from_dict(data)
    assert environment.to_spec() == EnvironmentSpec(
        name="e", version="2", python="3.11", pip=["six"], channels=["c"], environment_variables={"A": "b"}
    )
    assert environment.docker.base_image_registry == ContainerRegistry(address="registry.invalid")
    assert environment.inferencing_stack_version == "latest"
    assert environment.spark.packages == [{"group": "g"}] and environment.databricks.jar_libraries == ["a.jar"]
    assert environment.to_dict()["spark"] == {"packages": [{"group": "g"}], "precachePackages": False}
    assert Environment.from_dict(environment.to_dict()).to_dict() == environment.to_dict()


@pytest.mark.parametrize(
    "data",
    [
        {"environmentVariable": {}},
        {"python": {"condaDependency": {}}},
        {"docker": {"baseimage": "x"}},
        {"python": []},
        {"docker": {"baseImageRegistry": 3}},
    ],
)
def test_an_unknown_key_is_refused_with_a_suggestion(data: dict[str, Any], snapshot: object) -> None:
    with pytest.raises(ConfigError) as caught:
        Environment.from_dict(data)
    assert str(caught.value) == snapshot
