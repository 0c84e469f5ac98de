"""A service moves between process and container, an image is deployed as it is: with a real engine."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mldeploy_jupyter import Environment, InferenceConfig, LocalWebservice, Model, Run, Webservice, Workspace
from mldeploy_jupyter.core.errors import DeploymentFailed, UserErrorException, WebserviceException
from mldeploy_jupyter.deployment.prune import prune_workspace
from tests.engines.docker import RunningEngine

pytestmark = [pytest.mark.engines, pytest.mark.network, pytest.mark.slow]

SCRIPT = "def init():\n    {init}\n\n\ndef run(data):\n    return {answer}\n"


@pytest.fixture
def ws(
    folder: Path, docker_engine: RunningEngine, base_image: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workspace]:
    monkeypatch.setenv("DOCKER_HOST", docker_engine.host)
    workspace = Workspace.create(path=str(folder))
    workspace.update(base_image=base_image)
    yield workspace
    for service in Webservice.list(workspace):
        service.delete()
    images = docker_engine.client().images.list()
    prefix = f"mldeploy-{workspace.folder.id[:8]}/"
    assert not [tag for image in images for tag in image.tags if tag.startswith(prefix)]


def script(init: str = "pass", answer: int = 1) -> InferenceConfig:
    Path("score.py").write_text(SCRIPT.format(init=init, answer=answer))
    return InferenceConfig("score.py")


def test_an_overwrite_moves_a_service_with_its_port_and_keys(ws: Workspace) -> None:
    service = Model.deploy(ws, "svc", [], script())
    service.wait_for_deployment()
    assert isinstance(service, LocalWebservice)
    port, keys = service.port, service.get_keys()
    docker = LocalWebservice.deploy_configuration(engine="docker")
    with pytest.raises(UserErrorException, match="an update cannot move svc"):
        service.update(deployment_config=docker)
    assert (service.image, service.image_id) == (None, None)

    Model.deploy(ws, "svc", [], script(answer=2), docker, overwrite=True).wait_for_deployment()
    assert (service.record.target, service.port, service.get_keys(), service.run("x")) == ("docker", port, keys, 2)
    receipt = service.receipt()
    assert receipt["image_id"] == service.image_id and receipt["lock"] and "httptools==" in receipt["lock_text"]
    assert receipt["sbom"]["bomFormat"] == "CycloneDX"

    script(answer=3)
    service.reload(wait=True)  # it keeps its engine
    assert (service.record.target, service.run("x")) == ("docker", 3)
    assert service.image_id == receipt["image_id"] and service.receipt()["code"]

    with pytest.raises(DeploymentFailed, match="KeyError"):
        process = LocalWebservice.deploy_configuration(engine="process")
        Model.deploy(ws, "svc", [], script("raise KeyError(1)"), process, overwrite=True).wait_for_deployment()
    assert (service.record.target, service.port, service.run("x")) == ("docker", port, 3)  # as before

    Model.deploy(ws, "svc", [], script(answer=4), process, overwrite=True).wait_for_deployment()
    assert (service.record.target, service.port, service.get_keys(), service.run("x")) == ("local", port, keys, 4)


def test_a_packaged_image_is_deployed_as_it_is_and_a_foreign_one_is_refused(
    ws: Workspace, base_image: str, docker_engine: RunningEngine
) -> None:
    package = Model.package(ws, [], script(answer=7), image_name="mldeploy-test-package", image_label=ws.folder.id[:8])
    package.wait_for_creation()
    assert package.state == "Succeeded" and package.receipt()["image"] == package.image_id
    service = Webservice.deploy_from_image(ws, "svc", package)
    service.wait_for_deployment()
    assert (service.run("x"), service.image, service.image_id) == (7, package.location, package.image_id)
    assert service.receipt()["base"] == package.receipt()["base"]

    foreign = Webservice.deploy_from_image(ws, "foreign", base_image)
    with pytest.raises(DeploymentFailed, match="it was not made by mldeploy"):
        foreign.wait_for_deployment()
    service.delete()
    tags = [tag for image in docker_engine.client().images.list() for tag in image.tags]
    assert package.location in tags  # it is the package's, and stays
    docker_engine.client().images.remove(package.location)


def test_auto_says_which_engine_it_took(ws: Workspace) -> None:
    config = LocalWebservice.deploy_configuration(engine="auto")
    service = Model.deploy(ws, "svc", [], script(), config)
    service.wait_for_deployment()
    assert service.record.target == "docker" and "engine docker, chosen by auto" in service.journal.read_text()


def test_a_deployment_tells_the_run_of_its_model_the_image(ws: Workspace) -> None:
    run = Run.get_context(workspace=ws)
    Path("m.txt").write_text("5")
    run.upload_file("m.txt", "m.txt")
    model = run.register_model("m", "m.txt")
    config = LocalWebservice.deploy_configuration(engine="docker")
    service = Model.deploy(ws, "svc", [model], script(), config)
    service.wait_for_deployment()
    assert run.properties["AzureML.DerivedImageName"] == service.image
    service.update(models=[], wait=True)
    assert run.properties["AzureML.DerivedImageName"] != service.image


def test_a_reload_of_a_stopped_service_starts_it_with_the_new_code(ws: Workspace) -> None:
    """As a process does: nothing runs that could take the code, so the service gets a new container."""
    config = LocalWebservice.deploy_configuration(engine="docker")
    service = Model.deploy(ws, "svc", [], script(), config)
    service.wait_for_deployment()
    port = service.port
    service.stop()
    script(answer=2)
    service.reload(wait=True)
    assert (service.state, service.port, service.run("x"), service.receipt().get("code")) == ("Healthy", port, 2, None)

    service.stop()
    script("raise KeyError(1)")
    with pytest.raises(DeploymentFailed, match="KeyError"):
        service.reload(wait=True)
    assert service.state == "Stopped"  # as before


def test_user_managed_packages_are_those_of_the_base_image(ws: Workspace, base_image: str) -> None:
    """Not the caller's: a module that only the base has, and none that only the caller has."""
    Path("score.py").write_text(
        "import importlib.util\n\nimport house\n\n\ndef init():\n    pass\n\n\n"
        "def run(data):\n    return [house.VALUE, importlib.util.find_spec('pytest') is None]\n"
    )
    environment = Environment("own")
    environment.python.user_managed_dependencies = True
    place = "/usr/lib/python3/dist-packages"
    environment.docker.base_dockerfile = f"FROM {base_image}\nRUN mkdir -p {place} && echo VALUE=7 > {place}/house.py\n"
    config = LocalWebservice.deploy_configuration(engine="docker")
    service = Model.deploy(ws, "svc", [], InferenceConfig("score.py", environment=environment), config)
    service.wait_for_deployment()
    assert service.run("x") == [7, True]
    assert "httptools==" in service.receipt()["lock_text"] and "pytest" not in service.receipt()["lock_text"]

    package = Model.package(ws, [], InferenceConfig("score.py", environment=environment), builder="oci")
    with pytest.raises(WebserviceException, match="user_managed_dependencies"):
        package.wait_for_creation()
    environment.python.interpreter_path = sys.executable
    with pytest.raises(DeploymentFailed, match="cannot be chosen in a base image"):
        service.update(inference_config=InferenceConfig("score.py", environment=environment), wait=True)
    assert service.run("x") == [7, True]


def test_a_service_that_the_store_has_lost_is_found_by_its_labels(ws: Workspace, docker_engine: RunningEngine) -> None:
    """With a new store, a stopped service and one that runs reloaded code; a prune keeps what they need."""
    config = LocalWebservice.deploy_configuration(engine="docker", tags={"a": "b"})
    for name in ("svc", "other"):
        Model.deploy(ws, name, [], script(), config).wait_for_deployment()
    service, other = Webservice(ws, "svc"), Webservice(ws, "other")
    script(answer=2)
    other.reload(wait=True)
    service.stop()
    before = {
        one.name: (one.record.revision, one.record.deployment_id, one.image, one.image_id) for one in (service, other)
    }
    keys, tags = service.get_keys(), workspace_tags(ws, docker_engine)
    lost = ws.folder.services / "other" / "container.json"
    lost.unlink()  # the labels are enough
    for file in ws.folder.root.glob("store.db*"):
        file.unlink()

    found = Workspace(str(ws.folder.root.parent))
    restored = {one.name: one for one in Webservice.list(found)}
    after = {
        name: (one.record.revision, one.record.deployment_id, one.image, one.image_id) for name, one in restored.items()
    }
    assert after == before
    service, other = restored["svc"], restored["other"]
    assert (service.record.target, service.state, service.tags) == ("docker", "Stopped", {"a": "b"})
    assert (other.state, other.run("x"), other.receipt()["bundle"]) == ("Healthy", 2, "")
    assert service.receipt()["bundle"] and service.receipt()["lock_text"] and service.get_keys() == keys

    prune_workspace(found.folder, unknown_files=True, clock=lambda: time.time() + 30 * 86400)
    assert workspace_tags(ws, docker_engine) == tags
    service.start()
    assert (service.run("x"), other.run("x")) == (1, 2)
    script(answer=3)
    other.reload(wait=True)  # its code is unknown, so that is the way to a new image
    service.update(tags={"c": "d"}, auth_enabled=False, wait=True)
    assert (service.run("x"), other.run("x")) == (1, 3)


def workspace_tags(ws: Workspace, engine: RunningEngine) -> set[str]:
    images = engine.client().images.list()
    return {tag for image in images for tag in image.tags if tag.startswith(f"mldeploy-{ws.folder.id[:8]}/")}
