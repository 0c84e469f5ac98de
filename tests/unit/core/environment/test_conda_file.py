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
        ("conda-forge/linux-64::python =3.12", "3.12"),
        ("python=3.11.*", "3.11"),
        ("python=3.11.7=hab00c5b_1_cpython", "3.11.7"),
        ("python 3.11.* *_cpython", "3.11"),
        ("python 3.11.7 hab00c5b_1_cpython", "3.11.7"),
        ("python[version='>=3.11']", ">=3.11"),
        ("python (>=3.11)", ">=3.11"),
        ("python >=3.8, <4", "<4,>=3.8"),
        ("python>=3.11.*", ">=3.11"),
        ("python=3.11,!=3.11.4", "!=3.11.4,==3.11.*"),
        ("python=3.11|3.12", "3.11|3.12"),
        ("python>=3.8,<3.9|>=3.11", "<3.9,>=3.8|>=3.11"),
        ("python=*", None),
        ("Python=3.11", "3.11"),
    ],
)
def test_python_in_a_conda_file(tmp_path: Path, written: str, read: str | None) -> None:
    assert conda(tmp_path, f'dependencies: ["{written}"]').python == read


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
        "dependencies:\n  - numpy\n  - scikit-learn=>1.5\n",
        "dependencies:\n  - pip:\n    # two\n    - six\n    - numpy=1.2\n",
        "dependencies: ['numpy===1.2', six]\n",
        "dependencies: ['numpy<2,']\n",
        "dependencies: ['numpy=']\n",
        "dependencies: ['numpy(>=1.2)']\n",
        "dependencies: [\"numpy='1.2'\"]\n",
        "dependencies:\n  - numpy\n  - git+https://forge.invalid/team/thing.git\n",
        "dependencies: ['-r requirements.txt']\n",
        "dependencies: ['inference-schema[numpy-support]']\n",
        "dependencies: ['numpy; python_version > \"3\"']\n",
        "dependencies: [{numpy: 1.26.4}]\n",
        "dependencies: [{python: 3.10}]\n",
        "@EXPLICIT\nhttps://conda.invalid/linux-64/six-1.16.0-py_0.conda\n",
    ]:
        with pytest.raises(ConfigError) as caught:
            conda(tmp_path, text)
        texts.append(str(caught.value).replace(str(tmp_path), "FOLDER"))
    assert texts == snapshot


@pytest.mark.parametrize(
    "package",
    [
        "numpy",
        "numpy=1.5.*",
        "numpy =1.5.*",
        "numpy=1.26.4=py311h64a7726_0",
        "numpy ==1.2",
        "numpy = 1.2",
        "numpy>=1,<2|3",
        "numpy >=1.20, <2",
        "numpy!=1.2.*",
        "numpy~=1.2",
        "numpy[version='>=1.2',build=py*]",
        "numpy (>=1.2)",
        "numpy 1.26.* py311*",
        "pytorch=*=*cuda*",
        "conda-forge::numpy=1.26",
        "conda-forge/linux-64::numpy",
        "https://conda.invalid/mine::numpy",
        "_libgcc_mutex=0.1=conda_forge",
    ],
)
def test_every_spelling_of_conda_is_kept_for_the_solver(tmp_path: Path, package: str) -> None:
    path = tmp_path / "env.yml"
    path.write_text(f'dependencies:\n  - six\n  - "{package}"\n')
    spec = read_conda_file(path)
    assert spec.conda == ["six", package]
    assert spec.places == {"six": "env.yml, line 2", package: "env.yml, line 3"}


def test_places_of_packages_below_pip(tmp_path: Path) -> None:
    text = "dependencies:\n- pip\n- pip:\n  # of the model\n  - --pre\n  - six==1.16.0\n\n  - numpy>=1.2\n"
    text += "constraints:\n- numpy<2\n"
    assert conda(tmp_path, text).places == {
        "six==1.16.0": "env.yml, line 6",
        "numpy>=1.2": "env.yml, line 8",
        "numpy<2": "env.yml, line 10",
    }


def test_what_conda_list_exports(tmp_path: Path) -> None:
    text = """\
        # This file may be used to create an environment using:
        # $ conda create --name <env> --file <this file>
        # platform: linux-64
        _libgcc_mutex=0.1=conda_forge
        python=3.11.7=hab00c5b_1_cpython
        pip=23.3=py_0
        numpy=1.26.4=py311h64a7726_0
        six=1.16.0=pypi_0
        """
    assert conda(tmp_path, text) == EnvironmentSpec(
        python="3.11.7", conda=["_libgcc_mutex==0.1", "numpy==1.26.4"], pip=["six==1.16.0"]
    )
    assert conda(tmp_path, text).places["six==1.16.0"] == "env.yml, line 8"
