"""InferenceConfig: v1's rules without its defects."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.api.environments import ContainerRegistry, Environment
from mldeploy_jupyter.api.webservices import LocalWebservice
from mldeploy_jupyter.api.webservices.inference_config import InferenceConfig, InferenceConfigError
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.core.errors import (
    ConfigError,
    EntryScriptError,
    EnvironmentBuildError,
    MldeployError,
    WebserviceException,
)

SCRIPT = "def init():\n    pass\n\ndef run(data):\n    return 1\n"
CONDA = "name: p\ndependencies:\n- python=3.11\n- pip:\n  - azureml-defaults\n  - scikit-learn\n"


@pytest.fixture
def src(folder: Path) -> Path:
    """A source directory as the 2019 page has it, below the current folder."""
    (folder / "abc" / "x" / "y").mkdir(parents=True)
    (folder / "abc" / "env").mkdir()
    (folder / "abc" / "x" / "y" / "score.py").write_text(SCRIPT)
    (folder / "abc" / "env" / "myenv.yml").write_text(CONDA)
    (folder / "score.py").write_text(SCRIPT)
    return folder / "abc"


def test_the_2019_page_without_warnings(src: Path) -> None:
    """Warnings are errors in the tests: v1 gave one each for runtime and conda_file (S12)."""
    config = InferenceConfig(
        source_directory=str(src), runtime="python", entry_script="x/y/score.py", conda_file="env/myenv.yml"
    )
    # S7: the registry is there to be filled.
    config.base_image = "registry.invalid/image:1"
    config.base_image_registry.address = "registry.invalid"
    config.base_image_registry.username = "me"
    config.base_image_registry.password = "hunter2"
    data = config.to_data()
    assert json.loads(json.dumps(data)) == data
    assert "hunter2" not in json.dumps(data) and "hunter2" not in repr(config.base_image_registry)
    assert data["entry_script"] == "x/y/score.py"
    assert data["entry_path"] == str(src / "x/y/score.py")
    assert data["source_directory"] == str(src)
    assert EnvironmentSpec.from_dict(data["environment"]) == EnvironmentSpec(
        name="p", python="3.11", pip=["azureml-defaults", "scikit-learn"]
    )


def test_the_script_alone_uses_the_kernels_python(src: Path) -> None:
    data = InferenceConfig(entry_script="score.py").to_data()
    assert data["environment"] is None and data["source_directory"] is None
    assert data["entry_script"] == "score.py" and data["entry_path"] == str(src.parent / "score.py")


def test_relative_paths_belong_to_the_folder_of_creation(src: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = InferenceConfig("score.py")
    monkeypatch.chdir(src)
    assert config.to_data()["entry_path"] == str(src.parent / "score.py")


def test_an_absolute_script_inside_the_directory(src: Path) -> None:
    config = InferenceConfig(src / "x/y/score.py", source_directory=src)
    assert config.to_data()["entry_script"] == "x/y/score.py"


def test_data_round_trips_without_the_files(src: Path) -> None:
    environment = Environment("e")
    environment.python.conda_dependencies.add_pip_package("six")  # type: ignore[union-attr]
    environment.docker.base_image = "image"
    config = InferenceConfig("x/y/score.py", source_directory=src, environment=environment, description="d")
    data = json.loads(json.dumps(config.to_data()))
    (src / "x/y/score.py").unlink()
    again = InferenceConfig.from_data(data)
    assert again.to_data() == data
    assert again.description == "d"
    assert again.environment is not None and again.environment.docker.base_image == "image"


def test_environment_variables_and_requirements(src: Path) -> None:
    (src.parent / "requirements.txt").write_text("six==1.16.0\n")
    data = InferenceConfig("score.py", requirements_file="requirements.txt").to_data()
    assert data["environment"]["pip"] == ["six==1.16.0"]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"entry_script": "nope.py"},
        {"entry_script": "nope.py", "source_directory": "abc"},
        {"entry_script": "abc/x/y/score.py", "source_directory": "abc"},
        {"entry_script": "../score.py", "source_directory": "abc"},
        {"entry_script": "score.txt"},
        {"entry_script": "score.py", "source_directory": "nowhere"},
        {"entry_script": "score.py", "runtime": "java", "cuda_version": "8.0", "enable_gpu": "yes"},
        {"entry_script": "score.py", "runtime": "spark-py", "base_image": "x"},
        {"entry_script": "score.py", "conda_file": "env.yml", "extra_docker_file_steps": "steps"},
        {"entry_script": "score.py", "conda_file": "abc/env/myenv.yml", "requirements_file": "score.py"},
        {"entry_script": "score.py", "environment": "myenv"},
        {"entry_script": "score.py", "source_directory": 5, "description": 5, "base_image": 5},
        {"entry_script": 5, "conda_file": {}},
        {"entry_script": "score.py", "runtime": 3, "base_image": "x"},
        {"entry_script": "score.py", "base_image_registry": "registry"},
        {"entry_script": "score.py", "base_image_registry": ContainerRegistry(username="me", password="hunter2")},
        {
            "entry_script": "score.py",
            "environment": Environment("e"),
            "runtime": "python",
            "conda_file": "abc/env/myenv.yml",
        },
    ],
)
def test_every_problem_is_named_at_once(src: Path, arguments: dict[str, Any], snapshot: object) -> None:
    (src.parent / "score.txt").write_text(SCRIPT)
    with pytest.raises(InferenceConfigError) as caught:
        InferenceConfig(**arguments)
    assert isinstance(caught.value, WebserviceException)  # what v1 raised
    assert str(caught.value).replace(str(src.parent), "FOLDER") == snapshot


@pytest.mark.parametrize("name", ["my-score.py", "01_score.py", "my score.py", "class.py", "score.v2.py", "größe.py"])
def test_a_script_is_loaded_by_its_path_so_any_name_will_do(src: Path, name: str) -> None:
    (src.parent / name).write_text(SCRIPT)
    assert InferenceConfig(name).to_data()["entry_script"] == name


def test_an_image_and_a_dockerfile_exclude_each_other(src: Path) -> None:
    environment = Environment.from_dict({"docker": {"baseImage": "image", "baseDockerfile": "FROM image"}})
    with pytest.raises(InferenceConfigError, match="both base_image and base_dockerfile"):
        InferenceConfig("score.py", environment=environment)


@pytest.mark.parametrize("text", ["def init(:\n", "def init(): pass\n", "x = 1\n"])
def test_a_wrong_script_keeps_its_line(src: Path, text: str) -> None:
    (src.parent / "score.py").write_text(text)
    with pytest.raises(EntryScriptError) as caught:
        InferenceConfig("score.py")
    assert "score.py" in str(caught.value)


def test_python_3_6_2_is_refused_when_the_config_is_made(src: Path, snapshot: object) -> None:
    (src / "env" / "myenv.yml").write_text(CONDA.replace("3.11", "3.6.2"))
    with pytest.raises(EnvironmentBuildError) as caught:
        InferenceConfig("x/y/score.py", source_directory=src, conda_file="env/myenv.yml")
    assert caught.value.code == "PythonTooOld"
    assert str(caught.value) == snapshot


def test_a_script_and_an_environment_that_are_both_wrong(src: Path) -> None:
    (src.parent / "score.py").write_text("x = 1\n")
    (src.parent / "env.yml").write_text("dependences: []\n")
    with pytest.raises(MldeployError) as caught:
        InferenceConfig("score.py", conda_file="env.yml")
    assert isinstance(caught.value, InferenceConfigError)
    assert len(caught.value.problems) == 2


def test_changes_after_reading_reach_the_data(src: Path) -> None:
    (src.parent / "other.py").write_text((src.parent / "score.py").read_text())
    data = InferenceConfig("score.py").to_data()
    again = InferenceConfig.from_data(data)
    again.entry_script = "other.py"
    again.base_image = "image"
    changed = again.to_data()
    assert changed["entry_path"] == str(src.parent / "other.py") and changed["base_image"] == "image"
    again = InferenceConfig.from_data(data)
    again.environment = Environment("e")
    again.environment.environment_variables["A"] = "b"
    assert again.to_data()["environment"]["environment_variables"] == {"A": "b"}
    stored = InferenceConfig.from_data(again.to_data())
    assert stored.environment is not None
    stored.environment.environment_variables["A"] = "c"
    assert stored.to_data()["environment"]["environment_variables"] == {"A": "c"}
    again.entry_script = "nope.py"
    with pytest.raises(InferenceConfigError, match=r"no entry script nope"):
        again.to_data()


def test_a_config_can_be_changed_though_the_registry_password_is_not_stored(src: Path) -> None:
    registry = ContainerRegistry("a.example", "me", "hunter2")
    data = InferenceConfig("score.py", base_image="image", base_image_registry=registry).to_data()
    again = InferenceConfig.from_data(data)
    again.base_image = "other"
    assert again.to_data()["base_image_registry"] == {"address": "a.example", "username": "me"}
    again.base_image_registry.username = "you"
    with pytest.raises(InferenceConfigError, match="username and password together or neither"):
        again.to_data()


def test_the_address_of_a_public_registry_is_enough(src: Path) -> None:
    config = InferenceConfig("score.py", base_image="image", base_image_registry=ContainerRegistry("a.example"))
    assert config.to_data()["base_image_registry"] == {"address": "a.example"}


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (lambda c: setattr(c, "entry_scrpt", "x.py"), "did you mean entry_script?"),
        (lambda c: setattr(c.environment, "enviroment_variables", {}), "did you mean environment_variables?"),
        (lambda c: setattr(c.environment.docker, "base_imag", "x"), "did you mean base_image?"),
        (lambda c: setattr(c.environment.python, "conda_depends", "x"), "did you mean conda_dependencies?"),
        (lambda c: setattr(c.base_image_registry, "addres", "x"), "did you mean address?"),
        (lambda c: setattr(c.environment, "zzz", "x"), "use one of these names"),
        (lambda c: setattr(LocalWebservice.deploy_configuration(), "prt", 1), "did you mean port?"),
    ],
)
def test_a_misspelt_setting_is_refused(src: Path, change: Callable[[InferenceConfig], None], hint: str) -> None:
    with pytest.raises(ConfigError, match="has no setting") as caught:
        change(InferenceConfig("score.py", environment=Environment("e")))
    assert caught.value.hint == hint


def test_validate_and_print(src: Path) -> None:
    config = InferenceConfig("score.py", description="d")
    config.validate_configuration()
    printed: list[str] = []
    config.print_configuration(printed.append)
    assert printed == ["entry_script: score.py", "description: d"]
    config.runtime = "java"
    with pytest.raises(InferenceConfigError, match="java"):
        config.validate_configuration()


def test_a_file_with_an_environment_and_changes(src: Path) -> None:
    (src / "env.yml").write_text(CONDA)
    python = {"condaDependenciesFile": "env.yml"}
    docker = {"baseImage": "a/b", "baseImageRegistry": {"address": "r.example"}}
    data = {"entryScript": "x/y/score.py", "environment": {"name": "e", "python": python, "docker": docker}}
    (src / "i.json").write_text(json.dumps(data))
    made = InferenceConfig.from_file(src / "i.json").to_data()
    assert made["environment"]["pip"] == ["azureml-defaults", "scikit-learn"]
    assert made["environment_definition"]["docker"]["baseImageRegistry"] == {"address": "r.example"}
    (src / "i.json").write_text(
        json.dumps({"entryScript": "x/y/score.py", "baseImage": "a/b", "baseImageRegistry": "r"})
    )
    changed = InferenceConfig.from_file(src / "i.json", entry_script=src / "x/y/score.py", base_image="c/d")
    assert (changed.base_image, changed.base_image_registry.address) == ("c/d", "r")
