"""A first deployment's supervisor is there before its runner is, and goes with a deployment that fails."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mldeploy_jupyter.core.records import DeploymentRecord, DeploymentRequest
from mldeploy_jupyter.deployment import prewarm
from mldeploy_jupyter.deployment.files import PREWARM_FILE
from mldeploy_jupyter.targets.supervisor_client import SupervisorClient
from tests.polling import wait_until

from .conftest import Site


def record_of(site: Site, **changed: Any) -> DeploymentRecord:
    script = str(site.folder / "score.py")
    inference = {"entry_script": "score.py", "entry_path": script, **changed.pop("inference_config", {})}
    request = DeploymentRequest(
        "svc", "local", **{"operation": "deploy", "inference_config": inference, "kernel_python": "python", **changed}
    )
    (site.ws.folder.deployments / "d1").mkdir(parents=True, exist_ok=True)
    (site.ws.folder.deployments / "d1" / "request.json").write_text(json.dumps(request.to_dict()))
    return DeploymentRecord("d1", "svc", "local", request=request.to_dict())


def test_the_caller_starts_the_supervisor_and_it_imports_the_scripts_modules(site: Site) -> None:
    site.write("import colorsys\n\ndef init():\n    pass\n\ndef run(data):\n    return colorsys.rgb_to_hsv(1, 0, 0)\n")
    service = site.deploy()
    service.wait_for_deployment(timeout_sec=240)
    ahead = json.loads((service.journal.parent / PREWARM_FILE).read_text())
    supervisor = SupervisorClient(site.ws.folder.services / "svc")
    assert ahead["pid"] == (supervisor.find_process() or {})["pid"]
    status = supervisor.call("status")
    assert status["workers"][0]["forked"] and status["forking"]["forking"]
    assert service.run({}) == [0.0, 1.0, 1]
    site.script(2)
    again = site.deploy()
    again.wait_for_deployment(timeout_sec=240)
    assert not (again.journal.parent / PREWARM_FILE).exists()


def test_the_supervisor_is_stopped_when_the_deployment_fails(site: Site) -> None:
    folder = site.ws.folder
    assert prewarm.start_prewarm(folder, record_of(site), {}) is not None
    ahead = prewarm.find_prewarm(folder, "d1")
    assert ahead is not None
    with pytest.raises(ValueError, match="of the deployment"), ahead:
        raise ValueError("of the deployment")
    assert SupervisorClient(folder.services / "svc").find_process() is None
    wait_until(lambda: site.processes() == [], what=lambda: f"{site.processes()}")


def test_a_supervisor_that_never_starts_is_not_waited_for(site: Site) -> None:
    ahead = prewarm.Prewarm(SupervisorClient(site.folder / "nothing"), {"pid": 0, "started": "1", "host": "another"})
    ahead.wait_until_ready(clock=iter([0.0, 0.0, 100.0]).__next__, wait=lambda _: None)


@pytest.mark.parametrize(
    ("changed", "secrets"),
    [
        ({"operation": "update"}, {}),
        ({"target": "aci"}, {}),
        ({"deploy_config": {"compute_type": "Local", "passed": {"port": 8080}}}, {}),
        ({"inference_config": {"environment": {"name": "e"}}}, {}),
        ({}, {"primary_key": "x" * 32}),
    ],
    ids=["update", "target", "port", "environment", "keys"],
)
def test_other_deployments_are_not_prewarmed(site: Site, changed: dict[str, Any], secrets: dict[str, str]) -> None:
    target = changed.pop("target", "local")
    record = record_of(site, **changed)
    record.request["target"] = target
    assert prewarm.start_prewarm(site.ws.folder, record, secrets) is None
    assert site.processes() == []
