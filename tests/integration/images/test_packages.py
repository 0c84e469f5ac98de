"""Packages and the images of a workspace with a real engine: made, exported, pulled, pruned."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from mldeploy_jupyter import InferenceConfig, Model, Webservice, Workspace
from mldeploy_jupyter.api.models.package import ModelPackage
from mldeploy_jupyter.core.errors import MldeployError, WebserviceException
from mldeploy_jupyter.core.records import RevisionRecord, ServiceRecord
from mldeploy_jupyter.deployment.prune import prune_workspace
from tests.engines.docker import RunningEngine
from tests.engines.registry import RegistryServer
from tests.polling import wait_until
from tests.unit.commands.support import run_line

pytestmark = [pytest.mark.engines, pytest.mark.network, pytest.mark.slow]

SCRIPT = "def init():\n    print('loaded')\n\n\ndef run(data):\n    return {'sent': data}\n"


class Site:
    """A workspace with a script and one model, and an engine."""

    def __init__(self, folder: Path, engine: RunningEngine) -> None:
        self.folder, self.client = folder, engine.client()
        self.ws = Workspace.create(path=str(folder))
        self.prefix = f"mldeploy-{self.ws.folder.id[:8]}/"
        (folder / "score.py").write_text(SCRIPT)
        (folder / "m.txt").write_text("weights")
        self.models = [Model.register(self.ws, "m.txt", "m")]
        self.inference = InferenceConfig("score.py")

    def package(self, **given: Any) -> ModelPackage:
        package = Model.package(self.ws, self.models, self.inference, **given)
        package.wait_for_creation()
        return package

    def tags(self) -> set[str]:
        return {tag for image in self.client.images.list() for tag in image.tags if tag.startswith(self.prefix)}

    def score(self, image: str) -> Any:
        """What a container of the image answers, as `docker run` starts it."""
        container = self.client.containers.run(image, detach=True, ports={"5001/tcp": ("127.0.0.1", None)})
        try:
            container.reload()
            address = f"http://127.0.0.1:{container.ports['5001/tcp'][0]['HostPort']}"
            wait_until(lambda: is_ready(address), what=lambda: container.logs().decode())
            return requests.post(f"{address}/score", json={"n": 1}, timeout=60).json()
        finally:
            container.remove(force=True, v=True)


def is_ready(address: str) -> bool:
    try:
        return requests.get(f"{address}/ready", timeout=60).status_code == 200
    except requests.ConnectionError:
        return False


@pytest.fixture
def site(
    folder: Path, docker_engine: RunningEngine, base_image: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    monkeypatch.setenv("DOCKER_HOST", docker_engine.host)
    monkeypatch.setenv("MLDEPLOY_BASE_IMAGE", base_image)
    site = Site(folder, docker_engine)
    yield site
    for service in Webservice.list(site.ws):
        service.delete()
    for tag in site.tags():
        site.client.images.remove(tag, force=True)
    site.client.close()


def test_a_package_is_exported_loaded_and_pulled(
    site: Site, image_registry: RegistryServer, capsys: pytest.CaptureFixture[str]
) -> None:
    package = site.package(builder="docker")
    assert package.location.startswith(site.prefix) and package.get_container_registry().address is None
    logs = package.get_logs()
    assert isinstance(logs, str) and "layer code" in logs
    assert package.get_logs(decode=False, offset=5) == logs.encode()[5:]
    assert site.score(package.location) == {"sent": json.dumps({"n": 1})}

    said = run_line(f"image export {package.operation_id} -f out.tar")
    assert said.data["bytes"] == (site.folder / "out.tar").stat().st_size and "docker load -i out.tar" in said.text
    site.client.images.remove(package.location, force=True)
    with (site.folder / "out.tar").open("rb") as file:
        (loaded,) = site.client.images.load(file)
    assert (loaded.id, loaded.tags) == (package.image_id, [package.location])
    listed = run_line("image list")
    assert package.location in listed.text and f"package {package.operation_id}" in listed.text

    site.ws.update(image_registry=image_registry.address)
    pushed = site.package(image_name=f"{site.prefix}pushed", image_label="1", builder="oci")
    assert pushed.get_container_registry().address == image_registry.address
    capsys.readouterr()
    pushed.pull()
    assert capsys.readouterr().out == f"{pushed.location} is in the engine\n"
    site.client.images.remove(pushed.location, force=True)
    with pytest.raises(WebserviceException, match="is an image"):
        pushed.save("context")


def test_a_dockerfile_is_built_with_the_engine_alone_and_answers(site: Site) -> None:
    said = run_line("image build -m m:1 --entry-script score.py --dockerfile --folder context")
    assert said.data["packageType"] == "DockerBuildContext" and (site.folder / "context" / "Dockerfile").is_file()
    package = ModelPackage(site.ws, said.data["id"])
    assert package.generate_dockerfile and (package.image_id, package.receipt()) == ("", {})
    with pytest.raises(WebserviceException, match="is a folder with a Dockerfile"):
        package.pull()
    with pytest.raises(MldeployError, match="is not empty"):
        package.save("context")
    add_settings(site.folder / "context")
    image, _ = site.client.images.build(path="context", tag=f"{site.prefix}context:1", rm=True, forcerm=True)
    assert site.score(image.id)


def add_settings(context: Path) -> None:
    """Puts this machine's index and certificates where the file says that they go."""
    from mldeploy_jupyter.deployment.images.build import read_build_secrets
    from mldeploy_jupyter.images.environment_files import environment_settings

    secrets = read_build_secrets()
    for name, entry in environment_settings({**secrets.proxies, **secrets.variables}, secrets.ca_bundle).items():
        (context / "mldeploy" / name).write_bytes(entry.source)  # type: ignore[union-attr,arg-type]


def test_a_package_that_cannot_be_made_says_why_and_keeps_its_log(site: Site) -> None:
    (site.folder / "steps").write_text("RUN echo first && false\n")
    inference = InferenceConfig("score.py", extra_docker_file_steps="steps")
    package = Model.package(site.ws, site.models, inference, builder="docker")
    with pytest.raises(WebserviceException) as failed:
        package.wait_for_creation()
    assert failed.value.why and failed.value.hint and "first" in package.get_logs()
    assert (package.state, package.serialize()["state"], package.location) == ("Failed", "Failed", "")
    assert package.error is not None and package.error["what"] == failed.value.what
    with pytest.raises(WebserviceException, match="is not made"):
        package.pull()
    json.dumps(package.serialize())


def test_a_prune_keeps_what_can_be_served_and_what_packages_have(site: Site, base_image: str) -> None:
    """Tags of the workspace in the engine: of what serves, of an older revision, of a failed one, of nothing."""
    store, repository = site.ws.folder.open_store(), f"{site.prefix}svc"
    package = site.package(builder="docker")
    store.save_service(ServiceRecord("svc", "docker", "Local", workspace_id=site.ws.folder.id, revision=3))
    image = site.client.images.get(package.location)
    base = site.client.images.get(base_image)
    for number, outcome, made in ((1, "kept", base), (2, "failed", base), (3, "live", image)):
        id = str(made.id)
        name = f"{repository}:{number}"
        store.add_revision(RevisionRecord("svc", number, outcome=outcome, image=name, image_id=id))
    reused = RevisionRecord("svc", 4, outcome="kept", image=f"{site.prefix}old:9", image_id=str(image.id))
    store.add_revision(reused)
    base.tag(repository, "1")
    image.tag(repository, "3")
    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w").close()
    for name, tag in ((repository, "2"), (f"{site.prefix}gone", "1")):
        site.client.api.import_image_from_data(empty.getvalue(), repository=name, tag=tag)
    image.tag(f"{site.prefix}other", "7")  # another name of an image that is needed
    kept = {f"{repository}:1", f"{repository}:3", f"{site.prefix}other:7", package.location}
    before = site.tags()
    dry = prune_workspace(site.ws.folder, dry_run=True)
    assert site.tags() == before == {*kept, f"{repository}:2", f"{site.prefix}gone:1"}
    report = prune_workspace(site.ws.folder)
    assert site.tags() == kept and report.images >= 2 <= dry.images
    assert "image" in str(report)
    store.remove_service("svc")
