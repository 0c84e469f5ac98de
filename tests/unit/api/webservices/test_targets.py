"""The class of each target: the orders of v1's parameters, its own list, what needs another target."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import pytest

from mldeploy_jupyter.api.webservices import (
    AciWebservice,
    AksEndpoint,
    AksWebservice,
    LocalWebservice,
    Webservice,
    deployments,
)
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import MldeployError, TargetNotAvailable, UserErrorException, WebserviceNotFound
from mldeploy_jupyter.core.records import ServiceRecord


@pytest.fixture
def began(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What reached `begin_update`; the cloud's targets have not landed, so nothing can begin for real."""
    seen: dict[str, Any] = {}

    def begin(workspace: Workspace, name: str, changes: deployments.ServiceUpdate, *, detached: bool) -> Any:
        seen.update({key: value for key, value in vars(changes).items() if value}, detached=detached)
        raise TargetNotAvailable(f"{name} has no target yet", hint="wait for it")

    monkeypatch.setattr(deployments, "begin_update", begin)
    monkeypatch.delattr(sys, "ps1", raising=False)  # an interactive shell, such as IPython's, does not detach
    return seen


def names(function: Any) -> str:
    return " ".join(name for name in inspect.signature(function).parameters if name != "self")


def test_parameters_have_the_order_of_v1() -> None:
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
    for call in (lambda: Webservice(None, "on-aci"), lambda: Webservice.list(None)):  # type: ignore[arg-type]
        with pytest.raises(UserErrorException, match="workspace is None"):
            call()


def test_each_class_lists_its_own_services(ws: Workspace) -> None:
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


def test_update_refuses_unknown_parameters_images_and_no_change(ws: Workspace) -> None:
    with pytest.raises(UserErrorException, match="unexpected keyword argument 'cpu_cores'"):
        Webservice(ws, "on-aci").update(cpu_cores=2)
    with pytest.raises(UserErrorException, match="with an image is not supported"):
        Webservice(ws, "on-aks").update("image")  # type: ignore[arg-type]
    with pytest.raises(UserErrorException, match="nothing to update in on-aci"):
        Webservice(ws, "on-aci").update()


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
    # No deployment of that id is under way.
    assert (service.state, service.deployment_id) == ("Failed", "d")


@pytest.mark.parametrize("call", ["create_version", "update_version", "delete_version"])
def test_endpoint_versions_are_not_available(ws: Workspace, call: str) -> None:
    with pytest.raises(TargetNotAvailable, match=f"AksEndpoint.{call} is not in this version"):
        getattr(Webservice(ws, "on-aksendpoint"), call)("v1")


def test_deploy_to_cloud_names_the_target(ws: Workspace) -> None:
    local = LocalWebservice(ws, "on-local")
    with pytest.raises(MldeployError, match="it needs the target AKS"):
        local.deploy_to_cloud("churn", AksWebservice.deploy_configuration())
    with pytest.raises(MldeployError, match="it needs the target ACI"):
        local.deploy_to_cloud()
