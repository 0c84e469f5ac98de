"""v1's older ways to deploy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.api.models import Model
from mldeploy_jupyter.api.webservices import (
    AciWebservice,
    InferenceConfig,
    Webservice,
)
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import MldeployError


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"model_paths": None}, "model_paths is None"),
        ({"model_paths": "score.py"}, "model_paths is 'score.py'"),
        ({"model_paths": ["score.py", 5]}, "a path of model_paths is 5"),
        ({"model_paths": ["score.py", "gone.pkl"]}, "there is no file or folder gone.pkl"),
        ({"model_paths": ["score.py", "größe"]}, "cannot be the name of a model"),
        ({"name": "Bad"}, "'Bad' cannot be the name of a service"),
        ({"name": "on-local"}, "there is a service on-local already"),
        ({"image_config": None}, "an inference_config is needed"),
        ({"deployment_config": 5}, "the deployment configuration is not one"),
        ({"deployment_config": AciWebservice.deploy_configuration()}, "Azure Container Instances is not in this"),
        ({"deployment_target": "cluster"}, "deployment_target is not in this version"),
        ({"workspace": None}, "workspace is None"),
    ],
)
def test_deploy_registers_nothing_that_it_refuses(
    ws: Workspace, folder: Path, change: dict[str, Any], what: str
) -> None:
    (folder / "score.py").write_text("def init(): ...\ndef run(data): ...\n")
    given = {"workspace": ws, "name": "churn", "model_paths": ["score.py"], "image_config": InferenceConfig("score.py")}
    with pytest.raises(MldeployError) as caught:
        Webservice.deploy(**{**given, **change})
    assert what in caught.value.what
    assert Model.list(ws) == []
