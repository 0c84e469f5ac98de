"""The engine is looked for where the `docker` command looks, and one that was chosen is the only one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.docker_engine.endpoints import EngineEndpoint, UnknownContext, find_endpoints, list_contexts


def add_context(folder: Path, name: str, docker: dict[str, Any], tls: bool = False) -> None:
    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts/meta" / digest
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": docker}}))
    if tls:
        (folder / "contexts/tls" / digest / "docker").mkdir(parents=True)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path / "docker"), "XDG_RUNTIME_DIR": str(tmp_path / "run")}


def test_docker_host_comes_before_everything(environ, tmp_path):
    add_context(tmp_path / "docker", "lab", {"Host": "unix:///lab.sock"})
    found = find_endpoints({**environ, "DOCKER_HOST": "tcp://127.0.0.1:2375", "DOCKER_CONTEXT": "lab"})
    assert found == [EngineEndpoint("tcp://127.0.0.1:2375", "DOCKER_HOST", verify=False)]


def test_docker_host_with_tls_takes_the_certificates_of_the_configuration(environ, tmp_path):
    host = {**environ, "DOCKER_HOST": "tcp://big:2376", "DOCKER_TLS_VERIFY": "1"}
    assert find_endpoints(host)[0].tls == tmp_path / "docker"
    assert find_endpoints({**host, "DOCKER_CERT_PATH": "/certs"})[0].tls == Path("/certs")
    assert find_endpoints(host)[0].verify


def test_the_context_of_the_environment_comes_before_the_chosen_one(environ, tmp_path):
    add_context(tmp_path / "docker", "lab", {"Host": "unix:///lab.sock"})
    add_context(tmp_path / "docker", "big", {"Host": "tcp://big:2376", "SkipTLSVerify": True}, tls=True)
    (tmp_path / "docker/config.json").write_text('{"currentContext": "big"}')
    big, lab = find_endpoints(environ), find_endpoints({**environ, "DOCKER_CONTEXT": "lab"})
    assert [(e.url, e.context, e.verify) for e in big] == [("tcp://big:2376", "big", False)] and big[0].tls is not None
    assert lab == [EngineEndpoint("unix:///lab.sock", "context", "lab")]
    assert list_contexts(tmp_path / "docker") == ["big", "lab"]


def test_a_context_that_is_not_there_is_named_with_those_that_are(environ, tmp_path):
    add_context(tmp_path / "docker", "lab", {"Host": "unix:///lab.sock"})
    with pytest.raises(UnknownContext) as error:
        find_endpoints({**environ, "DOCKER_CONTEXT": "gone"})
    assert (error.value.name, error.value.chosen_by, error.value.known) == ("gone", "DOCKER_CONTEXT", ["lab"])


def test_the_default_context_and_a_damaged_configuration_mean_the_usual_sockets(environ, tmp_path):
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").write_text("{")
    urls = [endpoint.url for endpoint in find_endpoints({**environ, "DOCKER_CONTEXT": "default"})]
    assert urls[:2] == ["unix:///var/run/docker.sock", f"unix://{tmp_path}/run/docker.sock"]
    assert urls[-2:] == [f"unix://{tmp_path}/run/podman/podman.sock", "unix:///run/podman/podman.sock"]
    assert urls == [endpoint.url for endpoint in find_endpoints(environ)]


@pytest.mark.parametrize(
    ("url", "is_local"),
    [("unix:///x", True), ("tcp://127.0.0.1:1", True), ("tcp://big:1", False), ("ssh://ada@big", False)],
)
def test_an_engine_on_another_machine_is_known_by_its_address(url, is_local):
    assert EngineEndpoint(url).is_local is is_local
