"""Names of v1 that an entry script imports."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from mldeploy_jupyter.serving.azureml import import_hook, model, v1_names

START = "import sys; from mldeploy_jupyter.serving.azureml import import_hook; import_hook.install(); "


def run_python(source: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", START + source], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("form", ["from sklearn.externals import joblib", "import sklearn.externals.joblib as joblib"])
def test_joblib_of_scikit_learn_is_joblib_with_a_warning(form: str) -> None:
    done = run_python(f"{form}; import joblib as real; assert joblib is real and joblib.load")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("joblib stands in for it") == 1


def test_werkzeug_is_imported_only_for_scripts_that_handle_http() -> None:
    source = "from inference_schema.schema_util import is_schema_decorated; from azureml.core import Model; "
    source += "assert 'werkzeug' not in sys.modules; "
    source += "from azureml.contrib.services.aml_request import AMLRequest, rawhttp; "
    source += "from azureml_inference_server_http.api.aml_response import AMLResponse; import werkzeug.wrappers as w; "
    source += "assert issubclass(AMLRequest, w.Request) and issubclass(AMLResponse, w.Response)"
    done = run_python(source)
    assert done.returncode == 0, done.stderr


def test_a_script_has_every_name_that_a_notebook_has() -> None:
    later = ("azureml.contrib.services.aml_request", "azureml.contrib.services.aml_response")
    assert {module for module, names in v1_names.NAMES.items() if set(names) - set(import_hook.NAMES[module])} == {
        *later
    }


def test_names_that_work_in_a_service() -> None:
    core, errors = import_hook.attributes_of("azureml.core"), import_hook.attributes_of("azureml.exceptions")
    assert core["VERSION"] >= "1.35" and core["Model"] is model.Model
    assert issubclass(errors["ModelNotFoundException"], errors["WebserviceException"])
    assert all(issubclass(error, errors["AzureMLException"]) for name, error in errors.items() if name != "VERSION")
    assert import_hook.attributes_of("azureml.telemetry")["set_diagnostics_collection"](send_diagnostics=True) is None
    assert import_hook.attributes_of("azureml.core.runconfig")["DEFAULT_CPU_IMAGE"].startswith("python:3.")


@pytest.mark.parametrize("use", [lambda dataset: dataset(), lambda dataset: dataset.get_by_name])
def test_a_name_that_needs_a_workspace_says_so_when_it_is_used(use: Callable[[Any], Any]) -> None:
    with pytest.raises(model.NotInService, match="needs a workspace, and a service has none"):
        use(import_hook.attributes_of("azureml.core")["Dataset"])


def test_a_script_may_look_up_its_workspace_and_not_use_it() -> None:
    names = {**import_hook.attributes_of("azureml.core"), **import_hook.attributes_of("azureml.core.authentication")}
    sign_in = names["ServicePrincipalAuthentication"](tenant_id="t", service_principal_password="p")
    for ws in (
        names["Workspace"](subscription_id="s", resource_group="g", workspace_name="w", auth=sign_in),
        names["Workspace"].from_config(),
        names["Workspace"].get("w"),
    ):
        with pytest.raises(model.NotInService, match=r"Workspace\.models needs a workspace, and a service has none"):
            _ = ws.models
    with pytest.raises(model.NotInService):
        names["Workspace"].create("w")
    assert repr(ws) and not hasattr(ws, "_auth")
    homes = {name for name in v1_names.NAMES["azureml.core.authentication"] if name.endswith("Authentication")}
    assert all(names[name]() for name in homes)


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("azureml.train", "there is no azureml.train: training on Azure"),
        ("azureml.pipeline.core", "there is no azureml.pipeline.core: pipelines run on Azure's clusters"),
        ("azureml.nonsense", "there is no azureml.nonsense: it is not part of what a service has of v1"),
        ("azureml.core.experiment.x", "azureml.core.experiment has no x in a service; it has: Experiment, ViewType"),
    ],
)
def test_a_module_that_is_not_there_says_why(module: str, expected: str) -> None:
    with pytest.raises(ImportError) as caught:
        import_hook.AbsentFinder().find_spec(module, None)
    assert str(caught.value).startswith(expected)
    # Python drops an error about a name after `from` that carries the name.
    assert caught.value.name == (None if module.startswith("azureml.core") else module)


def test_modules_of_others_are_not_the_finders() -> None:
    assert import_hook.AbsentFinder().find_spec("azure.core", None) is None
