"""Every public member of v1's classes that are offered works here, or says why it does not and what to write.

`v1_members.json` has the names of each class in the last release of v1, its objects' attributes included.
"""

from __future__ import annotations

import json
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.api.azure_names import AzureOnlyAttribute
from mldeploy_jupyter.api.models import Model
from mldeploy_jupyter.api.models.profile import ModelProfile
from mldeploy_jupyter.api.runs import Experiment
from mldeploy_jupyter.api.webservices import Webservice
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.azureml import migrate
from mldeploy_jupyter.azureml.v1_modules import _HOMES
from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.core.files import write_json
from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.deployment import packages

MEMBERS: dict[str, str] = json.loads((Path(__file__).with_name("v1_members.json")).read_text())

SERVICES = {"AciWebservice": "ACI", "AksEndpoint": "AKSENDPOINT", "AksWebservice": "AKS", "LocalWebservice": "Local"}

INTERNAL = {"DELIM", "EXPERIMENT_ID_PATH", "EXPERIMENT_NAME_PATH", "TID_FMT", "WORKSPACE_FMT"}  # parts of addresses


def find_class(name: str) -> Any:
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(import_module(module), attribute)


@pytest.fixture
def ws(folder: Path) -> Workspace:
    migrate(local=True, quiet=True)
    return Workspace.create("w", path=str(folder))


def make(name: str, ws: Workspace) -> Any:
    """An object of the class."""
    kind = find_class(name)
    if name in SERVICES or name == "Webservice":
        ws.folder.open_store().save_service(ServiceRecord("svc", compute_type=SERVICES.get(name, "Local")))
        return Webservice(ws, "svc")
    if name.endswith("Compute") or name in ("ComputeInstance", "ComputeTarget"):
        return kind(ws, "c")
    if name.endswith("Exception"):
        return kind("it failed")
    if name == "Model":
        Path("model.pkl").write_bytes(b"1")
        return Model.register(ws, "model.pkl", "m")
    if name == "Run":
        return Experiment(ws, "e").start_logging()
    if name == "ContainerImage":
        return kind.create(ws, "image", [], kind.image_configuration(write_script(), "python"))
    if name == "ModelPackage":
        path = packages.package_folder(ws.folder, "20260101000000-abcdef")
        path.mkdir(parents=True)
        write_json(path / packages.RECORD, {"state": "Succeeded"})
        return kind(ws, path.name)
    if name == "ModelProfile":
        profile = ModelProfile.__new__(ModelProfile)
        profile.get_details = dict  # type: ignore[method-assign]
        profile.workspace, profile.name, profile.description, profile.created_time = ws, "p", None, ""
        profile._thread, profile._error = threading.Thread(), None
        return profile
    if name.endswith("DeploymentConfiguration"):
        service = {"AksEndpoint": "AksEndpoint", "Aks": "AksWebservice", "Aci": "AciWebservice"}
        found = next((found for start, found in service.items() if name.startswith(start)), "LocalWebservice")
        return find_class(found).deploy_configuration()
    arguments = {"Environment": ("e",), "Experiment": (ws, "e"), "InferenceConfig": (write_script(),)}
    return ws if name == "Workspace" else kind(*arguments.get(name, ()))


def write_script() -> str:
    Path("score.py").write_text("def init(): pass\ndef run(data): return data\n")
    return "score.py"


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_each_member_works_or_says_why_not(ws: Workspace, name: str) -> None:
    made, bare = make(name, ws), []
    for member in set(MEMBERS[name].split()) - INTERNAL:
        try:
            getattr(made, member)
        except MldeployError as error:
            assert error.why and error.hint, member
        except AttributeError:
            bare.append(member)
    assert sorted(bare) == []


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("Workspace", "DEFAULT_CPU_CLUSTER_NAME"),
        ("CondaDependencies", "sdk_origin_url"),
        ("Model", "_get_model_path_remote"),
    ],
)
def test_a_class_says_it_too(name: str, member: str) -> None:
    with pytest.raises(AzureOnlyAttribute, match=f"{name}.{member}"):
        getattr(find_class(name), member)


def test_runs_of_an_experiment_are_listed_by_the_class_of_runs(ws: Workspace) -> None:
    run = Experiment(ws, "e").start_logging()
    assert [found.id for found in find_class("Run").list(Experiment(ws, "e"))] == [run.id]
    assert (run.type, run.description) == (None, None)
