"""Environment and CondaDependencies."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mldeploy_jupyter.api.environments.conda_dependencies import CondaDependencies
from mldeploy_jupyter.api.environments.environment import Environment
from mldeploy_jupyter.api.environments.sections import ContainerRegistry
from mldeploy_jupyter.api.webservices.inference_config import InferenceConfig
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.core.errors import ConfigError, EnvironmentBuildError, MldeployError, UserErrorException


@pytest.fixture
def workspace(folder: Path) -> Workspace:
    return Workspace.create("test")


def test_a_new_environment_has_no_dummies() -> None:
    environment = Environment("e")
    assert environment.environment_variables == {} and environment.version is None
    assert environment.to_spec() == EnvironmentSpec(name="e")


@pytest.mark.parametrize("name", ["", "AzureML-x", "microsoft", "a/b", None, "-a"])
def test_names_that_are_refused(name: Any) -> None:
    with pytest.raises(UserErrorException):
        Environment(name)


def test_conda_dependencies_in_v1s_words(tmp_path: Path) -> None:
    made = CondaDependencies.create(
        pip_packages=["azureml-defaults", "scikit-learn==1.5.0"], conda_packages=["numpy"], python_version="3.11"
    )
    made.add_channel("conda-forge")
    made.add_channel("conda-forge")
    made.add_conda_package("numpy=1.26")
    made.add_pip_package("Scikit_Learn>=1.5")
    made.set_python_version("3.12")
    assert made.conda_packages == ["python=3.12", "numpy=1.26"]
    assert made.pip_packages == ["azureml-defaults", "Scikit_Learn>=1.5"]
    made.save(tmp_path / "env.yml")
    again = CondaDependencies(tmp_path / "env.yml")
    assert again.serialize_to_string() == made.serialize_to_string()
    assert again.to_spec().channels == ["conda-forge"]
    made.remove_pip_package("scikit-learn")
    made.remove_conda_package("numpy")
    made.remove_channel("conda-forge")
    assert (made.pip_packages, made.conda_packages, made.conda_channels) == (["azureml-defaults"], ["python=3.12"], [])
    made.set_pip_index_url("https://index.invalid/simple")
    assert made.to_spec().pip_options == ["--index-url=https://index.invalid/simple"]
    assert made.save_to_file(tmp_path) == "conda_dependencies.yml"
    with pytest.raises(ConfigError, match="not understood"):
        made.set_python_version("three")


def test_from_files(tmp_path: Path) -> None:
    (tmp_path / "env.yml").write_text("dependencies: ['python=3.11', {pip: ['-r r.txt']}]\nvariables: {A: 1}\n")
    (tmp_path / "r.txt").write_text("-c c.txt\nsix --hash=sha256:aa\n")
    (tmp_path / "c.txt").write_text("six<2\n")
    conda = Environment.from_conda_specification("c", tmp_path / "env.yml")
    pip = Environment.from_pip_requirements("p", tmp_path / "r.txt")
    expected = {"pip": ["six --hash=sha256:aa"], "constraints": ["six<2"]}
    for environment in (conda, pip):
        spec = environment.to_spec().to_dict()
        assert {key: spec[key] for key in expected} == expected
        # What is stored needs none of the files any more.
        assert str(tmp_path) not in str(environment.to_dict())
        assert Environment.from_dict(environment.to_dict()).to_spec() == environment.to_spec()
    assert conda.to_spec().environment_variables == {"A": "1"}
    with pytest.raises(ConfigError, match="there is no requirements file"):
        Environment.from_pip_requirements("p", tmp_path / "nope.txt")


def test_inferenceconfig_json_as_documented() -> None:
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


def test_a_user_managed_interpreter_is_used_as_it_is() -> None:
    environment = Environment("e")
    environment.python.user_managed_dependencies = True
    assert environment.to_spec().interpreter == sys.executable
    environment.python.interpreter_path = "/nowhere/python"
    with pytest.raises(EnvironmentBuildError, match="there is no interpreter /nowhere/python"):
        environment.to_spec()


def test_clone_register_get_list(workspace: Workspace) -> None:
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


def test_saved_to_a_directory_and_read_again(tmp_path: Path) -> None:
    environment = Environment("e")
    environment.environment_variables["A"] = "b"
    environment.save_to_directory(tmp_path / "d")
    assert Environment.load_from_directory(tmp_path / "d").to_dict() == environment.to_dict()
    with pytest.raises(UserErrorException, match="exists already"):
        environment.save_to_directory(tmp_path / "d")
    environment.save_to_directory(tmp_path / "d", overwrite=True)
    with pytest.raises(ConfigError, match="there is no environment in"):
        Environment.load_from_directory(tmp_path)


def test_no_conda_command(monkeypatch: pytest.MonkeyPatch, snapshot: object) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CONDA_EXE", raising=False)
    with pytest.raises(EnvironmentBuildError) as caught:
        Environment.from_existing_conda_environment("e", "base")
    assert str(caught.value) == snapshot


def test_from_docker_image(tmp_path: Path) -> None:
    environment = Environment.from_docker_image("e", "image:1", ContainerRegistry("a", "b", "c"))
    assert environment.docker.base_image == "image:1"
    assert environment.docker.base_image_registry.without_password() == {"address": "a", "username": "b"}
    with pytest.raises(UserErrorException, match="both given"):
        Environment.from_docker_image("e", "i", conda_specification="a", pip_requirements="b")


def test_the_running_kernel_as_exact_pins() -> None:
    import yaml

    spec = Environment.from_kernel("k", modules=["yaml", "json", "packaging"]).to_spec()
    assert f"PyYAML=={yaml.__version__}" in spec.pip and len(spec.pip) == 2
    assert spec.python == "{}.{}".format(*sys.version_info)
    everything = Environment.from_kernel().to_spec().pip
    assert any(pin.startswith("pytest==") for pin in everything)
    assert not any(pin.startswith(("ipykernel", "mldeploy")) for pin in everything)
    with pytest.raises(EnvironmentBuildError, match="cannot be pinned"):
        Environment.from_kernel("k", modules=["mldeploy_jupyter"])


def test_reading_environments_makes_no_workspace(folder: Path) -> None:
    assert Environment.list(Workspace()) == {}
    with pytest.raises(EnvironmentBuildError, match="no environments"):
        Environment.get(Workspace(), "e")
    assert list(folder.iterdir()) == []


def test_a_label_stands_for_a_version_and_moves(workspace: Workspace) -> None:
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


def test_the_platform_is_kept_and_a_clone_shares_nothing() -> None:
    environment = Environment.from_dict({"docker": {"platform": {"os": "Windows"}}, "spark": {"repositories": ["a"]}})
    copy = environment.clone("copy")
    copy.spark.repositories.append("b")
    assert (copy.docker.platform.os, environment.spark.repositories) == ("Windows", ["a"])
    assert environment.to_dict()["docker"]["platform"] == {"os": "Windows"}


def test_no_value_that_may_be_a_password_is_shown() -> None:
    environment = Environment("e")
    environment.docker.base_image_registry = {"address": "r.io", "password": "hunter2"}  # type: ignore[assignment]
    with pytest.raises(ConfigError) as caught:
        environment.to_dict() and environment.to_spec()
    assert "hunter2" not in str(caught.value) and "it is of type dict" in caught.value.why


def test_a_base_takes_the_place_of_another(capsys: pytest.CaptureFixture[str]) -> None:
    docker = Environment("e").docker
    docker.base_image = "image"
    docker.base_dockerfile = "FROM image"
    docker.base_dockerfile = "FROM other"
    assert (docker.base_image, docker.base_dockerfile) == (None, "FROM other")
    assert capsys.readouterr().out == "DockerSection: base_image is cleared, because base_dockerfile takes its place\n"


def test_a_dockerfile_and_a_build_context_are_kept(folder: Path) -> None:
    text = "# syntax=docker/dockerfile:1\nFROM python:3.12\nRUN true\n"
    (folder / "Dockerfile").write_text(text)
    (folder / "requirements.txt").write_text("six\n")
    environment = Environment.from_dockerfile("e", "Dockerfile", pip_requirements="requirements.txt")
    assert Environment.from_dict(environment.to_dict()).docker.base_dockerfile == text
    assert environment.to_spec().pip == ["six"]
    assert Environment.from_dockerfile("e", "FROM python:3.12").docker.base_dockerfile == "FROM python:3.12"
    for context in (".", SimpleNamespace(location=".", dockerfile_path="Dockerfile")):
        environment = Environment.from_docker_build_context("e", context)
        assert Environment.from_dict(environment.to_dict()).docker.build_context == str(folder)
    with pytest.raises(UserErrorException, match="no such file"):
        Environment.from_dockerfile("e", "nope/Dockerfile")
    with pytest.raises(UserErrorException, match="no FROM line"):
        Environment.from_dockerfile("e", "requirements.txt")
    with pytest.raises(UserErrorException, match="there is no Dockerfile in"):
        Environment.from_docker_build_context("e", "nope")


def test_what_only_azure_had(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "requirements.txt").write_text("six\n")
    Environment.from_pip_requirements("e", "requirements.txt", pip_version="20.0")
    assert "pip_version is ignored" in capsys.readouterr().out
    with pytest.raises(UserErrorException, match="get_image_details needs Azure") as caught:
        Environment("e").get_image_details(None)
    assert caught.value.hint == "make the environment here: environment.build_local(workspace)"


def test_pip_options_requirements_and_versions_of_conda_dependencies() -> None:
    deps = CondaDependencies.create(python_version="3.11", pip_packages=["six==1.16.0"])
    assert deps.get_python_version() == "3.11" and CondaDependencies().get_python_version() is None
    deps.set_pip_option("--index-url https://a.example/simple")
    deps.set_pip_option("--index-url https://b.example/simple")
    deps.set_pip_option("--extra-index-url https://c.example/simple")
    deps.set_pip_option("--extra-index-url https://d.example/simple")
    assert sorted(deps.pip_options) == [
        "--extra-index-url https://c.example/simple",
        "--extra-index-url https://d.example/simple",
        "--index-url https://b.example/simple",
    ]
    with pytest.raises(ConfigError):
        deps.set_pip_option("--nonsense")
    assert "--nonsense" not in deps.pip_options
    for option in (3, "", "six"):
        with pytest.raises(ConfigError, match="is not an option of pip"):
            deps.set_pip_option(option)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="it must be a list"):
        deps.set_pip_requirements("numpy")
    deps.remove_pip_option("--extra-index-url")
    deps.set_pip_requirements(["# a comment", "", "numpy>=1.26", "attrs"])
    assert deps.pip_packages == ["numpy>=1.26", "attrs"]
    assert deps.pip_options == ["--index-url https://b.example/simple"]


@pytest.mark.parametrize("argument", ["pip_packages", "conda_packages"])
def test_one_text_is_no_list_of_packages(argument: str) -> None:
    with pytest.raises(ConfigError, match=f"{argument} is 'numpy'") as caught:
        CondaDependencies.create(**{argument: "numpy"})  # its letters are no packages
    assert caught.value.hint == f"pass {argument}=['numpy']"


def test_requirements_of_one_package_are_merged() -> None:
    lines = ["A>=1", "b", "a<2", "b[x]", 'c; python_version < "3"', "c"]
    assert CondaDependencies.merge_requirements(lines) == ["A<2,>=1", "b[x]", 'c; python_version < "3"', "c"]
    with pytest.raises(ConfigError, match="'a b' is not a requirement"):
        CondaDependencies.merge_requirements(["a b"])
    with pytest.raises(ConfigError, match=r"pass requirements=\['numpy'\]"):
        CondaDependencies.merge_requirements("numpy")


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
def test_what_cannot_be_used_is_named(workspace: Workspace, folder: Path, call: Any) -> None:
    (folder / "file").touch()
    (folder / "folder").mkdir()
    with pytest.raises(MldeployError) as caught:
        call(workspace)
    assert caught.value.what and caught.value.why and caught.value.hint
    assert "Errno" not in str(caught.value)


@pytest.mark.parametrize(
    ("part", "value", "what"),
    [
        ("python", None, "python of the environment 'e' cannot be used"),
        ("spark", None, "spark of the environment 'e' cannot be used"),
        ("docker.base_image_registry", "r.io", "docker.base_image_registry of the environment 'e' cannot be used"),
        ("docker.arguments", None, "docker.arguments of the environment 'e' cannot be used"),
        ("docker", "Dockerfile", "docker of the environment 'e' cannot be used"),
        ("environment_variables", [1], "environment_variables of the environment 'e' cannot be used"),
        ("environment_variables", {"B": None}, "the environment variable 'B' of the environment 'e' is no text"),
        ("environment_variables", {1: "a"}, "the environment variable 1 of the environment 'e' is no text"),
        ("python.conda_dependencies", "x.yml", "python.conda_dependencies of the environment 'e' cannot be used"),
    ],
)
def test_parts_of_another_type_are_named_when_they_are_used(
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


def test_no_variables_and_numbers_are_taken() -> None:
    environment = Environment("e")
    environment.environment_variables = None  # type: ignore[assignment]
    assert environment.to_spec().environment_variables == {}
    environment.environment_variables = {"N": 1}  # type: ignore[dict-item]
    assert environment.to_spec().environment_variables == {"N": "1"}
