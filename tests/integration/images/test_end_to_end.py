"""A service in a container from its first deployment to its end, with a real engine and both builders."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from mldeploy_jupyter import InferenceConfig, LocalWebservice, Model, Webservice, Workspace
from tests.engines.docker import RunningEngine
from tests.engines.registry import RegistryServer
from tests.polling import wait_until
from tests.steady_load import SteadyLoad

pytestmark = [pytest.mark.engines, pytest.mark.network, pytest.mark.slow]

SCRIPT = """
import json
import os
from pathlib import Path

import humanize


def init():
    global factor
    factor = json.loads(Path(os.environ["AZUREML_MODEL_DIR"], "factor.json").read_text())["factor"]
    print("loaded, code {answer}")


def run(data):
    return {{"answer": {answer}, "factor": factor, "size": humanize.naturalsize(10**6), "sent": json.loads(data)}}
"""
REQUIREMENTS = "humanize==4.9.0\n"


class Site:
    """A workspace in an empty folder, and an engine."""

    def __init__(self, folder: Path, engine: RunningEngine) -> None:
        self.folder = folder
        self.engine = engine
        self.client = engine.client()
        self.ws = Workspace.create(path=str(folder), exist_ok=True)
        self.id = self.ws.folder.id[:8]
        (folder / "requirements.txt").write_text(REQUIREMENTS)
        self.script(1)
        self.factor(1)

    def script(self, answer: int) -> None:
        (self.folder / "score.py").write_text(SCRIPT.format(answer=answer))

    def factor(self, factor: int) -> Model:
        (self.folder / "factor.json").write_text(json.dumps({"factor": factor}))
        return Model.register(self.ws, str(self.folder / "factor.json"), "factor")

    def inference(self) -> InferenceConfig:
        requirements = str(self.folder / "requirements.txt")
        return InferenceConfig(entry_script=str(self.folder / "score.py"), requirements_file=requirements)

    def deploy(self, name: str = "svc", **config: Any) -> Webservice:
        configuration = LocalWebservice.deploy_configuration(engine="docker", **config)
        service = Model.deploy(self.ws, name, [Model(self.ws, "factor")], self.inference(), configuration)
        service.wait_for_deployment(timeout_sec=280)
        return service

    def left(self) -> dict[str, list[str]]:
        """What the engine has of this workspace's services."""
        mine = {"label": f"io.mldeploy.workspace={self.ws.folder.id}"}
        return {
            "containers": [one.name for one in self.client.containers.list(all=True, filters=mine)],
            "volumes": [one.name for one in self.client.volumes.list(filters=mine)],
            "images": [tag for one in self.client.images.list() for tag in one.tags if self.id in tag],
        }

    def container(self, name: str, role: str = "service") -> Any:
        labels = [
            f"io.mldeploy.workspace={self.ws.folder.id}",
            f"io.mldeploy.service={name}",
            f"io.mldeploy.role={role}",
        ]

        def list_them() -> list[Any] | None:  # one that has been replaced still ends what it had
            found = self.client.containers.list(filters={"label": labels})
            return found if len(found) == 1 else None

        return wait_until(list_them)[0]


@pytest.fixture
def site(
    folder: Path, docker_engine: RunningEngine, base_image: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    monkeypatch.setenv("MLDEPLOY_BASE_IMAGE", base_image)
    monkeypatch.setenv("DOCKER_CONFIG", str(folder / "docker-config"))
    site = Site(folder, docker_engine)
    yield site
    try:
        for service in Webservice.list(site.ws):
            service.delete()
        assert site.left() == {"containers": [], "volumes": [], "images": []}
    finally:
        site.client.close()


def test_a_service_from_its_deployment_to_its_end(site: Site) -> None:
    """Deployed, scored, reloaded and updated under load without a failed request, and deleted without a trace."""
    service = site.deploy()
    expected = {"answer": 1, "factor": 1, "size": "1.0 MB", "sent": {"n": 1}}
    assert service.run({"n": 1}) == expected
    first = service.receipt()
    address = service.scoring_uri
    assert requests.post(address, json={"n": 1}, timeout=60).status_code == 401

    with SteadyLoad(address, service.get_keys()[0], rate=40) as load:
        load.wait_for(20)
        site.script(2)
        service.reload(wait=True)  # the same container
        assert service.run({})["answer"] == 2
        load.wait_for(20)
        before = site.container("svc").id
        site.script(3)
        service.update(inference_config=site.inference(), wait=True)  # another one
        assert service.run({})["answer"] == 3
        assert site.container("svc").id != before
        load.wait_for(20)
        site.script(4)
        service.update(models=[site.factor(7)], inference_config=site.inference(), wait=True)
        answer = service.run({})
        assert (answer["answer"], answer["factor"]) == (4, 7)
        load.wait_for(20)
        said = load.end()
    assert said["failures"] == []
    assert service.scoring_uri == address

    # Only what changed was made.
    second = service.receipt()
    environment = [layer for layer in first["layers"] if "environment" in layer["name"]]
    assert environment and environment == [layer for layer in second["layers"] if "environment" in layer["name"]]
    wait_until(lambda: "loaded, code 3" in service.get_logs(num_lines=5000))

    service.delete()
    assert site.left() == {"containers": [], "volumes": [], "images": []}
    assert not site_processes(site.folder)
    with pytest.raises(requests.ConnectionError):
        requests.get(address, timeout=60)


def test_the_images_of_both_builders_answer_byte_for_byte_alike(site: Site, image_registry: RegistryServer) -> None:
    """The same bundle, built by the engine and without it; both run as `docker run` would run them."""
    site.ws.update(image_registry=image_registry.address)
    answers = []
    for builder in ("docker", "oci"):
        package = Model.package(
            site.ws,
            [Model(site.ws, "factor")],
            site.inference(),
            image_name=f"{site.id}/alike",
            image_label=builder,
            builder=builder,
        )
        package.wait_for_creation(show_output=True)
        assert package.location.startswith(f"{image_registry.address}/"), package.location
        site.client.images.pull(package.location)
        try:
            answers.append(ask_container(site, package.location))
        finally:
            for tag in site.client.images.get(package.location).tags:
                site.client.images.remove(tag, force=True)
    assert answers[0] == answers[1]
    assert answers[0][0][0] == 200 and b'"answer"' in answers[0][0][1]


BODIES = [b"{}", b"[1, 2.5, null]", '{"text": "\u2028 \U0001f600 \u00e9"}'.encode(), b"no json", b"1e400", b""]


def ask_container(site: Site, tag: str) -> list[tuple[int, bytes]]:
    """Runs an image with a read-only root, without any setting, and sends it all bodies."""
    writable = {"/tmp": "", "/var/lib/mldeploy": ""}
    ports = {"5001/tcp": ("127.0.0.1", None)}
    container = site.client.containers.run(tag, detach=True, ports=ports, read_only=True, tmpfs=writable)
    try:
        container.reload()
        address = f"http://127.0.0.1:{container.ports['5001/tcp'][0]['HostPort']}"
        wait_until(lambda: ready(address), what=lambda: container.logs().decode())
        same_id = {"x-ms-request-id": "1"}  # it is part of an error
        answers = [requests.post(f"{address}/score", data=body, headers=same_id, timeout=60) for body in BODIES]
        return [(answer.status_code, answer.content) for answer in answers]
    finally:
        container.remove(force=True, v=True)


def test_no_key_and_no_credential_is_in_an_image(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that a build is told and the image must not tell: keys, proxies, certificates, the caller's variables."""
    certificates = site.folder / "ca.pem"
    known = Path(os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt")
    certificates.write_text(known.read_text() + "# s3cr3t-authority\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates))
    monkeypatch.setenv("NO_PROXY", "s3cr3t-host.example")
    monkeypatch.setenv("MLDEPLOY_TEST_TOKEN", "s3cr3t-variable")
    service = site.deploy()
    secrets = [*service.get_keys(), "s3cr3t"]
    image = site.client.images.get(service.image_id)
    found = [secret for secret in secrets for place in texts_of(image) if secret.encode() in place]
    assert found == []


def texts_of(image: Any) -> Iterator[bytes]:
    """Configuration, history, and every file of every layer."""
    yield json.dumps([image.attrs, image.history()]).encode()
    archive = io.BytesIO(b"".join(image.save()))
    with tarfile.open(fileobj=archive) as outer:
        for member in outer:
            body = outer.extractfile(member)
            if body is None:
                continue
            if member.name.endswith(".tar"):
                with tarfile.open(fileobj=body) as layer:
                    for file in layer:
                        yield file.name.encode()
                        content = layer.extractfile(file) if file.isfile() else None
                        if content is not None:
                            yield content.read()
            else:
                yield body.read()


def ready(address: str) -> bool:
    try:
        return requests.get(f"{address}/ready", timeout=60).status_code == 200
    except requests.ConnectionError:
        return False


def site_processes(folder: Path) -> list[str]:
    shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in shown.splitlines() if str(folder) in line]
