"""Reading `inferenceconfig.json`: both documented forms, and refusals that name the path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.api.environments import Environment
from mldeploy_jupyter.core.configs import read_inference_config
from mldeploy_jupyter.core.errors import ConfigError

from .documents import write_file


def test_the_inference_config_of_2019(folder: Path) -> None:
    data = {
        "entryScript": "score.py",
        "runtime": "python",
        "condaFile": "env.yml",
        "extraDockerfileSteps": None,
        "sourceDirectory": None,
        "enableGpu": False,
        "baseImage": None,
        "baseImageRegistry": "registry.example",
        "cudaVersion": None,
        "description": None,
    }
    expected = {
        "entry_script": "score.py",
        "runtime": "python",
        "conda_file": "env.yml",
        "enable_gpu": False,
        "base_image_registry": {"address": "registry.example"},
    }
    assert read_inference_config(write_file(folder, data, "i.json")) == expected
    assert read_inference_config(write_file(folder, yaml.safe_dump(data), "i.yml")) == expected


@pytest.mark.parametrize("spelling", ["extraDockerFileSteps", "extraDockerfileSteps"])
def test_both_spellings_of_docker_steps(spelling: str, folder: Path) -> None:
    path = write_file(folder, {"entryScript": "s.py", spelling: "steps"}, "i.json")
    assert read_inference_config(path)["extra_docker_file_steps"] == "steps"


def test_the_inference_config_with_an_environment(folder: Path) -> None:
    environment = {
        "name": "e",
        "version": None,
        "environmentVariables": {"A": "1"},
        "python": {
            "userManagedDependencies": False,
            "condaDependencies": {"channels": ["conda-forge"], "dependencies": ["python=3.11", {"pip": ["numpy"]}]},
        },
        "docker": {"baseImage": "x", "baseImageRegistry": {"address": None, "username": None, "password": None}},
        "spark": None,
        "inferencingStackVersion": None,
    }
    data = {"entryScript": "score.py", "sourceDirectory": None, "environment": environment}
    assert read_inference_config(write_file(folder, data, "i.json")) == {
        "entry_script": "score.py",
        "environment": environment,
    }


def test_paths_are_found_beside_the_file(folder: Path) -> None:
    (folder / "deploy" / "src").mkdir(parents=True)
    (folder / "deploy" / "score.py").write_text("")
    path = write_file(folder / "deploy", {"entryScript": "score.py", "sourceDirectory": "src"}, "i.json")
    assert read_inference_config(path)["source_directory"] == str(folder / "deploy" / "src")
    alone = read_inference_config(write_file(folder / "deploy", {"entryScript": "score.py"}, "j.json"))
    assert alone["entry_script"] == str(folder / "deploy" / "score.py")


def test_keys_that_v1_ignored_are_a_note(folder: Path) -> None:
    data = {"entryScript": "s.py", "schemaFile": "schema.json", "swaggerUi": True, "notes": None}
    notes: list[str] = []
    assert read_inference_config(write_file(folder, data, "i.json"), note=notes.append) == {"entry_script": "s.py"}
    path = folder / "i.json"
    assert notes == [
        f"note: schemaFile in {path} is ignored, as in v1; the script describes the input of run() with @input_schema",
        f"note: swaggerUi in {path} is ignored, as in v1",
    ]


@pytest.mark.parametrize("value", [None, ""])
def test_a_former_key_without_a_value_says_nothing(value: str | None, folder: Path) -> None:
    data = {"entryScript": "s.py", "schemaFile": value, "dependencies": value}
    assert read_inference_config(write_file(folder, data, "i.json")) == {"entry_script": "s.py"}


def test_an_environment_that_v1_saved_is_read(folder: Path) -> None:
    environment = {
        "assetId": None,
        "autoRebuild": False,
        "databricks": {"eggLibraries": [], "jarLibraries": [], "mavenLibraries": [], "pypiLibraries": []},
        "docker": {"arguments": [], "enabled": False, "gpuSupport": False, "sharedVolumes": True, "shmSize": None},
        "inferencingStackVersion": None,
        "name": "e",
        "r": None,
        "version": "3",
    }
    made = read_inference_config(write_file(folder, {"entryScript": "s.py", "environment": environment}, "i.json"))
    assert made["environment"] == environment
    assert Environment.from_dict(environment).name == "e"


BAD: dict[str, Any] = {
    "no script": {"runtime": "python"},
    "misspelled": {"entryScript": "s.py", "enviroment": {}},
    "snake case": {"entry_script": "s.py"},
    "number": {"entryScript": 3},
    "conda at top": {"entryScript": "s.py", "condaDependencies": {}},
    "deep key": {"entryScript": "s.py", "environment": {"python": {"condaDependency": {}}}},
    "conda as path": {"entryScript": "s.py", "environment": {"python": {"condaDependencies": "env.yml"}}},
    "variables": {"entryScript": "s.py", "environment": {"environmentVariables": {"A": 1}}},
    "both forms": {"entryScript": "s.py", "environment": {"name": "e"}, "condaFile": "c.yml"},
    "both spellings": {"entryScript": "s.py", "extraDockerFileSteps": "a", "extraDockerfileSteps": "b"},
    "registry list": {"entryScript": "s.py", "baseImageRegistry": ["r"]},
    "registry key": {"entryScript": "s.py", "baseImageRegistry": {"adress": "r"}},
    "gpu word": {"entryScript": "s.py", "enableGpu": "no"},
    "many": {"entryScript": None, "runtim": "python", "condaFile": 1, "environment": {"docker": {"enable": True}}},
}


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_inference_config_is_refused(name: str, folder: Path, snapshot: SnapshotAssertion) -> None:
    write_file(folder, BAD[name], "inferenceconfig.json")
    with pytest.raises(ConfigError) as caught:
        read_inference_config("inferenceconfig.json")
    assert str(caught.value) == snapshot


def test_the_entry_script_may_be_optional(folder: Path) -> None:
    assert read_inference_config(write_file(folder, {"runtime": "python"}, "i.json"), need_script=False) == {
        "runtime": "python"
    }
