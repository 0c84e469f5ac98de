"""Webservices: the names, orders and filters of v1, over records in a real store."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

import mldeploy_jupyter.api.webservices.webservice as module
from mldeploy_jupyter.api.models import Model
from mldeploy_jupyter.api.webservices import deployments
from mldeploy_jupyter.api.webservices.inference_config import InferenceConfig
from mldeploy_jupyter.api.webservices.targets import AciWebservice, AksEndpoint, AksWebservice, LocalWebservice
from mldeploy_jupyter.api.webservices.webservice import Webservice
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import MldeployError, TargetNotAvailable, UserErrorException, WebserviceNotFound
from mldeploy_jupyter.core.records import RevisionRecord, ServiceRecord

TARGETS = {"Local": "local", "ACI": "aci", "AKS": "aks", "AKSENDPOINT": "aks"}


@pytest.fixture
def ws(folder: Path) -> Workspace:
    """A workspace with one service a target."""
    workspace = Workspace.create("test")
    store = workspace.folder.open_store()
    for number, (compute_type, target) in enumerate(TARGETS.items()):
        name = f"on-{compute_type.lower()}"
        record = ServiceRecord(name=name, target=target, compute_type=compute_type, state="Deploying", revision=1)
        store.save_service(record)
        store.add_revision(RevisionRecord(service=name, models=[f"m:{number}"], outcome="live"))
    return workspace


@pytest.fixture
def began(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What reached `begin_update`; the cloud's targets have not landed, so nothing can begin for real."""
    seen: dict[str, Any] = {}

    def begin(workspace: Workspace, name: str, changes: deployments.ServiceUpdate, *, detached: bool) -> Any:
        seen.update({key: value for key, value in vars(changes).items() if value}, detached=detached)
        raise TargetNotAvailable(f"{name} has no target yet", hint="wait for it")

    monkeypatch.setattr(deployments, "begin_update", begin)
    return seen


def names(function: Any) -> str:
    return " ".join(name for name in inspect.signature(function).parameters if name != "self")


def test_the_orders_are_those_of_v1() -> None:
    assert names(AciWebservice.update).startswith(
        "image tags properties description auth_enabled ssl_enabled ssl_cert_pem_file ssl_key_pem_file ssl_cname "
        "enable_app_insights models inference_config "
    )
    assert names(AksWebservice.update).startswith(
        "image autoscale_enabled autoscale_min_replicas autoscale_max_replicas autoscale_refresh_seconds "
        "autoscale_target_utilization collect_model_data auth_enabled cpu_cores memory_gb enable_app_insights "
        "scoring_timeout_ms replica_max_concurrent_requests max_request_wait_time num_replicas tags properties "
        "description models inference_config gpu_cores period_seconds initial_delay_seconds timeout_seconds "
        "success_threshold failure_threshold namespace token_auth_enabled cpu_cores_limit memory_gb_limit "
    )
    assert names(AksEndpoint.update).startswith(
        "auth_enabled token_auth_enabled enable_app_insights description tags properties "
    )
    assert names(LocalWebservice.update).startswith("models image_config deployment_config wait inference_config ")
    assert names(LocalWebservice) == "workspace name must_exist"
    assert names(LocalWebservice.list) == "workspace model_name model_id all"
    endpoint = names(AksEndpoint.deploy_configuration)
    assert "token_auth_enabled version_name traffic_percentile compute_target_name" in endpoint
    assert set(endpoint.split()) - {"version_name", "traffic_percentile"} == set(
        names(AksWebservice.deploy_configuration).split()
    )


def test_a_service_is_of_the_class_of_its_target(ws: Workspace) -> None:
    found = {service.name: type(service) for service in Webservice.list(ws)}
    assert found == {
        "on-local": LocalWebservice,
        "on-aci": AciWebservice,
        "on-aks": AksWebservice,
        "on-aksendpoint": AksEndpoint,
    }
    with pytest.raises(WebserviceNotFound, match="it runs on ACI"):
        LocalWebservice(ws, "on-aci")
    for look in (lambda: Webservice(None, "on-aci"), lambda: Webservice.list(None)):  # type: ignore[arg-type]
        with pytest.raises(UserErrorException, match="workspace is None"):
            look()
    with pytest.raises(AttributeError):
        module.IotWebservice  # noqa: B018


def test_each_class_lists_its_own(ws: Workspace) -> None:
    def listed(cls: Any, *args: Any, **kwargs: Any) -> list[str]:
        return [service.name for service in cls.list(ws, *args, **kwargs)]

    assert len(listed(Webservice)) == 4
    assert listed(AciWebservice) == ["on-aci"] and listed(AciWebservice, "AKS") == []
    assert listed(AksWebservice) == ["on-aks"] and listed(AksEndpoint) == ["on-aksendpoint"]
    assert listed(LocalWebservice) == listed(LocalWebservice, "m") == listed(LocalWebservice, None, "m:0")
    assert listed(LocalWebservice, "other") == []
    assert listed(LocalWebservice) == ["on-local"]
    ws.folder.open_store().update_service("on-local", state="Failed", revision=0)
    assert listed(LocalWebservice) == [] and listed(LocalWebservice, all=True) == ["on-local"]


def test_update_by_position_passes_each_value_under_its_name(ws: Workspace, began: dict[str, Any]) -> None:
    with pytest.raises(TargetNotAvailable):
        Webservice(ws, "on-aci").update(None, {"a": "b"}, None, "text", False, models=["m:1"])  # type: ignore[arg-type]
    assert began == {
        "models": ["m:1"],
        "settings": {"auth_enabled": False},
        "metadata": {"tags": {"a": "b"}, "description": "text"},
        "detached": True,
    }
    began.clear()
    with pytest.raises(TargetNotAvailable):
        Webservice(ws, "on-aks").update(None, False, num_replicas=2, detached=True)  # type: ignore[arg-type]
    assert began == {"settings": {"autoscale_enabled": False, "num_replicas": 2}, "detached": True}
    began.clear()
    with pytest.raises(TargetNotAvailable):
        Webservice(ws, "on-aksendpoint").update(True)  # type: ignore[arg-type]
    assert began["settings"] == {"auth_enabled": True}


def test_what_update_cannot_take_is_named(ws: Workspace) -> None:
    with pytest.raises(UserErrorException, match="unexpected keyword argument 'cpu_cores'"):
        Webservice(ws, "on-aci").update(cpu_cores=2)
    with pytest.raises(UserErrorException, match="with an image is not supported"):
        Webservice(ws, "on-aks").update("image")  # type: ignore[arg-type]
    with pytest.raises(UserErrorException, match="nothing to update in on-aci"):
        Webservice(ws, "on-aci").update()


def test_texts_alone_need_no_deployment(ws: Workspace) -> None:
    service = Webservice(ws, "on-aci")
    service.update(tags={"a": "b"}, properties={"p": "q"})
    service.add_properties({"r": "s"})
    assert (service.tags, service.properties) == ({"a": "b"}, {"p": "q", "r": "s"})
    for change in (service.add_properties, lambda properties: service.update(properties=properties)):
        change({"p": "q"})
        with pytest.raises(UserErrorException, match="the property p of on-aci is 'q' already"):
            change({"p": "x", "new": 1})
    service.add_tags({"c": "d", "ca": "e"})
    service.remove_tags(["c", "not there"])
    assert (service.tags, service.properties) == ({"a": "b", "ca": "e"}, {"p": "q", "r": "s"})


@pytest.mark.parametrize(
    ("method", "arguments", "match"),
    [
        ("update", {"tags": ["a"]}, "it must be a dict, not list"),
        ("update", {"tags": "abc"}, "it must be a dict, not str"),
        ("update", {"properties": {1: 2}}, "keys must be strings"),
        ("update", {"description": 5}, "it must be a string, not int"),
        ("add_tags", {"tags": {"k": object()}}, "cannot be kept"),
        ("add_properties", {"properties": ["p"]}, "it must be a dict, not list"),
        ("remove_tags", {"tags": "abc"}, "it must be a list of keys"),
        ("remove_tags", {"tags": None}, "it must be a list of keys"),
        ("remove_tags", {"tags": [1]}, "it must be a list of keys"),
    ],
)
def test_texts_that_cannot_be_kept_change_nothing(
    ws: Workspace, method: str, arguments: dict[str, Any], match: str
) -> None:
    service = Webservice(ws, "on-aci")
    service.add_tags({"a": "b"})
    with pytest.raises(MldeployError, match=match):
        getattr(service, method)(**arguments)
    assert (service.tags, service.properties, service.description) == ({"a": "b"}, {}, None)


def test_looking_makes_no_workspace(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "config.json").write_text('{"subscription_id": "s", "resource_group": "g", "workspace_name": "w"}')
    ws = Workspace.from_config()
    assert Webservice.list(ws) == []
    later = LocalWebservice(ws, "abc", must_exist=False)
    later.delete()
    for look in (
        lambda: Webservice(ws, "abc"),
        lambda: later.state,
        lambda: Webservice.deserialize(ws, {"name": "abc"}),
    ):
        with pytest.raises(WebserviceNotFound, match="there is no service 'abc'"):
            look()
    with pytest.raises(UserErrorException, match="there is no model 'nope'"):
        Model.deploy(ws, "abc", ["nope"], None)
    with pytest.raises(MldeployError):
        Model.register(ws, "/dev/null", "m")
    assert [path.name for path in folder.iterdir()] == ["config.json"]
    assert capsys.readouterr().out == "there is no service abc: nothing to delete\n"


def test_there_are_no_images(ws: Workspace) -> None:
    service = Webservice(ws, "on-local")
    assert (service.image, service.image_id, service.image_digest) == (None, None, None)


def test_deserialize_looks_the_service_up(ws: Workspace) -> None:
    service = Webservice.deserialize(ws, Webservice(ws, "on-local").serialize())
    assert isinstance(service, LocalWebservice) and service.name == "on-local"
    with pytest.raises(UserErrorException, match="does not describe a service"):
        Webservice.deserialize(ws, {})


def test_a_local_service_need_not_exist(ws: Workspace) -> None:
    service = LocalWebservice(ws, "later", must_exist=False)
    assert repr(service) == "LocalWebservice(name='later', not deployed)"
    with pytest.raises(WebserviceNotFound):
        service.state  # noqa: B018
    with pytest.raises(WebserviceNotFound):
        LocalWebservice(ws, "later")
    ws.folder.open_store().save_service(
        ServiceRecord(name="later", target="local", compute_type="Local", deployment_id="d")
    )
    assert (service.state, service.deployment_id) == ("Transitioning", "d")


def test_run_takes_one_input_under_either_name(ws: Workspace) -> None:
    service = Webservice(ws, "on-local")
    for arguments in ({}, {"input_data": 1, "input": 2}):
        with pytest.raises(UserErrorException, match=r"run\(\) needs one input"):
            service.run(**arguments)


@pytest.mark.parametrize("call", ["create_version", "update_version", "delete_version"])
def test_versions_of_an_endpoint_are_not_in_this_version(ws: Workspace, call: str) -> None:
    with pytest.raises(TargetNotAvailable, match=f"AksEndpoint.{call} is not in this version"):
        getattr(Webservice(ws, "on-aksendpoint"), call)("v1")


def test_deploy_to_cloud_names_the_target(ws: Workspace) -> None:
    local = LocalWebservice(ws, "on-local")
    with pytest.raises(MldeployError, match="it needs the target AKS"):
        local.deploy_to_cloud("churn", AksWebservice.deploy_configuration())
    with pytest.raises(MldeployError, match="it needs the target ACI"):
        local.deploy_to_cloud()


@pytest.mark.parametrize(
    "call",
    [
        lambda service: service.get_logs(-3),
        lambda service: service.get_logs("x"),
        lambda service: service.get_logs(2.5),
        lambda service: next(service.follow_logs(None)),
        lambda service: service.wait_for_deployment(timeout_sec="x"),
        lambda service: service.wait_for_deployment(timeout_sec=float("nan")),
        lambda service: service.regen_key("Secondary", 5),
        lambda service: service.rollback(0),
        lambda service: service.rollback("1"),
        lambda service: service.update(models=[""]),
        lambda service: Webservice.list(service.workspace, tags=[5]),
        lambda service: Webservice.list(service.workspace, tags=[["t"]]),
        lambda service: Webservice.list(service.workspace, properties=[["t", "1", "2"]]),
    ],
)
def test_an_argument_that_cannot_be_used_is_named(ws: Workspace, call: Any) -> None:
    with pytest.raises(UserErrorException) as caught:
        call(Webservice(ws, "on-local"))
    assert caught.value.what and caught.value.why and caught.value.hint


def test_the_filters_are_those_of_models(ws: Workspace) -> None:
    ws.folder.open_store().update_service("on-aci", tags={"t": "1", "n": 0.9})
    for tags in (["t"], [["t", 1]], {"t": 1}, [("n", "0.9"), "t"]):
        assert [service.name for service in Webservice.list(ws, tags=tags)] == ["on-aci"]
    assert Webservice.list(ws, tags={"t": "2"}) == []


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
