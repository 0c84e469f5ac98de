"""Orders that change nothing: refused with a failure that says why. Those that do are tested with real services."""

from __future__ import annotations

from mldeploy_jupyter.core.records import DeploymentRecord
from mldeploy_jupyter.deployment.files import cancel_path
from tests.unit.panel.conftest import Site


def test_a_cancel_ends_its_own_deployment_and_no_other(site: Site) -> None:
    site.end(site.begin(), "failed", cause={"what": "x"})
    site.begin("d2")
    assert site.ask("deployment.cancel", deployment="d1") == {
        "cancelled": False,
        "text": "The deployment of churn has ended already.",
    }
    assert not cancel_path(site.folder, "d2").exists()
    assert site.ask("deployment.cancel", deployment="d2")["cancelled"] is True
    assert cancel_path(site.folder, "d2").exists()
    record = site.store.get_deployment("d2")
    assert record is not None and record.cancel


def test_only_the_last_deployment_of_a_service_is_tried_again(site: Site) -> None:
    site.end(site.begin(), "failed", cause={"what": "x"})
    site.begin("d2")
    failure = site.refuse("deployment.retry", deployment="d1")
    assert (failure["error"], failure["cause"]) == (
        "the deployment d1 cannot be tried again",
        "churn was deployed again since",
    )
    assert site.refuse("deployment.retry", deployment="d2")["cause"] == "it still runs"
    site.store.update_deployment("d2", state="live")
    assert site.refuse("deployment.retry", deployment="d2")["cause"] == "it became live"
    assert site.refuse("deployment.retry", deployment="d9")["code"] == "not-found"


def test_a_deletion_wants_the_name(site: Site) -> None:
    site.end(site.begin(), "failed", cause={"what": "x"})
    failure = site.refuse("service.delete", service="churn", confirm="chrun")
    assert (failure["field"], failure["cause"]) == ("confirm", "'chrun' is not its name")
    assert site.store.get_service("churn") is not None
    assert site.ask("service.delete", service="churn", confirm="churn") == {
        "text": "Deleted churn. Its models stay registered.",
        "left": [],
    }
    assert site.refuse("service.describe", service="churn")["code"] == "not-found"


def test_orders_for_a_service_that_is_not_there(site: Site) -> None:
    for name, params in {
        "service.scale": {"workers": 2},
        "service.rollback": {},
        "service.reload": {},
        "service.restart": {},
        "service.stop": {},
        "service.start": {},
        "service.regenKey": {"key": "primary"},
    }.items():
        failure = site.refuse(name, service="churn", **params)
        assert "churn" in failure["error"] and failure["hint"], name


def test_a_deployment_under_way_refuses_another(site: Site) -> None:
    site.end(site.begin(), "live")
    site.begin("d2", operation="update")
    failure = site.refuse("service.scale", service="churn", workers=2)
    assert failure["code"] == "in-progress"
    assert site.store.get_deployment("d2") == site.store.list_deployments("churn", 1)[0]


def test_a_retry_that_cannot_begin_changes_nothing(site: Site) -> None:
    request = {"service": "churn", "target": "nowhere", "deploy_config": {"compute_type": "ACI", "passed": {}}}
    site.store.add_deployment(DeploymentRecord("d1", "churn", "aci", state="failed", request=request))
    failure = site.refuse("deployment.retry", deployment="d1")
    assert failure["code"] == "target-not-available"
    assert [record.id for record in site.store.list_deployments("churn")] == ["d1"]
