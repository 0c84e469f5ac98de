"""Models, configurations and names become the plain data of a request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.api.models import Model
from mldeploy_jupyter.api.webservices import InferenceConfig, LocalWebservice
from mldeploy_jupyter.api.webservices.deploy_arguments import make_request, resolve_models, to_deploy_config
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.configs import DeployConfig
from mldeploy_jupyter.core.errors import ConfigError, UserErrorException
from mldeploy_jupyter.deployment.source.mlflow_models import SCRIPT


@pytest.fixture
def registered(folder: Path) -> Workspace:
    """A workspace with two versions of the model `churn`."""
    (folder / "model.pkl").write_text("1")
    workspace = Workspace.create("test")
    for _ in range(2):
        Model.register(workspace, "model.pkl", "churn")
    return workspace


def test_models_become_ids_or_absolute_paths_once_each(registered: Workspace, folder: Path) -> None:
    models: list[Any] = [Model(registered, "churn", version=1), "churn:1", "churn", "model.pkl", Path("model.pkl")]
    assert resolve_models(registered, models) == ["churn:1", "churn:2", str(folder / "model.pkl")]


@pytest.mark.parametrize(
    ("model", "what", "hint"),
    [
        ("churn:9", "there is no model 'churn:9'", "name one of them, or churn for the newest"),
        ("chrn", "there is no model 'chrn'", "did you mean churn?"),
        ("entirely else", "there is no model 'entirely else'", "see what there is with `mldeploy model list`"),
        ("", "'' is not a model", "remove it"),
        (5, "int is not a model", "register it first with Model.register(...)"),
    ],
)
def test_a_model_that_is_not_registered_is_named(registered: Workspace, model: Any, what: str, hint: str) -> None:
    with pytest.raises(UserErrorException) as caught:
        resolve_models(registered, [model])
    assert (caught.value.what, caught.value.hint) == (what, hint)


def test_a_model_of_another_workspace_is_refused(registered: Workspace, folder: Path) -> None:
    (folder / "other").mkdir()
    other = Workspace.create("other", path=folder / "other")
    with pytest.raises(UserErrorException, match="churn:2 belongs to another workspace"):
        resolve_models(other, [Model(registered, "churn")])


def test_models_must_be_a_list(registered: Workspace) -> None:
    for models in ("churn", Path("model.pkl"), None):
        with pytest.raises(UserErrorException, match="models must be a list"):
            resolve_models(registered, models)  # type: ignore[arg-type]


def test_a_configuration_is_taken_as_an_object_or_as_data() -> None:
    assert to_deploy_config(None) == DeployConfig()
    assert to_deploy_config(LocalWebservice.deploy_configuration(port=6789)).passed == {"port": 6789}
    with pytest.raises(UserErrorException, match="the deployment configuration is not one"):
        to_deploy_config({"port": 6789})  # type: ignore[arg-type]


def test_a_request_is_plain_data_and_creates_no_workspace(folder: Path) -> None:
    (folder / "score.py").write_text("def init(): ...\ndef run(data): ...\n")
    (folder / "model.pkl").write_text("1")
    request = make_request(Workspace(), "churn", ["model.pkl"], InferenceConfig("score.py"), DeployConfig())
    assert (request.service, request.target, request.models) == ("churn", "local", [str(folder / "model.pkl")])
    assert not (folder / ".mldeploy").exists()
    with pytest.raises(UserErrorException, match="an inference_config is needed"):
        make_request(Workspace(), "churn", [], None, DeployConfig())
    with pytest.raises(UserErrorException, match="the inference_config is not one"):
        make_request(Workspace(), "churn", [], "score.py", DeployConfig())  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        make_request(Workspace(), "churn", [], None, DeployConfig("Local", {"port": -1}))


def test_a_model_of_mlflow_needs_no_entry_script(registered: Workspace, folder: Path) -> None:
    (folder / "lin").mkdir()
    (folder / "lin" / "MLmodel").write_text("flavors: {}")
    Model.register(registered, "lin", "lin")
    for models in (["lin:1"], ["lin"], ["churn:1", "lin:1"]):  # registered, as a folder, beside another model
        request = make_request(registered, "svc", models, None, DeployConfig())
        assert request.inference_config["entry_path"] == str(SCRIPT) and request.script_digest
    for models in (["churn:1"], [], ["lin:1", str(folder / "lin")]):  # none, or more than one
        with pytest.raises(UserErrorException) as caught:
            make_request(registered, "svc", models, None, DeployConfig())
        assert caught.value.what == "an inference_config is needed"
