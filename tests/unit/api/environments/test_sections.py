"""The fields of an environment and the checks of their types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.api.environments import Environment
from mldeploy_jupyter.api.webservices import InferenceConfig
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import ConfigError


def test_the_error_for_a_wrong_registry_shows_no_password() -> None:
    environment = Environment("e")
    environment.docker.base_image_registry = {"address": "r.io", "password": "hunter2"}  # type: ignore[assignment]
    with pytest.raises(ConfigError) as caught:
        environment.to_dict() and environment.to_spec()
    assert "hunter2" not in str(caught.value) and "it is of type dict" in caught.value.why


def test_setting_one_base_image_clears_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    docker = Environment("e").docker
    docker.base_image = "image"
    docker.base_dockerfile = "FROM image"
    docker.base_dockerfile = "FROM other"
    assert (docker.base_image, docker.base_dockerfile) == (None, "FROM other")
    assert capsys.readouterr().out == "DockerSection: base_image is cleared, because base_dockerfile takes its place\n"


@pytest.mark.parametrize(
    ("part", "value", "what"),
    [
        ("python", None, "python of the environment 'e' cannot be used"),
        ("spark", None, "spark of the environment 'e' cannot be used"),
        ("docker.base_image_registry", "r.io", "docker.base_image_registry of the environment 'e' cannot be used"),
        ("docker.arguments", None, "docker.arguments of the environment 'e' cannot be used"),
        ("docker", "Dockerfile", "docker of the environment 'e' cannot be used"),
        ("environment_variables", [1], "environment_variables of the environment 'e' cannot be used"),
        ("environment_variables", {"B": None}, "the environment variable 'B' of the environment 'e' is not text"),
        ("environment_variables", {1: "a"}, "the environment variable 1 of the environment 'e' is not text"),
        ("python.conda_dependencies", "x.yml", "python.conda_dependencies of the environment 'e' cannot be used"),
    ],
)
def test_a_field_of_the_wrong_type_is_named_when_it_is_used(
    workspace: Workspace, folder: Path, part: str, value: Any, what: str
) -> None:
    (folder / "score.py").write_text("def init(): ...\ndef run(data): ...\n")
    environment = Environment("e")
    section, _, name = part.rpartition(".")
    setattr(getattr(environment, section) if section else environment, name, value)
    for use in (
        lambda: environment.register(workspace),
        environment.to_spec,
        lambda: InferenceConfig("score.py", environment=environment),
    ):
        with pytest.raises(ConfigError) as caught:
            use()
        assert caught.value.what == what and caught.value.why and caught.value.hint
    assert Environment.list(workspace) == {}


def test_environment_variables_may_be_none_or_numbers() -> None:
    environment = Environment("e")
    environment.environment_variables = None  # type: ignore[assignment]
    assert environment.to_spec().environment_variables == {}
    environment.environment_variables = {"N": 1}  # type: ignore[dict-item]
    assert environment.to_spec().environment_variables == {"N": "1"}
