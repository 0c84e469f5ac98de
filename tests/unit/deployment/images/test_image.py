"""What an image is made from, and where it goes; no engine is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.core.errors import ConfigError
from mldeploy_jupyter.core.records import RevisionRecord
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
from mldeploy_jupyter.deployment.images import image


def test_the_registry_of_the_base_image_comes_before_its_name() -> None:
    registry = {"address": "registry.example:5000/", "username": "me"}
    inputs = image.read_image_inputs({"base_image": "team/base:1", "base_image_registry": registry})
    assert (inputs.base, inputs.username) == ("registry.example:5000/team/base:1", "me")
    full = {"base_image": "registry.example:5000/team/base:1", "base_image_registry": registry}
    assert image.read_image_inputs(full).base == "registry.example:5000/team/base:1"


def test_an_environment_says_what_its_image_starts_from() -> None:
    docker = {"baseImage": "team/base", "baseImageRegistry": {"address": "registry.example"}}
    inputs = image.read_image_inputs({"environment_definition": {"docker": docker}})
    assert inputs.to_dict() == {"base_image": "registry.example/team/base"}
    docker = {"baseDockerfile": "FROM scratch\n", "buildContext": "/context"}
    inputs = image.read_image_inputs({"environment_definition": {"docker": docker}})
    assert inputs.to_dict() == {"base_dockerfile": "FROM scratch\n", "build_context": "/context"}
    assert image.read_image_inputs({}).to_dict() == {}


def test_the_steps_of_a_dockerfile_are_read_when_they_are_used(folder: Path) -> None:
    (folder / "steps").write_text("RUN true\n")
    assert image.read_image_inputs({"extra_docker_file_steps": str(folder / "steps")}).steps == "RUN true\n"
    with pytest.raises(ConfigError, match="there is no file of extra_docker_file_steps"):
        image.read_image_inputs({"extra_docker_file_steps": str(folder / "gone")})


def test_the_base_image_is_the_workspaces_or_the_installations_or_the_official_one(workspace: WorkspaceFolder) -> None:
    assert image.base_image(workspace, "3.12.4", {}) == "python:3.12-slim"
    installed = {image.BASE_VARIABLE: "registry.example/python:{python}"}
    assert image.base_image(workspace, "3.12.4", installed) == "registry.example/python:3.12"
    chosen = workspace.with_config(base_image="team/base:1")
    assert image.base_image(chosen, "3.12.4", installed) == "team/base:1"


def test_images_go_to_the_workspaces_registry_or_the_installations(workspace: WorkspaceFolder) -> None:
    assert image.image_registry(workspace, {}) == ""
    assert image.image_registry(workspace, {image.REGISTRY_VARIABLE: "registry.example/"}) == "registry.example"
    assert image.image_registry(workspace.with_config(image_registry="other/team"), {}) == "other/team"


def test_other_code_in_the_same_image_is_told_apart() -> None:
    made = image.MadeImage.of(RevisionRecord("svc", 1, image="a:1", image_id="sha256:1", receipt={"lock": "l"}))
    assert not made.is_reloaded
    reloaded = made.with_code("digest")
    assert reloaded.is_reloaded and reloaded.id == made.id
    assert image.MadeImage.of(RevisionRecord("svc", 2, **reloaded.to_fields())) == reloaded
