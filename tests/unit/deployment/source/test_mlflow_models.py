"""A model of MLflow is known by its file `MLmodel`, registered or as a folder."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mldeploy_jupyter.core.bundle.builder import BundleModel
from mldeploy_jupyter.core.records import ModelRecord
from mldeploy_jupyter.deployment.source.mlflow_models import SCRIPT, find_script, is_mlflow_model, read_environment

REQUIREMENTS = "mlflow==3.17.2\nscikit-learn==1.9.1\n"
PYTHON = "python: 3.11.7\nbuild_dependencies:\n- pip==23.2.1\ndependencies:\n- -r requirements.txt\n"
CONDA = "name: mlflow-env\nchannels: [conda-forge]\ndependencies:\n- python=3.11.7\n- pip\n- pip: [mlflow==3.17.2]\n"

NO_ARTIFACTS: Any = SimpleNamespace()


def model(folder: Path, files: dict[str, str]) -> BundleModel:
    paths = {}
    for name, text in files.items():
        paths[f"saved/{name}"] = folder / name
        paths[f"saved/{name}"].write_text(text)
    return BundleModel("churn", 1, {}, paths)


def test_a_model_of_mlflow_is_known_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert not is_mlflow_model(tmp_path)
    (tmp_path / "a" / "b" / "MLmodel").touch()
    assert is_mlflow_model(tmp_path) and not is_mlflow_model(tmp_path / "a" / "b" / "MLmodel")
    registered = ModelRecord(name="m", files=["lin/MLmodel", "lin/model.pkl"])
    other = ModelRecord(name="n", files=["MLmodel.txt", "MLmodel/x"])
    assert is_mlflow_model(registered) and not is_mlflow_model(other)
    assert find_script([other, registered]) == SCRIPT and SCRIPT.is_file()
    assert find_script([registered, tmp_path]) is None and find_script([other]) is None


def test_requirements_with_the_minor_version_of_python(tmp_path: Path) -> None:
    made = model(
        tmp_path, {"MLmodel": "", "requirements.txt": REQUIREMENTS, "python_env.yaml": PYTHON, "conda.yaml": CONDA}
    )
    found = read_environment(SCRIPT, [made], NO_ARTIFACTS)
    assert found is not None and (found.python, found.pip) == ("3.11", REQUIREMENTS.split()) and not found.conda


def test_the_conda_file_where_there_are_no_requirements(tmp_path: Path) -> None:
    found = read_environment(SCRIPT, [model(tmp_path, {"MLmodel": "", "conda.yaml": CONDA})], NO_ARTIFACTS)
    assert found is not None and (found.python, found.pip) == ("3.11.7", ["mlflow==3.17.2"])


@pytest.mark.parametrize("files", [{"MLmodel": ""}, {"requirements.txt": REQUIREMENTS}])
def test_what_names_none_gets_none(tmp_path: Path, files: dict[str, str]) -> None:
    assert read_environment(SCRIPT, [model(tmp_path, files)], NO_ARTIFACTS) is None


def test_a_script_of_its_own_keeps_its_own_environment(tmp_path: Path) -> None:
    made = model(tmp_path, {"MLmodel": "", "requirements.txt": REQUIREMENTS})
    script = tmp_path / "score.py"
    script.write_text("from mldeploy_serving.mlflow import init, run\n")
    assert (
        read_environment(script, [made], NO_ARTIFACTS) is None and read_environment(None, [made], NO_ARTIFACTS) is None
    )
    assert read_environment(SCRIPT, [made, made], NO_ARTIFACTS) is None


def test_files_of_a_registered_model_come_from_the_artifacts(tmp_path: Path) -> None:
    files = {"saved/MLmodel": ["0", 0], "saved/requirements.txt": ["digest", 4]}
    blob = tmp_path / "blob"
    blob.write_text("mlflow")
    artifacts: Any = SimpleNamespace(open_blob=lambda digest: {"digest": blob}[digest].open("rb"))
    found = read_environment(SCRIPT, [BundleModel("churn", 1, files)], artifacts)
    assert found is not None and (found.python, found.pip) == (None, ["mlflow"])
