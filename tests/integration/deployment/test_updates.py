"""Updates and rollbacks: what they change, what they leave, and who completes them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
import requests

from mldeploy_jupyter import (
    AciWebservice,
    InferenceConfig,
    LocalWebservice,
    Model,
    Webservice,
)
from mldeploy_jupyter.core.errors import (
    DeploymentCancelled,
    DeploymentFailed,
    DeploymentInProgress,
    UserErrorException,
    WebserviceException,
)
from tests.polling import wait_until

from .conftest import BROKEN, SLOW, Site, ask, gated, live, supervisor_pid, update, wait_until_loading


def test_cancelling_an_update_leaves_the_old_revision(site: Site) -> None:
    service = live(site)
    site.write(SLOW)
    service.reload()
    wait_until_loading(site)
    service.cancel()
    with pytest.raises(DeploymentCancelled) as error:
        service.wait_for_deployment(timeout_sec=240)
    assert "revision 1 still serves" in error.value.why
    assert service.run({})["answer"] == 1


def test_update_reload_and_rollback_make_revisions(site: Site) -> None:
    (site.folder / "a.txt").write_text("a")
    (site.folder / "b.txt").write_text("b")
    site.write(
        "import os\nfrom pathlib import Path\n\ndef init():\n    global text\n"
        "    text = ' '.join(sorted(p.read_text() for p in Path(os.environ['AZUREML_MODEL_DIR']).rglob('*.txt')))\n\n"
        "def run(data):\n    return text\n"
    )
    first = Model.register(site.ws, str(site.folder / "a.txt"), "letters")
    second = Model.register(site.ws, str(site.folder / "b.txt"), "letters")
    service = site.deploy(models=[first])
    assert service.run({}) == "a"

    site.write("def init(): raise SystemError('not asked for')\ndef run(data): return 1\n")
    service.update(models=[second])  # the script on disk changed, the live one is kept
    assert (service.run({}), service.models) == ("b", ["letters:2"])

    service.update(auth_enabled=False)
    assert service.auth_enabled is True  # still the old revision: the update has only begun
    assert requests.post(service.scoring_uri, json={}, timeout=60).json() == "b"
    assert service.auth_enabled is False

    port = service.port
    site.script(5)
    service.update(
        inference_config=InferenceConfig(entry_script=str(site.folder / "score.py")),
        deployment_config=LocalWebservice.deploy_configuration(auth_enabled=True, tags={"team": "red"}),
        wait=True,
    )
    assert (service.run({})["answer"], service.port, service.tags) == (5, port, {"team": "red"})
    service.update(description="five")  # texts make no revision
    assert (service.description, service.revision) == ("five", 4)
    assert requests.post(service.scoring_uri, json={}, timeout=60).status_code == 401


def test_metadata_outlives_the_revisions(site: Site) -> None:
    first: dict[str, object] = {"tags": {"a": "1"}, "description": "first", "properties": {"p": "1"}}
    service = site.deploy(**first)
    service.run({})
    service.update(tags={"owner": "ann"}, description="second")
    service.add_properties({"q": "2"})
    now = ({"owner": "ann"}, "second", {"p": "1", "q": "2"})
    service.reload(wait=True)
    assert (service.tags, service.description, service.properties) == now
    service.update(auth_enabled=False, wait=True)
    service.rollback(1, wait=True)
    assert (service.tags, service.description, service.properties) == now
    with pytest.raises(UserErrorException, match="the property p of"):
        service.update(scoring_timeout_ms=1000, properties={"p": "2"})
    service.update(scoring_timeout_ms=1000, tags={"b": "2"}, description="", wait=True)
    assert (service.tags, service.description, service.revision) == ({"b": "2"}, None, 5)


def test_metadata_changes_when_a_deployment_begins_and_an_overwrite_replaces_it(site: Site) -> None:
    service = site.deploy(tags={"a": "1"}, properties={"p": "1"})
    assert (service.tags, service.properties) == ({"a": "1"}, {"p": "1"})
    service.add_tags({"during": "1"})
    with pytest.raises(UserErrorException, match="the property p of"):
        service.add_properties({"p": "2"})
    service.wait_for_deployment()
    assert (service.tags, service.properties) == ({"a": "1", "during": "1"}, {"p": "1"})
    service = site.deploy(properties={"p": "other"}, description="new")
    service.wait_for_deployment()
    assert (service.tags, service.properties, service.description) == ({}, {"p": "other"}, "new")


def test_update_refuses_what_it_cannot_do(site: Site) -> None:
    service = live(site)
    with pytest.raises(UserErrorException, match="nothing to update"):
        service.update()
    with pytest.raises(UserErrorException, match="with an image"):
        service.update(image_config=object())
    with pytest.raises(UserErrorException, match="another target"):
        service.update(deployment_config=AciWebservice.deploy_configuration())
    with pytest.raises(UserErrorException, match="must be a list"):
        service.update(models="letters")  # type: ignore[arg-type]
    assert [r["outcome"] for r in service.revisions] == ["live"]


def test_rolling_back_goes_one_further_back_each_time(site: Site) -> None:
    service = live(site)
    for answer in (2, 3):
        site.script(answer)
        service.reload(wait=True)
    service.rollback()
    assert service.run({})["answer"] == 2
    service.rollback()
    assert service.run({})["answer"] == 1
    with pytest.raises(WebserviceException, match="no revision older than 1"):
        service.rollback()
    service.rollback(revision=3)
    assert service.run({})["answer"] == 3
    with pytest.raises(WebserviceException, match="no revision 99"):
        service.rollback(revision=99)


@pytest.mark.parametrize("good", [True, False], ids=["one that comes up", "one that fails"])
def test_an_update_whose_caller_dies_is_finished_by_the_supervisor(site: Site, good: bool) -> None:
    service = live(site)
    gate = gated(site, then="pass" if good else "raise ValueError('late')")
    code = "from mldeploy_jupyter import *; Webservice(Workspace.get(path='.'), 'svc').reload(wait=True)"
    caller = subprocess.Popen([sys.executable, "-c", code], cwd=site.folder, start_new_session=True)
    wait_until_loading(site)
    os.killpg(caller.pid, signal.SIGKILL)
    caller.wait()
    found = Webservice(site.ws, "svc")
    assert found.state == "Transitioning"
    with pytest.raises(DeploymentInProgress, match="being changed"):
        site.deploy()
    gate.touch()
    if good:
        found.wait_for_deployment(timeout_sec=240)
        assert (found.run({}), found.revision) == ({"answer": 2}, 2)
    else:
        with pytest.raises(DeploymentFailed, match="init"):
            found.wait_for_deployment(timeout_sec=240)
        assert (found.run({})["answer"], found.revision, found.state) == (1, 1, "Healthy")
    assert service.revision == found.revision


def test_an_update_goes_on_when_the_script_that_began_it_has_ended(site: Site) -> None:
    service = live(site)
    site.script(2)
    code = "from mldeploy_jupyter import *; Webservice(Workspace.get(path='.'), 'svc').reload()"
    subprocess.run([sys.executable, "-c", code], cwd=site.folder, check=True, timeout=60)
    service.wait_for_deployment(timeout_sec=240)
    assert (service.run({})["answer"], service.revision) == (2, 2)


def test_a_failed_update_of_a_stopped_service_leaves_it_stopped_and_able_to_start(site: Site) -> None:
    service = live(site)
    service.stop()
    site.write(BROKEN)
    with pytest.raises(DeploymentFailed):
        update(site, service, wait=True)
    assert service.state == "Stopped"
    wait_until(lambda: site.processes() == [], what=lambda: str(site.processes()))  # the runner ends a moment later
    service.start()
    assert (service.state, ask(service)) == ("Healthy", 1)


def test_a_failed_update_after_a_crash_brings_the_old_revision_back(site: Site) -> None:
    service = live(site)
    os.kill(supervisor_pid(site), signal.SIGKILL)
    wait_until(lambda: service.state == "Unhealthy", what=lambda: service.state)
    site.write(BROKEN)
    with pytest.raises(DeploymentFailed):
        update(site, service, wait=True)
    wait_until(lambda: service.state == "Healthy", what=lambda: service.state)
    assert ask(service) == 1
