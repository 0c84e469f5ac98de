"""Registered environments: versions and labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.api.environments import Environment, registry
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import EnvironmentBuildError, StorageError, UserErrorException


def test_versions_are_registered_found_and_listed(workspace: Workspace) -> None:
    environment = Environment("e")
    environment.docker.base_image_registry.password = "hunter2"
    first = environment.register(workspace)
    assert first.version == "1" and environment.version is None
    assert environment.register(workspace).version == "1"  # nothing changed
    environment.environment_variables["A"] = "b"
    assert environment.register(workspace).version == "2"
    assert Environment.get(workspace, "e").environment_variables == {"A": "b"}
    assert Environment.get(workspace, "e", version=1).environment_variables == {}
    assert "hunter2" not in str(workspace.folder.open_store().get_environment("e"))
    environment.clone("f").register(workspace)
    assert {name: item.version for name, item in Environment.list(workspace).items()} == {"e": "2", "f": "1"}
    assert environment.clone("g").docker.base_image_registry.password == "hunter2"
    with pytest.raises(UserErrorException, match="is not a version"):
        Environment.get(workspace, "e", version="newest")
    with pytest.raises(EnvironmentBuildError, match="there is no environment 'x'") as caught:
        Environment.get(workspace, "x")
    assert "e, f" in str(caught.value)


def test_reading_creates_no_workspace(folder: Path) -> None:
    assert Environment.list(Workspace()) == {}
    with pytest.raises(EnvironmentBuildError, match="no environments"):
        Environment.get(Workspace(), "e")
    assert list(folder.iterdir()) == []


def test_a_label_stands_for_one_version_and_can_be_moved(workspace: Workspace) -> None:
    environment = Environment("e")
    environment.register(workspace)
    environment.environment_variables["A"] = "b"
    environment.register(workspace)
    Environment.label(workspace, "e", 1, ["prod", "old"])
    Environment.label(workspace, "e", "2", ["prod"])
    assert [Environment.get(workspace, "e", label=label).version for label in ("prod", "old", "Latest")] == [
        *("2", "1", "2"),
    ]
    with pytest.raises(EnvironmentBuildError, match="its labels are old, prod"):
        Environment.get(workspace, "e", label="nope")
    with pytest.raises(EnvironmentBuildError, match="there is no environment 'e' of version 7"):
        Environment.label(workspace, "e", 7, ["prod"])
    with pytest.raises(UserErrorException, match=r"pass \['prod'\]"):
        Environment.label(workspace, "e", 1, "prod")
    with pytest.raises(UserErrorException, match="cannot be put"):
        Environment.label(workspace, "e", 1, ["latest"])


def test_a_damaged_file_of_labels_is_named(workspace: Workspace) -> None:
    (workspace.folder.root / "environment_labels.json").write_text("[")
    Environment("e").register(workspace)
    with pytest.raises(StorageError, match=r"environment_labels\.json"):
        Environment.get(workspace, "e", label="prod")


@pytest.mark.parametrize("name", ["AzureML-sklearn-1.0-ubuntu20.04-py38-cpu", "azureml-Minimal"])
def test_a_curated_environment_says_what_it_is_and_what_to_write(name: str) -> None:
    with pytest.raises(EnvironmentBuildError) as caught:
        registry.find(None, name)
    assert caught.value.why.startswith("it is one of Azure's curated environments")
    assert "Environment.from_conda_specification" in caught.value.hint and caught.value.code == "EnvironmentNotFound"
