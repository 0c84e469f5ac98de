"""`migrate(python="kernel")`: which environments get the kernel's Python, and what is said of it."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mldeploy_jupyter.api.environments import CondaDependencies, Environment
from mldeploy_jupyter.api.webservices import InferenceConfig
from mldeploy_jupyter.core import migration
from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.core.migration import Migration

SCRIPT = "def init(): pass\ndef run(data): return data\n"


@pytest.fixture(autouse=True)
def _taken_back() -> Iterator[None]:
    yield
    migration.end()


@pytest.fixture
def kernel_python() -> None:
    migration.begin(Migration(kernel_python=True))


def environment(python: str) -> Environment:
    made = Environment("old")
    made.python.conda_dependencies = CondaDependencies.create(python_version=python, pip_packages=["numpy"])
    return made


def test_a_python_that_is_too_old_is_replaced_and_that_is_said_once(
    kernel_python: None, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        spec = environment("3.6.2").to_spec()
        assert spec.python is None and spec.pip == ["numpy"]
    used = f"Python {platform.python_version()} of this kernel is used instead of 3.6.2"
    assert capsys.readouterr().out == f'old: {used} (migrate(python="kernel")).\n'


@pytest.mark.parametrize("python", ["3.11", "3.13.1", ">=3.6", ">=3.11,<3.12"])
def test_a_python_that_runs_the_server_stays(kernel_python: None, python: str) -> None:
    assert environment(python).to_spec().python is not None


def test_a_conda_file_of_an_inference_config_is_read_so_too(kernel_python: None, folder: Path) -> None:
    (folder / "score.py").write_text(SCRIPT)
    (folder / "env.yml").write_text("dependencies:\n- python=3.6.2\n- pip:\n  - numpy\n")
    data = InferenceConfig(entry_script="score.py", conda_file="env.yml").to_data()
    assert (data["environment"]["python"], data["environment"]["pip"]) == (None, ["numpy"])


def test_elsewhere_it_is_refused(folder: Path) -> None:
    (folder / "score.py").write_text(SCRIPT)
    migration.begin(Migration(local=True))
    with pytest.raises(MldeployError, match=r"Python 3\.6\.2 is too old") as caught:
        InferenceConfig(entry_script="score.py", environment=environment("3.6.2"))
    assert caught.value.code == "PythonTooOld"


def test_a_curated_environment_is_the_kernels_own(kernel_python: None, folder: Path) -> None:
    from mldeploy_jupyter.api.workspace import Workspace

    found = Environment.get(Workspace.create("test"), "AzureML-sklearn-0.24-ubuntu18.04-py37-cpu")
    assert found.name == "sklearn-0.24-ubuntu18.04-py37-cpu"
    assert found.clone("mine").to_spec().interpreter == sys.executable
    assert Environment.from_dict(found.to_dict()).to_spec().interpreter == sys.executable
