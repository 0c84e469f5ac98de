"""`CondaDependencies`: packages, channels, pip options and merging."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.api.environments import CondaDependencies
from mldeploy_jupyter.core.errors import ConfigError


def test_packages_channels_and_python_are_changed_by_v1s_methods(tmp_path: Path) -> None:
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


def test_pip_options_pip_requirements_and_python_version() -> None:
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
def test_a_string_is_refused_as_a_list_of_packages(argument: str) -> None:
    with pytest.raises(ConfigError, match=f"{argument} is 'numpy'") as caught:
        CondaDependencies.create(**{argument: "numpy"})  # its letters are not packages
    assert caught.value.hint == f"pass {argument}=['numpy']"


def test_merge_requirements_keeps_one_line_a_package() -> None:
    lines = ["A>=1", "b", "a<2", "b[x]", 'c; python_version < "3"', "c"]
    assert CondaDependencies.merge_requirements(lines) == ["A<2,>=1", "b[x]", 'c; python_version < "3"', "c"]
    with pytest.raises(ConfigError, match="'a b' is not a requirement"):
        CondaDependencies.merge_requirements(["a b"])
    with pytest.raises(ConfigError, match=r"pass requirements=\['numpy'\]"):
        CondaDependencies.merge_requirements("numpy")


def test_tensorflow_is_one_package_for_both_core_types() -> None:
    made = CondaDependencies()
    made.add_tensorflow_pip_package(core_type="gpu", version="2.15.0")
    made.add_tensorflow_conda_package()
    assert (made.pip_packages, made.conda_packages) == (["tensorflow==2.15.0"], ["tensorflow"])
    with pytest.raises(ConfigError, match="CNTK cannot be installed"):
        made.add_cntk_package()
