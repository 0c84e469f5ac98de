"""The engines of the tests themselves: what they promise to the tests that use them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.engines import base_image as base_images
from tests.engines.docker import OwnEngine, RunningEngine
from tests.engines.podman import PodmanEngine
from tests.engines.registry import RegistryServer
from tests.polling import wait_until

pytestmark = pytest.mark.engines


def test_the_engine_runs_the_base_image_of_the_registry(docker_engine: RunningEngine, base_image: str) -> None:
    client = docker_engine.client()
    try:
        client.images.pull(base_image)
        said = client.containers.run(base_image, ["python3", "-c", "import venv, ssl; print('ready')"], remove=True)
        assert said.strip() == b"ready"
    finally:
        client.close()


def test_an_engine_of_its_own_is_restarted_and_leaves_nothing(own_docker_engine: OwnEngine, base_image: str) -> None:
    client = own_docker_engine.client()
    client.images.pull(base_image)
    serve = ["python3", "-m", "http.server", "8000"]
    restart = {"Name": "always"}
    container = client.containers.run(
        base_image, serve, init=True, detach=True, ports={"8000/tcp": ("127.0.0.1", None)}, restart_policy=restart
    )

    def answers() -> bool:
        container.reload()
        published = container.ports.get("8000/tcp") or []
        try:
            return bool(published) and requests.get(f"http://127.0.0.1:{published[0]['HostPort']}", timeout=2).ok
        except requests.RequestException:  # refused, reset or silent
            return False

    wait_until(answers, what=lambda: container.logs().decode())
    own_docker_engine.restart()
    wait_until(answers, what="the container after the restart")
    own_docker_engine.kill()
    assert not own_docker_engine.answers()
    own_docker_engine.start()
    wait_until(answers, what="the container after the engine was killed")
    client.close()

    own_docker_engine.close()
    assert not own_docker_engine.folder.exists()
    folder = str(own_docker_engine.folder)
    assert folder not in Path("/proc/self/mounts").read_text()
    assert folder not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert not Path("/sys/class/net", own_docker_engine.bridge).exists()


def test_the_engine_of_a_run_that_was_killed_is_ended_by_the_next(docker_engine: RunningEngine) -> None:
    code = (
        "import signal\nfrom tests.engines.docker import OwnEngine\n"
        "engine = OwnEngine()\nengine.start()\nprint(engine.folder, flush=True)\nsignal.pause()"
    )
    root = Path(__file__).parents[3]
    run = subprocess.Popen([sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    folder = run.stdout.readline().strip()
    run.kill()
    run.communicate()
    assert RunningEngine(f"unix://{folder}/docker.sock").answers()
    with OwnEngine():
        assert not Path(folder).exists()
        assert folder not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        assert not list(Path("/sys/class/net").glob(f"mld{run.pid}*"))


def test_podman_answers_as_docker_does(podman_engine: PodmanEngine, base_image: str) -> None:
    podman_engine.run("pull", "--tls-verify=false", base_image)
    client = podman_engine.client()
    try:
        said = client.containers.run(base_image, ["python3", "-c", "print('ready')"], remove=True)
        assert said.strip() == b"ready"
    finally:
        client.close()


def test_a_registry_that_is_killed_comes_back_with_its_data(start_registry: Callable[..., RegistryServer]) -> None:
    registry = start_registry(base=True)
    tags = f"{registry.url}/v2/{base_images.REPOSITORY}/tags/list"
    registry.kill()
    with pytest.raises(requests.ConnectionError):
        requests.get(tags, timeout=60)
    registry.start()
    assert requests.get(tags, timeout=60).json()["tags"] == [base_images.suite()]
    wait_until(lambda: "GET /v2/" in registry.log())  # it logs a request once that was answered


def test_a_registry_with_a_password_and_a_certificate(start_registry: Callable[..., RegistryServer]) -> None:
    registry = start_registry(user="ada", password="s3cret", tls=True)
    assert requests.get(f"{registry.url}/v2/", timeout=60, verify=str(registry.ca)).status_code == 401
    assert requests.get(f"{registry.url}/v2/", timeout=60, verify=str(registry.ca), auth=("ada", "s3cret")).ok
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{registry.url}/v2/", timeout=60, verify="/etc/ssl/certs/ca-certificates.crt")


def test_the_mirror_is_read_from_the_settings_of_apt(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    assert base_images.mirror(tmp_path) is None
    line = f"deb [arch=amd64] http://a.example/debian {base_images.suite()} main\n"
    (tmp_path / "sources.list").write_text(f"# comment\ndeb http://b.example/other other main\n{line}")
    assert base_images.mirror(tmp_path) == "http://a.example/debian"
    stanza = f"Types: deb\nURIs: http://c.example/debian\nSuites: {base_images.suite()}\n"
    (tmp_path / "sources.list.d" / "debian.sources").write_text(stanza)
    assert base_images.mirror(tmp_path) == "http://c.example/debian"
