"""`Environment`: names, making one from files, cloning, saving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.api.environments import CondaDependencies, ContainerRegistry, Environment
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.core.errors import ConfigError, MldeployError, UserErrorException


def test_a_new_environment_is_empty() -> None:
    environment = Environment("e")
    assert environment.environment_variables == {} and environment.version is None
    assert environment.to_spec() == EnvironmentSpec(name="e")


@pytest.mark.parametrize("name", ["", "AzureML-x", "microsoft", "a/b", None, "-a"])
def test_a_name_that_is_not_allowed_is_refused(name: Any) -> None:
    with pytest.raises(UserErrorException):
        Environment(name)


def test_from_conda_and_requirements_files(tmp_path: Path) -> None:
    (tmp_path / "env.yml").write_text("dependencies: ['python=3.11', {pip: ['-r r.txt']}]\nvariables: {A: 1}\n")
    (tmp_path / "r.txt").write_text("-c c.txt\nsix --hash=sha256:aa\n")
    (tmp_path / "c.txt").write_text("six<2\n")
    conda = Environment.from_conda_specification("c", tmp_path / "env.yml")
    pip = Environment.from_pip_requirements("p", tmp_path / "r.txt")
    expected = {"pip": ["six --hash=sha256:aa"], "constraints": ["six<2"]}
    for environment in (conda, pip):
        spec = environment.to_spec().to_dict()
        assert {key: spec[key] for key in expected} == expected
        # What is stored needs none of the files.
        assert str(tmp_path) not in str(environment.to_dict())
        assert Environment.from_dict(environment.to_dict()).to_spec() == environment.to_spec()
    assert conda.to_spec().environment_variables == {"A": "1"}
    with pytest.raises(ConfigError, match="there is no requirements file"):
        Environment.from_pip_requirements("p", tmp_path / "nope.txt")


def test_from_docker_image_with_a_registry(tmp_path: Path) -> None:
    environment = Environment.from_docker_image("e", "image:1", ContainerRegistry("a", "b", "c"))
    assert environment.docker.base_image == "image:1"
    assert environment.docker.base_image_registry.without_password() == {"address": "a", "username": "b"}
    with pytest.raises(UserErrorException, match="both given"):
        Environment.from_docker_image("e", "i", conda_specification="a", pip_requirements="b")


def test_saved_to_a_folder_and_read_again(tmp_path: Path) -> None:
    environment = Environment("e")
    environment.environment_variables["A"] = "b"
    environment.save_to_directory(tmp_path / "d")
    assert Environment.load_from_directory(tmp_path / "d").to_dict() == environment.to_dict()
    with pytest.raises(UserErrorException, match="exists already"):
        environment.save_to_directory(tmp_path / "d")
    environment.save_to_directory(tmp_path / "d", overwrite=True)
    with pytest.raises(ConfigError, match="there is no environment in"):
        Environment.load_from_directory(tmp_path)


def test_a_clone_shares_nothing_with_the_original() -> None:
    environment = Environment.from_dict({"docker": {"platform": {"os": "Windows"}}, "spark": {"repositories": ["a"]}})
    copy = environment.clone("copy")
    copy.spark.repositories.append("b")
    assert (copy.docker.platform.os, environment.spark.repositories) == ("Windows", ["a"])
    assert environment.to_dict()["docker"]["platform"] == {"os": "Windows"}


def test_arguments_and_methods_that_need_azure(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "requirements.txt").write_text("six\n")
    Environment.from_pip_requirements("e", "requirements.txt", pip_version="20.0")
    assert "pip_version is ignored" in capsys.readouterr().out
    with pytest.raises(UserErrorException, match="get_image_details needs Azure") as caught:
        Environment("e").get_image_details(None)
    assert "Model.package(" in caught.value.hint and "environment.build_local(workspace)" in caught.value.hint


@pytest.mark.parametrize(
    "call",
    [
        lambda ws: Environment.get(None, "e"),
        lambda ws: Environment.list(None),
        lambda ws: Environment("e").register(None),
        lambda ws: Environment.get(ws, "e", version="1", label="latest"),
        lambda ws: Environment.get(ws, "e", label=5),  # type: ignore[arg-type]
        lambda ws: Environment("e").clone(None),  # type: ignore[arg-type]
        lambda ws: Environment.from_conda_specification("e", None),  # type: ignore[arg-type]
        lambda ws: Environment.from_pip_requirements("e", None),  # type: ignore[arg-type]
        lambda ws: Environment("e").save_to_directory("file", overwrite=True),
        lambda ws: Environment("e").save_to_directory("folder"),
        lambda ws: Environment("e").save_to_directory("/proc/x"),
        lambda ws: Environment.load_from_directory("folder"),
        lambda ws: CondaDependencies(5),  # type: ignore[arg-type]
        lambda ws: CondaDependencies().save("/nope/x.yml"),
        lambda ws: CondaDependencies().save_to_file("/nope"),
        lambda ws: CondaDependencies().add_pip_package(None),  # type: ignore[arg-type]
        lambda ws: CondaDependencies().add_pip_package("nu mpy=="),
        lambda ws: CondaDependencies().add_conda_package(None),  # type: ignore[arg-type]
        lambda ws: CondaDependencies().add_conda_package("python=x"),
    ],
)
def test_an_argument_that_cannot_be_used_is_named(workspace: Workspace, folder: Path, call: Any) -> None:
    (folder / "file").touch()
    (folder / "folder").mkdir()
    with pytest.raises(MldeployError) as caught:
        call(workspace)
    assert caught.value.what and caught.value.why and caught.value.hint
    assert "Errno" not in str(caught.value)
