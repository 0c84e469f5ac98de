"""An engine is opened within seconds, or the reason is known. A small HTTP server plays engines that refuse."""

from __future__ import annotations

import grp
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

import pytest

from mldeploy_jupyter.docker_engine import EngineError, endpoints, engine, open_engine

VERSION = {"Version": "28.2.2", "ApiVersion": "1.50", "Os": "linux", "Arch": "amd64", "Components": []}


@contextmanager
def playing(path: Path, answer: dict[str, Any]) -> Iterator[dict[str, str]]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

        def address_string(self) -> str:
            return "client"

    with ThreadingUnixStreamServer(str(path), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield {"DOCKER_HOST": f"unix://{path}"}
        finally:
            server.shutdown()
            thread.join()


def failure_of(environ: dict[str, str]) -> dict[str, Any]:
    with pytest.raises(EngineError) as error:
        open_engine(environ)
    return error.value.failure


def test_an_engine_says_what_it_is(tmp_path):
    with playing(tmp_path / "d.sock", VERSION) as environ:
        found = open_engine(environ)
        assert (found.kind, found.version, found.api, found.platform) == ("docker", "28.2.2", "1.50", "linux/amd64")
        assert found.describe() == f"Docker 28.2.2 (unix://{tmp_path}/d.sock)"
        assert found.client.api.timeout == engine.REQUEST_SECONDS
        found.close()


def test_podman_is_known_by_its_components(tmp_path):
    answer = {**VERSION, "Version": "4.3.1", "ApiVersion": "1.41", "Components": [{"Name": "Podman Engine"}]}
    with playing(tmp_path / "p.sock", {**answer, "Arch": "aarch64"}) as environ:
        found = open_engine(environ)
        assert (found.kind, found.architecture) == ("podman", "arm64")
        found.close()


def test_an_engine_that_is_too_old_or_runs_windows_containers_is_refused(tmp_path):
    with playing(tmp_path / "old.sock", {**VERSION, "ApiVersion": "1.39"}) as environ:
        assert failure_of(environ)["code"] == "engine-too-old"
    with playing(tmp_path / "win.sock", {**VERSION, "Os": "windows"}) as environ:
        assert failure_of(environ)["code"] == "engine-not-linux"


def test_an_engine_that_says_nothing_is_given_up_after_its_time(tmp_path, monkeypatch):
    monkeypatch.setattr(endpoints, "ANSWER_SECONDS", 0.05)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "d.sock"))
        listener.listen(5)
        assert failure_of({"DOCKER_HOST": f"unix://{tmp_path}/d.sock"})["code"] == "engine-silent"


def test_an_engine_that_is_not_there_is_told_with_who_chose_it(tmp_path):
    with socket.socket(socket.AF_UNIX) as stale:  # nobody listens
        stale.bind(str(tmp_path / "d.sock"))
    failure = failure_of({"DOCKER_HOST": f"unix://{tmp_path}/d.sock"})
    assert (failure["code"], failure["origin"], failure["message"]) == (
        "engine-absent",
        "DOCKER_HOST",
        "Connection refused",
    )
    assert failure_of({"DOCKER_CONTEXT": "gone", "DOCKER_CONFIG": str(tmp_path)})["code"] == "engine-context"
    assert failure_of({"DOCKER_HOST": "nonsense://x"})["code"] == "engine-absent"


def test_no_socket_at_all_is_told_with_what_was_tried(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "_may_exist", lambda path: False)
    failure = failure_of({"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)})
    assert failure["code"] == "engine-absent" and f"unix://{tmp_path}/podman/podman.sock" in failure["tried"]


def test_a_socket_that_may_not_be_opened_names_its_group(tmp_path, monkeypatch):
    def refuse(_: endpoints.EngineEndpoint) -> None:  # root, who runs the tests in CI, may open everything
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "d.sock"
    path.touch()
    if os.getuid() == 0:
        os.chown(path, 0, 4)
    group = grp.getgrgid(path.stat().st_gid).gr_name
    monkeypatch.setattr(endpoints.EngineEndpoint, "require_listener", refuse)
    failure = failure_of({"DOCKER_HOST": f"unix://{path}"})
    assert (failure["code"], failure["group"]) == ("engine-permission", group)


def test_a_tls_folder_without_certificates_is_named(tmp_path):
    environ = {"DOCKER_HOST": "tcp://127.0.0.1:1", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}
    failure = failure_of(environ)
    assert (failure["code"], failure["folder"]) == ("engine-tls", str(tmp_path))
