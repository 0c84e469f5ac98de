"""A client leaves no socket behind, and knows a container that is gone from an engine that failed."""

from __future__ import annotations

import gc
import json
import socket
import warnings

import pytest
from docker.errors import APIError, NotFound
from requests import Response
from requests.exceptions import ConnectionError

from mldeploy_jupyter.docker_engine.client import Client


def test_a_connection_that_nobody_takes_is_closed(tmp_path):
    path = tmp_path / "d.sock"
    with socket.socket(socket.AF_UNIX) as gone:  # as an engine that is being restarted leaves it
        gone.bind(str(path))
    client = Client(f"unix://{path}", version="1.41")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with pytest.raises(ConnectionError):
            client.ping()
        gc.collect()
    client.close()
    assert not seen, [str(one.message) for one in seen]


@pytest.mark.parametrize(
    ("status", "message", "gone"),
    [
        (404, "No such container: c1", True),
        (500, "container c1 does not exist in database: no such container", True),  # Podman 4
        (500, "the disk is full", False),
    ],
)
def test_a_container_that_is_gone_is_not_found_in_either_engine(tmp_path, status, message, gone):
    client = Client(f"unix://{tmp_path}/d.sock", version="1.41")
    response = Response()
    response.status_code, response._content = status, json.dumps({"message": message}).encode()
    with pytest.raises(APIError) as error:
        client.api._raise_for_status(response)
    assert isinstance(error.value, NotFound) is gone and (error.value.status_code == 404) is gone
    assert error.value.explanation == message
    client.close()
