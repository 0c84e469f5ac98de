"""`Model.get_model_path` in a service, without v1's traps."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.serving.azureml.model import Model, ModelNotFoundException, NotInService, Run, WebserviceException
from mldeploy_jupyter.serving.azureml.offline_run import OfflineRun


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AML_APP_ROOT", str(tmp_path))
    monkeypatch.delenv("AZUREML_MODEL_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(app: Path, *parts: str) -> Path:
    path = app.joinpath("azureml-models", *parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    return path


def test_the_default_is_the_highest_version_by_number(app: Path) -> None:
    put(app, "m", "2", "model.pkl")
    newest = put(app, "m", "10", "model.pkl")
    assert Model.get_model_path("m") == str(newest)
    assert Model.get_model_path("m", version=2).endswith("m/2/model.pkl")
    assert Model.get_model_path("m", 10) == str(newest)
    for version in ("10", 10.0, True):
        with pytest.raises(WebserviceException, match="version must be a whole number"):
            Model.get_model_path("m", version)  # type: ignore[arg-type]


def test_stray_folders_and_hidden_files_are_ignored(app: Path) -> None:
    model = put(app, "m", "1", "model.pkl")
    put(app, "m", "1", ".DS_Store")
    put(app, "m", ".ipynb_checkpoints", "x")
    put(app, "m", "old", "x")
    assert Model.get_model_path("m") == str(model)


def test_a_version_with_several_entries_is_its_folder(app: Path) -> None:
    put(app, "m", "1", "a.pkl")
    put(app, "m", "1", "b.pkl")
    assert Model.get_model_path("m") == str(app / "azureml-models" / "m" / "1")


def test_models_are_found_from_the_model_dir_of_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AML_APP_ROOT", raising=False)
    model = put(tmp_path, "m", "1", "model.pkl")
    for folder in (tmp_path / "azureml-models", tmp_path / "azureml-models" / "m" / "1"):
        monkeypatch.setenv("AZUREML_MODEL_DIR", str(folder))
        assert Model.get_model_path("m") == str(model)


def test_a_path_in_the_current_folder_is_used_with_a_warning(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (app / "local.pkl").write_text("x")
    assert Model.get_model_path("local.pkl") == "local.pkl"
    assert "warning: no model 'local.pkl'" in capsys.readouterr().err


def test_the_error_for_a_missing_model_lists_those_that_exist(app: Path) -> None:
    put(app, "ridge", "1", "model.pkl")
    put(app, "ridge", "3", "model.pkl")
    with pytest.raises(ModelNotFoundException, match="no model 'rigde' in this service; it has: ridge"):
        Model.get_model_path("rigde")
    with pytest.raises(ModelNotFoundException, match=r"has no version 2 in this service; there are: \['1', '3'\]"):
        Model.get_model_path("ridge", 2)
    with pytest.raises(WebserviceException, match="whole number, not 'latest'") as caught:
        Model.get_model_path("ridge", "latest")  # type: ignore[arg-type]
    assert caught.value.message.startswith("version must be")


def test_names_that_need_a_workspace_raise_an_error_that_says_so() -> None:
    with pytest.raises(NotInService, match="get_model_path"):
        Model("ws", "m")
    with pytest.raises(NotInService, match="experiment"):
        Run.get_context(allow_offline=False)


def test_the_run_of_a_service_is_v1s_outside_of_an_experiment(capsys: pytest.CaptureFixture[str]) -> None:
    with Run.get_context() as run:
        run.log("rows", 3)
        run.log_row("row", a=1)
        run.tag("kind", "try")
    assert isinstance(run, OfflineRun) and run.id.startswith("OfflineRun") and not hasattr(run, "experiment")
    assert capsys.readouterr().out == "rows: 3\nrow: {'a': 1}\n"
