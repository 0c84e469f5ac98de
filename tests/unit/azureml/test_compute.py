"""v1's compute targets: refused without `migrate(local=True)`, stand-ins with it."""

from __future__ import annotations

import inspect
import pickle
from types import SimpleNamespace
from typing import Any

import pytest

from mldeploy_jupyter.azureml import compute, migrate
from mldeploy_jupyter.azureml.compute import AksCompute, AmlCompute, ComputeInstance, ComputeTarget
from mldeploy_jupyter.core.errors import TargetNotAvailable

WS = SimpleNamespace(name="ws")
KINDS = [kind for kind in vars(compute).values() if isinstance(kind, type) and issubclass(kind, ComputeTarget)]


@pytest.fixture
def local() -> None:
    migrate(local=True, quiet=True)


@pytest.mark.parametrize("kind", KINDS)
def test_without_local_every_use_is_refused(migrated: None, kind: Any) -> None:
    for use in (
        lambda: kind(WS, "c"),
        lambda: kind.provisioning_configuration(vm_size="x"),
        lambda: kind.attach_configuration(resource_group="g"),
        lambda: kind.create(WS, "c", None),
        lambda: kind.list(WS),
    ):
        with pytest.raises(TargetNotAvailable, match=f"{kind.__name__}.* is not in this version"):
            use()
    assert inspect.getdoc(kind) and inspect.getmembers(kind) and pickle.loads(pickle.dumps(kind)) is kind


def test_the_refusal_of_a_cluster_names_migrate_local(migrated: None) -> None:
    with pytest.raises(TargetNotAvailable) as caught:
        ComputeTarget(workspace=WS, name="aks")
    assert str(caught.value) == (
        "error: ComputeTarget() is not in this version of mldeploy-jupyter\n"
        "cause: this version deploys to this machine only; clusters come later\n"
        "hint: call migrate(local=True) to try the notebook on this machine, or deploy here with "
        "LocalWebservice.deploy_configuration() and leave out deployment_target"
    )


def test_a_cluster_is_provisioned_found_and_deleted(local: None, capsys: pytest.CaptureFixture[str]) -> None:
    settings = AksCompute.provisioning_configuration(
        agent_count=3, cluster_purpose=AksCompute.ClusterPurpose.DEV_TEST, vm_size="Standard_D3_v2"
    )
    settings.enable_ssl(leaf_domain_label="contoso")
    made = ComputeTarget.create(workspace=WS, name="aks", provisioning_configuration=settings)
    made.wait_for_completion(show_output=True)
    assert (settings.vm_size, settings.leaf_domain_label) == ("Standard_D3_v2", "contoso")
    assert type(made) is AksCompute and made.get_status() == made.provisioning_state == "Succeeded"
    assert ComputeTarget(WS, "aks") is made and AksCompute(WS, "aks") is made
    assert AksCompute.list(WS) == [made] and AmlCompute.list(WS) == []
    assert capsys.readouterr().out == (
        "aks: no cluster is made or used, services are deployed to this machine (migrate(local=True)).\nSucceeded\n"
    )
    made.delete()
    assert ComputeTarget.list(WS) == []


def test_a_cluster_that_was_never_made_is_found(local: None) -> None:
    assert isinstance(ComputeTarget(workspace=WS, name="old"), ComputeTarget)
    assert isinstance(AksCompute(WS, "old"), AksCompute)


def test_a_training_cluster_answers_and_says_where_to_train(local: None, capsys: pytest.CaptureFixture[str]) -> None:
    made = ComputeTarget.create(WS, "cpu", AmlCompute.provisioning_configuration(vm_size="S", max_nodes=4))
    made.wait_for_completion(show_output=True, min_node_count=None, timeout_in_minutes=20)
    assert made.get_status().serialize()["provisioningState"] == "Succeeded"
    assert capsys.readouterr().out.startswith(
        "cpu: no cluster is made or used (migrate(local=True)): train in the notebook."
    )
    assert AmlCompute.supported_vmsizes(WS) == made.list_nodes() == []
    ComputeInstance(WS, "box").stop(wait_for_completion=True, show_output=True)


def test_a_stand_in_has_no_credentials(local: None) -> None:
    with pytest.raises(TargetNotAvailable, match="aks has no credentials"):
        AksCompute(WS, "aks").get_credentials()


def test_a_workspace_lists_its_stand_ins(local: None, folder: object) -> None:
    from mldeploy_jupyter.api.workspace import Workspace

    ws = Workspace.create("test")
    made = ComputeTarget.attach(ws, "aks", AksCompute.attach_configuration(resource_group="g", cluster_name="c"))
    assert ws.compute_targets == {"aks": made} and ws.datastores == {}
