"""The client of registries with real ones: plain, with a password, with TLS, with tokens; killed and slowed down."""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.images.registry import (
    Blob,
    Credentials,
    Manifest,
    Pushed,
    Registry,
    blobs,
    download_blob,
    fetch_manifest,
    parse_manifest,
    parse_reference,
    push_image,
    read_blob,
)
from mldeploy_jupyter.images.registry.manifests import OCI_CONFIG, OCI_MANIFEST, OCI_TAR, digest_of
from tests.engines.registry import RegistryServer
from tests.integration.images.token_server import TokenServer
from tests.polling import wait_until

pytestmark = pytest.mark.engines

Start = Callable[..., RegistryServer]

SMALL, LARGE = os.urandom(1000), os.urandom(6_000_000)


@pytest.fixture(autouse=True)
def _no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user has signed in nowhere, and large blobs are sent in small pieces."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("XDG_RUNTIME_DIR", "REGISTRY_AUTH_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(blobs, "CHUNK", 1_000_000)


def make_blob(content: bytes, media_type: str = OCI_TAR, **kwargs: Any) -> Blob:
    def read(offset: int) -> Iterator[bytes]:
        for start in range(offset, len(content), 100_000):
            yield content[start : start + 100_000]

    return Blob(digest_of(content), len(content), media_type, kwargs.pop("read", read), **kwargs)


def make_image(*layers: Blob) -> tuple[Manifest, list[Blob]]:
    """An image with these layers; its configuration is none that an engine would take."""
    config = make_blob(b"{}", OCI_CONFIG, name="configuration")
    data = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config.descriptor(),
        "layers": [layer.descriptor() for layer in layers],
    }
    return parse_manifest(json.dumps(data).encode()), [config, *layers]


def push(
    reference: str, *layers: Blob, events: list[tuple[str, str, dict[str, Any]]] | None = None, **kwargs: Any
) -> Pushed:
    manifest, parts = make_image(*layers or (make_blob(SMALL), make_blob(LARGE)))

    def emit(stage: str, kind: str, text: str = "", **data: Any) -> None:
        if events is not None:
            events.append((kind, text, data))

    credentials, cancel = kwargs.pop("credentials", None), kwargs.pop("cancel", lambda: None)
    return push_image(manifest, parts, reference, credentials, emit, cancel, **kwargs)


def how(pushed: Pushed) -> list[str]:
    return sorted(blob.how for blob in pushed.blobs)


def test_pushed_image_is_read_back_and_sent_only_once(image_registry: RegistryServer, tmp_path: Path) -> None:
    name = f"{image_registry.address}/client/once"
    events: list[tuple[str, str, dict[str, Any]]] = []
    first = push(f"{name}:1", events=events)
    assert how(first) == ["uploaded"] * 3
    assert first.uploaded_bytes == len(SMALL) + len(LARGE) + 2
    assert any("6.0 MB): uploaded" in text and data["layer"]["reused"] is False for _, text, data in events)

    registry = Registry(image_registry.address)
    manifest = fetch_manifest(registry, parse_reference(str(first.reference)))
    assert manifest.digest == first.reference.digest
    target = tmp_path / "blob"
    download_blob(registry, "client/once", digest_of(LARGE), len(LARGE), target)
    assert target.read_bytes() == LARGE
    assert b"".join(read_blob(registry, "client/once", digest_of(LARGE), len(LARGE), 5_999_000)) == LARGE[5_999_000:]
    registry.close()

    assert how(push(f"{name}:1")) == ["there"] * 3
    assert how(push(f"{name}:2")) == ["there"] * 3


def test_layer_of_another_repository_is_mounted(image_registry: RegistryServer) -> None:
    source = push(f"{image_registry.address}/client/from:1").reference
    layer = make_blob(LARGE, source=source, read=lambda offset: pytest.fail("it is not sent"))
    assert how(push(f"{image_registry.address}/client/to:1", layer)) == ["mounted", "uploaded"]


def test_mount_that_is_refused_becomes_an_upload(image_registry: RegistryServer) -> None:
    """Fault 38: the other repository does not have the layer, and the registry begins an upload."""
    content = os.urandom(50_000)
    source = parse_reference(f"{image_registry.address}/client/never-there:1")
    pushed = push(f"{image_registry.address}/client/refused:1", make_blob(content, source=source))
    assert how(pushed) == ["uploaded", "uploaded"]


def test_password_is_needed_and_comes_from_docker_login(start_registry: Start, tmp_path: Path) -> None:
    server = start_registry(user="ann", password="pa:ss wörd")
    with pytest.raises(ImageError) as refused:
        push(f"{server.address}/private:1")
    assert refused.value.code == "RegistryRefused"
    assert refused.value.hint == f"docker login {server.address}"
    with pytest.raises(ImageError) as wrong:
        push(f"{server.address}/private:1", credentials=Credentials("ann", "wrong"))
    assert "the credentials do not allow it" in wrong.value.why

    assert how(push(f"{server.address}/private:1", credentials=Credentials("ann", "pa:ss wörd"))) == ["uploaded"] * 3

    helper = tmp_path / "bin" / "docker-credential-mldeploytest"
    helper.parent.mkdir()
    answer = json.dumps({"ServerURL": server.address, "Username": "ann", "Secret": "pa:ss wörd"})
    helper.write_text(f"#!/bin/sh\nread server\n[ \"$server\" = {server.address} ] && echo '{answer}'\n")
    helper.chmod(helper.stat().st_mode | stat.S_IXUSR)
    config = {"credHelpers": {server.address: "mldeploytest"}}
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "config.json").write_text(json.dumps(config))
    environ = {**os.environ, "PATH": f"{helper.parent}:{os.environ['PATH']}"}
    registry = Registry(server.address, environ=environ)
    assert fetch_manifest(registry, parse_reference(f"{server.address}/private:1")).data["layers"]
    registry.close()


def test_private_authority(start_registry: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 39: an authority of one's own, in `SSL_CERT_FILE`."""
    server = start_registry(tls=True)
    with pytest.raises(ImageError) as untrusted:
        push(f"{server.address}/secure:1")
    assert untrusted.value.code == "RegistryCertificate"
    assert "SSL_CERT_FILE" in untrusted.value.hint
    monkeypatch.setenv("SSL_CERT_FILE", str(server.ca))
    assert how(push(f"{server.address}/secure:1")) == ["uploaded"] * 3


def start_with_tokens(start_registry: Start, tokens: TokenServer) -> RegistryServer:
    server = start_registry()
    server.stop()
    config = json.loads((server.folder / "config.yml").read_text())
    (server.folder / "config.yml").write_text(json.dumps({**config, "auth": tokens.settings}))
    server.start()
    return server


def test_tokens_are_asked_for_by_scope(start_registry: Start, tmp_path: Path) -> None:
    with TokenServer(tmp_path) as tokens:
        server = start_with_tokens(start_registry, tokens)
        with pytest.raises(ImageError) as refused:
            push(f"{server.address}/team/churn:1")
        assert refused.value.code == "RegistryRefused"
        assert "answered 401: who are you?" in refused.value.why
        credentials = Credentials(tokens.user, tokens.password)
        tokens.asked.clear()
        pushed = push(f"{server.address}/team/churn:1", credentials=credentials)
        assert how(pushed) == ["uploaded"] * 3
        assert tokens.asked == [["repository:team/churn:pull,push"]]
        layer = make_blob(LARGE, source=pushed.reference)
        assert "mounted" in how(push(f"{server.address}/team/other:1", layer, credentials=credentials))
        assert ["repository:team/churn:pull", "repository:team/other:pull,push"] in tokens.asked


def test_token_that_expires_during_a_push_is_replaced(start_registry: Start, tmp_path: Path) -> None:
    """Fault 38: the token server says five minutes, the tokens last two seconds."""
    with TokenServer(tmp_path, seconds=2) as tokens:
        server = start_with_tokens(start_registry, tokens)

        def read_slowly(offset: int) -> Iterator[bytes]:
            for start in range(offset, len(LARGE), 100_000):
                if start == 2_500_000 and len(tokens.asked) == 1:
                    wait_until(lambda: time.time() > begun + 2.5, what="the end of the token")
                yield LARGE[start : start + 100_000]

        begun = time.time()
        layer = make_blob(LARGE, read=read_slowly)
        pushed = push(f"{server.address}/slow:1", layer, credentials=Credentials(tokens.user, tokens.password))
        assert how(pushed) == ["uploaded"] * 2
        assert len(tokens.asked) > 1
        assert read_back(server, "slow", LARGE, Credentials(tokens.user, tokens.password))


def read_back(server: RegistryServer, repository: str, content: bytes, credentials: Credentials | None = None) -> bool:
    registry = Registry(server.address, credentials)
    try:
        return b"".join(read_blob(registry, repository, digest_of(content), len(content))) == content
    finally:
        registry.close()


def interrupt(server: RegistryServer, content: bytes, at: int, act: Callable[[], None]) -> tuple[Blob, list[int]]:
    """A blob, and the offsets that it is read from. `act` is called when the byte `at` is read for the first time."""
    offsets: list[int] = []
    done = threading.Event()

    def read(offset: int) -> Iterator[bytes]:
        offsets.append(offset)
        for start in range(offset, len(content), 100_000):
            if start >= at and not done.is_set():
                done.set()
                act()
            yield content[start : start + 100_000]

    return make_blob(content, read=read, name="large"), offsets


@pytest.mark.parametrize("at", [3_000_000, 3_500_000])
def test_push_goes_on_after_the_registry_was_killed(start_registry: Start, at: int) -> None:
    """Fault 38, and the issue's: killed between two pieces or in the middle of one, and brought back."""
    server = start_registry()

    def accident() -> None:
        server.kill()
        threading.Timer(1.0, server.start).start()

    layer, offsets = interrupt(server, LARGE, at, accident)
    pushed = push(f"{server.address}/resumed:1", layer)
    assert how(pushed) == ["uploaded"] * 2
    assert read_back(server, "resumed", LARGE)
    resumed = offsets[offsets.index(3_000_000) + 1]
    begun = offsets.count(0)  # the log would count the configuration, too, which the accident may hit at the same time
    if at == 3_000_000 or resumed:
        assert 3_000_000 <= resumed <= 3_600_000, offsets  # what had arrived was not sent again
        assert begun == 1
    else:  # this registry refuses an upload whose file has a part of a piece: once more from the beginning
        assert "upload resumed at wrong" in server.log()
        assert begun == 2


def test_registry_that_has_forgotten_an_upload_gets_it_again(start_registry: Start) -> None:
    """Without a lasting secret, a registry knows no upload of before its restart."""
    server = start_registry()

    def accident() -> None:
        server.kill()
        text = (server.folder / "config.yml").read_text()
        (server.folder / "config.yml").write_text(text.replace("the same after a restart", "another"))
        server.start()

    layer, offsets = interrupt(server, LARGE, 3_500_000, accident)
    assert how(push(f"{server.address}/again:1", layer)) == ["uploaded"] * 2
    assert offsets.count(0) == 2
    assert read_back(server, "again", LARGE)


def test_registry_that_stays_away_ends_the_push(start_registry: Start) -> None:
    server = start_registry()
    layer, _ = interrupt(server, LARGE, 2_500_000, server.kill)
    registry = Registry(server.address, patience=1.5)
    with pytest.raises(ImageError) as failed:
        push(f"{server.address}/away:1", layer, registry=registry)
    assert failed.value.code == "RegistryUnreachable"


def test_cancel_stops_a_push_at_once(start_registry: Start) -> None:
    server = start_registry()
    begun, ended = threading.Event(), threading.Event()

    def read_without_an_end(offset: int) -> Iterator[bytes]:
        yield LARGE[:100_000]
        begun.set()
        ended.wait(600)

    class Cancelled(Exception):
        pass

    def cancel() -> None:
        if begun.is_set():
            raise Cancelled

    layer = make_blob(LARGE, read=read_without_an_end)
    with pytest.raises(Cancelled):  # before `read_without_an_end` ends
        push(f"{server.address}/cancelled:1", layer, cancel=cancel)
    ended.set()
    assert not list(server.folder.glob("data/**/_manifests"))


def test_layer_that_has_changed_is_refused(image_registry: RegistryServer) -> None:
    """Digests are verified on the way there: what is sent is not what the manifest names."""
    with pytest.raises(ImageError):
        push(
            f"{image_registry.address}/client/changed:1",
            make_blob(LARGE, read=lambda offset: iter([bytes(len(LARGE) - offset)])),
        )


class Gate:
    """A proxy in front of a registry, or a registry that is out of order: `answer(number, method, path)` says how.

    None passes a request on to `server`; a tuple is the answer's status, headers and body.
    """

    def __init__(
        self, answer: Callable[[int, str, str], tuple[int, dict[str, str], bytes] | None], server: str
    ) -> None:
        import http.client

        self.seen: list[str] = []
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                gate.seen.append(f"{self.command} {self.path}")
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                found = answer(len(gate.seen), self.command, self.path)
                if found is None:
                    path = self.path.split("://", 1)[-1].partition("/")[2] if "://" in self.path else self.path[1:]
                    connection = http.client.HTTPConnection(server, timeout=60)
                    connection.request(self.command, f"/{path}", body, dict(self.headers.items()))
                    response = connection.getresponse()
                    content = response.read()
                    found = response.status, dict(response.getheaders()), content
                    connection.close()
                status, headers, content = found
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                        self.send_header(name, value)
                length = headers.get("Content-Length", len(content)) if self.command == "HEAD" else len(content)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = handle_any

            def log_message(self, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)

    def __enter__(self) -> Gate:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()


def test_registry_that_is_busy_is_asked_again_when_it_says(image_registry: RegistryServer) -> None:
    """Fault 38: 429 with `Retry-After`, and 503."""
    refused: dict[str, float] = {}

    def answer(number: int, method: str, path: str) -> tuple[int, dict[str, str], bytes] | None:
        if method == "POST" and "429" not in refused:
            refused["429"] = time.monotonic()
            return 429, {"Retry-After": "1"}, b'{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}'
        if method == "PUT" and "manifests" in path and "503" not in refused:
            refused["503"] = time.monotonic()
            return 503, {}, b""
        return None

    with Gate(answer, image_registry.address) as gate:
        pushed = push(f"{gate.address}/client/busy:1", make_blob(os.urandom(500)))
        assert how(pushed) == ["uploaded"] * 2
        assert time.monotonic() - refused["429"] >= 1
        assert set(refused) == {"429", "503"}


def test_manifest_that_was_changed_on_the_way_is_refused(image_registry: RegistryServer) -> None:
    pushed = push(f"{image_registry.address}/client/tampered:1")

    def answer(number: int, method: str, path: str) -> tuple[int, dict[str, str], bytes] | None:
        if "/manifests/" in path:
            return (
                200,
                {"Content-Type": OCI_MANIFEST},
                json.dumps({"schemaVersion": 2, "layers": [], "config": make_blob(b"").descriptor()}).encode(),
            )
        return None

    with Gate(answer, image_registry.address) as gate:
        registry = Registry(gate.address)
        with pytest.raises(ImageError) as refused:
            fetch_manifest(registry, parse_reference(f"{gate.address}/client/tampered@{pushed.reference.digest}"))
        assert refused.value.code == "DigestMismatch"
        registry.close()


def test_layer_that_was_changed_on_the_way_is_refused_and_not_kept(
    image_registry: RegistryServer, tmp_path: Path
) -> None:
    push(f"{image_registry.address}/client/tampered:2")
    with Gate(
        lambda number, method, path: (200, {}, bytes(len(SMALL))) if "/blobs/" in path else None, image_registry.address
    ) as gate:
        registry = Registry(gate.address)
        with pytest.raises(ImageError) as refused:
            download_blob(registry, "client/tampered", digest_of(SMALL), len(SMALL), tmp_path / "layer")
        assert refused.value.code == "DigestMismatch"
        assert list(tmp_path.glob("*layer*")) == []
        registry.close()


def test_proxy_of_the_environment_is_used(image_registry: RegistryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 39: a name that only the proxy can resolve; the proxy is not asked for what `NO_PROXY` lists."""
    push(f"{image_registry.address}/client/proxied:1")
    with Gate(lambda number, method, path: None, image_registry.address) as proxy:
        environ = {"HTTP_PROXY": f"http://{proxy.address}", "MLDEPLOY_INSECURE_REGISTRIES": "registry.invalid:80"}
        registry = Registry("registry.invalid:80", environ=environ)
        registry._scheme = "http"  # plain HTTP goes through this proxy as it is
        assert fetch_manifest(registry, parse_reference("registry.invalid:80/client/proxied:1")).data["layers"]
        assert proxy.seen == ["GET http://registry.invalid:80/v2/client/proxied/manifests/1"]
        registry.close()
        direct = Registry("registry.invalid:80", environ={**environ, "NO_PROXY": ".invalid"}, patience=0.1)
        direct._scheme = "http"
        with pytest.raises(ImageError) as failed:
            fetch_manifest(direct, parse_reference("registry.invalid:80/client/proxied:1"))
        assert failed.value.code == "RegistryUnreachable"
        direct.close()


def test_image_that_is_not_there(image_registry: RegistryServer) -> None:
    registry = Registry(image_registry.address)
    with pytest.raises(ImageError) as missing:
        fetch_manifest(registry, parse_reference(f"{image_registry.address}/client/nothing:1"))
    assert missing.value.code == "ImageNotFound"
    registry.close()


def test_offline_fails_at_once_and_says_what_works_without_the_network() -> None:
    """Fault 39: no network. It is not asked again, as with one."""

    def never() -> float:
        raise AssertionError("it waits")

    registry = Registry("registry.invalid", offline=True, jitter=never)  # of the waits between attempts
    with pytest.raises(ImageError) as refused:
        fetch_manifest(registry, parse_reference("registry.invalid/team/base:1"))
    assert refused.value.code == "Offline"
    assert "oci:" in refused.value.hint
    registry.close()
