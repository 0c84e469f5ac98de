"""What engines say in prose has a code. The messages are those that Docker and Podman were seen to send."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.docker_engine import EngineError, engine_errors
from mldeploy_jupyter.docker_engine.endpoints import EngineEndpoint
from mldeploy_jupyter.docker_engine.failures import describe_message

PORT = (
    "driver failed programming external connectivity on endpoint web (8f0a): Bind for 127.0.0.1:8890 failed: "
    "port is already allocated"
)
USERLAND = "driver failed: Error starting userland proxy: listen tcp4 127.0.0.1:8891: bind: address already in use"

MESSAGES = [
    ("write /var/lib/docker/tmp/layer.tar: no space left on device", "no-space"),
    (PORT, "port-in-use"),
    (USERLAND, "port-in-use"),
    ("no matching manifest for linux/arm64/v8 in the manifest list entries", "wrong-architecture"),
    ("standard_init_linux.go:228: exec user process caused: exec format error", "wrong-architecture"),
    ("manifest for python:9 not found: manifest unknown: manifest unknown", "no-image"),
    ("No such image: sha256:5d0da3dc976460b72c77d94c8a1ad043720b0416bfc16c52c45d4847e53fadb6", "no-image"),
    ("no such image: localhost/mldeploy/gone:1: image not known", "no-image"),
    ("Get http://registry.lab/v2/base/manifests/1: no basic auth credentials", "registry-refused"),
    ("unauthorized: authentication required", "registry-refused"),
    ("denied: requested access to the resource is denied", "registry-refused"),
    ("toomanyrequests: You have reached your pull rate limit", "registry-busy"),
    ('Get "https://registry.lab/v2/": dial tcp: lookup registry.lab: no such host', "registry-away"),
    ('Get "https://127.0.0.1:9/v2/": dial tcp 127.0.0.1:9: connect: connection refused', "registry-away"),
    ('Get "https://registry.lab/v2/": x509: certificate signed by unknown authority', "registry-certificate"),
    ("http: server gave HTTP response to HTTPS client", "registry-certificate"),
    ("Minimum memory limit allowed is 6MB", "engine-error"),
]


@pytest.mark.parametrize(("message", "code"), MESSAGES)
def test_a_message_of_an_engine_has_a_code(message, code):
    assert describe_message(message)["code"] == code


@pytest.mark.parametrize(("message", "port"), [(PORT, 8890), (USERLAND, 8891)])
def test_the_port_that_is_taken_is_read_from_the_message(message, port):
    assert describe_message(message)["port"] == port


def test_errors_of_the_sdk_become_failures_with_what_is_known_besides():
    from docker.errors import APIError
    from requests.exceptions import ConnectionError, ReadTimeout

    with pytest.raises(EngineError) as refused, engine_errors(image="python:9"):
        raise APIError("404 Client Error", explanation="manifest for python:9 not found")
    assert refused.value.failure["code"] == "no-image" and refused.value.failure["image"] == "python:9"
    with pytest.raises(EngineError) as lost, engine_errors(EngineEndpoint("tcp://127.0.0.1:1")):
        raise ConnectionError("('Connection aborted.', RemoteDisconnected('closed'))")
    assert (lost.value.failure["code"], lost.value.failure["endpoint"]) == ("engine-lost", "tcp://127.0.0.1:1")
    with pytest.raises(EngineError) as silent, engine_errors():
        raise ReadTimeout("Read timed out. (read timeout=60)")
    assert silent.value.failure["code"] == "engine-silent"
    with pytest.raises(ZeroDivisionError), engine_errors():
        raise ZeroDivisionError


def test_an_engine_that_is_away_is_not_asked(tmp_path):
    with pytest.raises(EngineError) as error, engine_errors(EngineEndpoint(f"unix://{tmp_path}/none.sock")):
        raise AssertionError("the block is not begun")
    assert error.value.failure["code"] == "engine-absent"
