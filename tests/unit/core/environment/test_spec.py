"""Reading conda and requirements files."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from mldeploy_jupyter.core.environment import spec as specs
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.core.errors import ConfigError


def conda(tmp_path: Path, text: str) -> EnvironmentSpec:
    path = tmp_path / "env.yml"
    path.write_text(textwrap.dedent(text))
    return specs.from_conda_file(path)


def requirements(tmp_path: Path, text: str) -> EnvironmentSpec:
    path = tmp_path / "requirements.txt"
    path.write_text(textwrap.dedent(text))
    return specs.from_requirements_file(path)


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


@pytest.mark.parametrize(
    ("asked", "version", "fits"),
    [
        ("3.1", "3.11.2", False),
        ("3.11", "3.11.2", True),
        ("3.11.2", "3.11.20", False),
        (">=3.10", "3.12.0", True),
        (None, "3.12.0", True),
    ],
)
def test_python_accepts(asked: str | None, version: str, fits: bool) -> None:
    assert specs.python_accepts(asked, version) is fits


def test_requirements_with_everything(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "base.txt").write_text("-c limits.txt\npandas>=2  # frames\n")
    (tmp_path / "more" / "limits.txt").write_text("numpy<3\n")
    (tmp_path / "demo-1.2-py3-none-any.whl").write_text("")
    spec = requirements(
        tmp_path,
        """
        # the model's
        -r more/base.txt
        --extra-index-url https://user:${TOKEN}@index.invalid/simple
        --prefer-binary
        -f wheels
        six==1.16.0 \\
            --hash=sha256:aaaa \\
            --hash sha256:bbbb
        ./demo-1.2-py3-none-any.whl
        tool @ https://files.invalid/tool-1.0.tar.gz
        colorama; sys_platform == 'win32'
        """,
    )
    assert spec.pip == [
        "pandas>=2",
        "six==1.16.0 --hash=sha256:aaaa --hash=sha256:bbbb",
        "demo==1.2",
        "tool @ https://files.invalid/tool-1.0.tar.gz",
        'colorama; sys_platform == "win32"',
    ]
    assert spec.constraints == ["numpy<3"]
    assert spec.pip_options == [
        "--extra-index-url=https://user:${TOKEN}@index.invalid/simple",
        f"--find-links={tmp_path}/wheels",
        f"--find-links={tmp_path}",
    ]


def test_wrong_files_say_what_and_where(tmp_path: Path, snapshot: object) -> None:
    (tmp_path / "circle.txt").write_text("-r circle.txt\n")
    texts = []
    for read, text in [
        (conda, "dependencies: [numpy\n"),
        (conda, "- numpy\n"),
        (conda, "dependences: [numpy]\n"),
        (conda, "dependencies: [3]\n"),
        (conda, "dependencies: [{pip: six}]\n"),
        (conda, "dependencies: ['python=three']\n"),
        (conda, "dependencies: [{pip: ['-e .']}]\n"),
        (requirements, "six\n-e ./here\n"),
        (requirements, "./folder\n"),
        (requirements, "six=1.0\n"),
        (requirements, "-r nowhere.txt\n"),
        (requirements, "-r circle.txt\n"),
        (requirements, "--install-option=x\n"),
        (requirements, "--index-url\n"),
        (requirements, "--index-url https://me:secret@index.invalid/simple\n"),
    ]:
        with pytest.raises(ConfigError) as caught:
            read(tmp_path, text)
        texts.append(str(caught.value).replace(str(tmp_path), "FOLDER"))
    assert "secret" not in "".join(texts)
    assert texts == snapshot


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no conda file at .*nope\.yml"):
        specs.from_conda_file(tmp_path / "nope.yml")


def test_the_digest_is_of_what_is_installed() -> None:
    one = EnvironmentSpec(name="a", python="3.11", pip=["six", "attrs"], environment_variables={"A": "1"})
    same = EnvironmentSpec(name="b", version="2", python="3.11", pip=["attrs", "six", "six"])
    assert one.digest() == same.digest()
    others = [
        EnvironmentSpec(python="3.12", pip=["six", "attrs"]),
        EnvironmentSpec(python="3.11", pip=["six"]),
        EnvironmentSpec(python="3.11", pip=["six", "attrs"], constraints=["six<2"]),
        EnvironmentSpec(python="3.11", pip=["six", "attrs"], pip_options=["--pre"]),
        EnvironmentSpec(python="3.11", pip=["six", "attrs"], conda=["zlib"]),
        EnvironmentSpec(interpreter="/usr/bin/python3"),
    ]
    assert len({one.digest(), *(other.digest() for other in others)}) == 7


def test_a_spec_goes_through_json() -> None:
    spec = EnvironmentSpec(name="a", python="3.11", pip=["six"], channels=["c"], interpreter="/p")
    assert EnvironmentSpec.from_dict(spec.to_dict() | {"later": 1}) == spec
