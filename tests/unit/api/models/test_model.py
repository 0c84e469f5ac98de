"""`Model`: its signatures, attributes and changes."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mldeploy_jupyter.api.models import Model, ResourceConfiguration
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import (
    MldeployError,
    ModelInUse,
    ModelNotFoundException,
    TargetNotAvailable,
    UserErrorException,
    WebserviceException,
)
from mldeploy_jupyter.core.records import RevisionRecord, ServiceRecord

from .conftest import CollectErrors


def test_the_signatures_are_those_of_v1() -> None:
    def names(function: object) -> str:
        return " ".join(inspect.signature(function).parameters)  # type: ignore[arg-type]

    assert names(Model.register) == (
        "workspace model_path model_name tags properties description datasets model_framework model_framework_version "
        "child_paths sample_input_dataset sample_output_dataset resource_configuration"
    )
    assert names(Model) == "workspace name id tags properties version run_id model_framework expand"
    assert names(Model.list) == (
        "workspace name tags properties run_id latest dataset_id expand page_count model_framework"
    )
    assert names(Model.get_model_path) == "model_name version _workspace"
    assert names(Model.download) == "self target_dir exist_ok exists_ok"
    assert names(Model.deploy) == (
        "workspace name models inference_config deployment_config deployment_target overwrite show_output"
    )


def test_the_attributes_of_a_registered_file(ws: Workspace) -> None:
    model = Model.register(
        workspace=ws,
        model_path="m.pkl",
        model_name="sklearn_regression_model.pkl",
        tags={"area": "diabetes", "pair": (1, 2)},
        properties={"p": "1"},
        description="Ridge",
        model_framework=Model.Framework.SCIKITLEARN,
        model_framework_version="1.5",
        resource_configuration=ResourceConfiguration(cpu=1, memory_in_gb=0.5),
        datasets=[("training", "diabetes")],
        sample_input_dataset="in",
    )
    assert (model.name, model.version, model.id) == (
        "sklearn_regression_model.pkl",
        1,
        "sklearn_regression_model.pkl:1",
    )
    assert model.tags == {"area": "diabetes", "pair": [1, 2]}
    assert model.files == ["m.pkl"] and model.size == 5 and len(model.digest) == 64
    assert abs((datetime.now(UTC) - model.created_time).total_seconds()) < 60
    assert model.datasets == {"training": ["diabetes"]}
    assert model.resource_configuration == ResourceConfiguration(1, 0.5)
    assert model.url == "aml://asset/sklearn_regression_model.pkl:1"
    data = json.loads(json.dumps(model.serialize()))
    assert data["framework"] == "ScikitLearn" and data["sampleInputDatasetId"] == "in"
    assert Model(ws, "sklearn_regression_model.pkl").serialize() == model.serialize()
    with pytest.raises(AttributeError):
        model.version = 2  # type: ignore[misc]


def test_tags_properties_and_description_change(ws: Workspace) -> None:
    model = Model.register(ws, "m.pkl", "m", tags={"a": 1}, properties={"p": 1}, description="d")
    Model(ws, "m").add_tags({"from": "elsewhere"})
    model.add_tags({"b": 2})
    assert model.tags == Model(ws, "m").tags == {"a": 1, "from": "elsewhere", "b": 2}
    model.remove_tags(["a", "nope", "from"])
    model.add_properties({"q": 2})
    model.update(tags={"c": 3}, description="new", resource_configuration=ResourceConfiguration(gpu=1))
    found = Model(ws, "m")
    assert (found.tags, found.properties, found.description) == ({"c": 3}, {"p": 1, "q": 2}, "new")
    found.update(tags={}, description="")
    assert (found.tags, found.description) == ({}, None)
    assert found.resource_configuration == ResourceConfiguration(gpu=1)


def test_delete_is_refused_while_a_service_uses_it(ws: Workspace, snapshot) -> None:
    model, other = Model.register(ws, "m.pkl", "m"), Model.register(ws, "m.pkl", "m")
    store = ws.folder.open_store()
    for name in ("svc", "svc-two"):
        store.save_service(ServiceRecord(name, "local", "Local"))
        store.add_revision(RevisionRecord(name, models=["m:1"]))
    other.delete()
    with pytest.raises(ModelInUse) as caught:
        model.delete()
    assert str(caught.value) == snapshot
    assert Model(ws, "m").id == "m:1"
    store.remove_service("svc")
    store.update_revision("svc-two", 1, outcome="failed")
    model.delete()
    with pytest.raises(ModelNotFoundException):
        model.delete()
    with pytest.raises(ModelNotFoundException):
        Model(ws, "m")
    assert Model.register(ws, "m.pkl", "m").version == 3


def test_deserialize_finds_what_serialize_described(ws: Workspace) -> None:
    model = Model.register(ws, "m.pkl", "m")
    assert Model.deserialize(ws, json.loads(json.dumps(model.serialize()))) == model
    for payload in ({}, "m", None):
        with pytest.raises(UserErrorException, match="does not describe a model"):
            Model.deserialize(ws, payload)  # type: ignore[arg-type]


def test_dataset_references_are_added(ws: Workspace) -> None:
    model = Model.register(ws, "m.pkl", "m", datasets=[("training", "a")])
    model.add_dataset_references([("training", "a"), ("training", "b"), ("inference", "c")])
    assert Model(ws, "m").datasets == {"training": ["a", "b"], "inference": ["c"]}
    with pytest.raises(WebserviceException, match="each entry is a pair"):
        model.add_dataset_references(["a"])


def test_tags_and_properties_in_one_call(ws: Workspace) -> None:
    model = Model.register(ws, "m.pkl", "m", tags={"a": "1", "b": "2"}, properties={"p": "q"})
    model.update_tags_properties(add_tags={"c": "3"}, remove_tags=["a"], add_properties={"r": "s"})
    assert (model.tags, model.properties) == ({"b": "2", "c": "3"}, {"p": "q", "r": "s"})
    with pytest.raises(WebserviceException, match="already has the property"):
        model.update_tags_properties(add_tags={"d": "4"}, add_properties={"p": "x"})
    assert "d" not in Model(ws, "m").tags


def test_the_configuration_is_printed_without_secrets(ws: Workspace, folder: Path) -> None:
    from mldeploy_jupyter.api.webservices import InferenceConfig, LocalWebservice

    (folder / "score.py").write_text("def init():\n    pass\n\n\ndef run(data):\n    return data\n")
    printed: list[str] = []
    settings = LocalWebservice.deploy_configuration(port=8890, primary_key="s3cr3t")
    model = Model.register(ws, "m.pkl", "m")
    Model.print_configuration([model], InferenceConfig("score.py"), settings, None, printed.append)
    assert printed[:3] == ["Models: m:1", "entry_script: score.py", "Target: Local"]
    for wrong in ((None, None), ([model], 3)):
        with pytest.raises(UserErrorException, match="it must be a"):
            Model.print_configuration(*wrong)  # type: ignore[arg-type]
    assert "  port = 8890" in printed and "s3cr3t" not in "".join(printed)


def test_there_are_no_links_into_a_storage_account(ws: Workspace) -> None:
    with pytest.raises(UserErrorException, match=r"model.download\(target_dir\)"):
        Model.register(ws, "m.pkl", "m").get_sas_urls()


def test_refused_changes_and_calls(ws: Workspace, folder: Path, collect_errors: CollectErrors, snapshot) -> None:
    model = Model.register(ws, "m.pkl", "m")
    model.add_properties({"p": 1})
    cases = {
        "no workspace": lambda: Model.register("m.pkl", "m.pkl", "m"),  # type: ignore[arg-type]
        "property twice": lambda: model.add_properties({"p": 2}),
        "remove_tags": lambda: model.remove_tags("a"),  # type: ignore[arg-type]
        "description number": lambda: model.update(description=5),  # type: ignore[arg-type]
        "package": lambda: Model.package(ws, []),
        "profile name": lambda: Model.profile(ws, "", [], None, None),  # type: ignore[arg-type]
        "profile cpu": lambda: Model.profile(ws, "p", [], None, None, cpu=9),  # type: ignore[arg-type]
        "profile memory": lambda: Model.profile(ws, "p", [], None, None, memory_in_gb="1"),  # type: ignore[arg-type]
        "profile input": lambda: Model.profile(ws, "p", [], None, "data"),  # type: ignore[arg-type]
        "profile no script": lambda: Model.profile(ws, "p", [], None),  # type: ignore[arg-type]
    }
    assert collect_errors(cases) == snapshot
    assert issubclass(TargetNotAvailable, WebserviceException) and issubclass(UserErrorException, MldeployError)
