"""`Model.get_model_path` in a notebook and in a service."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.api.models import Model
from mldeploy_jupyter.api.workspace import Workspace

from .conftest import CollectErrors


def test_the_path_of_a_model_in_a_notebook(ws: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("tree", "m.pkl"):
        Model.register(ws, path, "m")
    assert Path(Model.get_model_path("m")).read_bytes() == b"model"
    found = Path(Model.get_model_path("m", version=1, _workspace=ws))
    assert found.name == "tree" and (found / ".hidden").exists()
    (found / "__pycache__").mkdir()  # a script may write there
    assert Path(Model.get_model_path("m", 1)) == found
    assert not (folder / "azureml-models").exists()


@pytest.mark.parametrize("one", [True, False])
def test_the_path_of_a_model_in_a_service(folder: Path, monkeypatch: pytest.MonkeyPatch, one: bool) -> None:
    root = folder / "svc" / "azureml-models"
    for version in ("2", "10", ".ipynb_checkpoints", "latest"):
        (root / "m" / version).mkdir(parents=True)
        (root / "m" / version / "m.pkl").write_text(version)
    (root / "m" / "10" / ".ipynb_checkpoints").mkdir()
    (root / "two" / "1").mkdir(parents=True)
    for name in ("x", "y"):
        (root / "two" / "1" / name).write_text(name)
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(root / "m" / "10" if one else root))
    assert Model.get_model_path("m") == str(root / "m" / "10" / "m.pkl")
    assert Model.get_model_path("m", 2) == str(root / "m" / "2" / "m.pkl")
    assert Model.get_model_path("two") == str(root / "two" / "1")
    monkeypatch.delenv("AZUREML_MODEL_DIR")
    monkeypatch.setenv("AML_APP_ROOT", str(folder / "svc"))
    assert Model.get_model_path("m", 2) == str(root / "m" / "2" / "m.pkl")


def test_errors_list_the_searched_folders(ws: Workspace, folder: Path, collect_errors: CollectErrors, snapshot) -> None:
    Model.register(ws, "m.pkl", "m")
    Model.register(ws, "m.pkl", "m")
    cases = {
        "model path": lambda: Model.get_model_path("nope"),
        "model path version": lambda: Model.get_model_path("m", version=9),
        "model path in the way": lambda: Model.get_model_path("m.pkl"),
        "model path name": lambda: Model.get_model_path(None),  # type: ignore[arg-type]
        "model path workspace": lambda: Model.get_model_path("m", _workspace="ws"),  # type: ignore[arg-type]
        "model path type": lambda: Model.get_model_path("m", version="1"),  # type: ignore[arg-type]
    }
    assert collect_errors(cases) == snapshot
