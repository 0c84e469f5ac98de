"""Reading environment files of conda."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from mldeploy_jupyter.core.environment.conda_file import read_conda_file
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.core.errors import ConfigError


def conda(tmp_path: Path, text: str) -> EnvironmentSpec:
    path = tmp_path / "env.yml"
    path.write_text(textwrap.dedent(text))
    return read_conda_file(path)


def test_the_2019_conda_file(tmp_path: Path) -> None:
    spec = conda(
        tmp_path,
        """
        name: project_environment
        channels: [conda-forge, nodefaults]
        dependencies:
          - python=3.6.2
          - pip=19.1
          - conda-forge::libgomp >=9
          - pip:
            - azureml-defaults
            - scikit-learn==0.20.0
            - inference-schema[numpy-support]
        variables: {OMP_NUM_THREADS: 2}
        """,
    )
    assert spec == EnvironmentSpec(
        name="project_environment",
        python="3.6.2",
        pip=["azureml-defaults", "scikit-learn==0.20.0", "inference-schema[numpy-support]"],
        conda=["conda-forge::libgomp >=9"],
        channels=["conda-forge"],
        environment_variables={"OMP_NUM_THREADS": "2"},
    )


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("python", None),
        ("python=3.11", "3.11"),
        ("python==3.11.7", "3.11.7"),
        ("python 3.11.*", "3.11"),
        ("python=3.11=h123_0", "3.11"),
        ("python>=3.11,<3.13", "<3.13,>=3.11"),
        ("conda-forge::python=3.12", "3.12"),
    ],
)
def test_python_in_a_conda_file(tmp_path: Path, written: str, read: str | None) -> None:
    assert conda(tmp_path, f"dependencies: ['{written}']").python == read


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no conda file at .*nope\.yml"):
        read_conda_file(tmp_path / "nope.yml")


def test_a_wrong_conda_file_says_what_and_where(tmp_path: Path, snapshot: object) -> None:
    texts = []
    for text in [
        "dependencies: [numpy\n",
        "- numpy\n",
        "dependences: [numpy]\n",
        "dependencies: [3]\n",
        "dependencies: [{pip: six}]\n",
        "dependencies: ['python=three']\n",
        "dependencies: [{pip: ['-e .']}]\n",
    ]:
        with pytest.raises(ConfigError) as caught:
            conda(tmp_path, text)
        texts.append(str(caught.value).replace(str(tmp_path), "FOLDER"))
    assert texts == snapshot
