"""A Jupyter server with the extension, as a process, and requests to it as any program could send them."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.deployment.conftest import site
from tests.polling import wait_until
from tests.ports import free_port

__all__ = ["server", "site", "start_server"]

TOKEN = "secret-token"
EXTENSIONS = {"mldeploy_jupyter": True, "jupyterlab": False, "notebook_shim": False, "notebook": False,
              "jupyter_lsp": False, "jupyter_server_terminals": False}  # fmt: skip


class Reply:
    """The answer to one request."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.content = response.status, response.headers, response.read()

    @property
    def data(self) -> Any:
        return json.loads(self.content)

    @property
    def code(self) -> str:
        """The code of the failure, which has the form that every failure has."""
        assert self.headers["Content-Type"].partition(";")[0] == "application/json"
        assert {"code", "error", "cause", "hint"} <= set(self.data)
        return str(self.data["code"])


class Stream:
    """An open stream of events. Reads only when it is told to."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self.connection, self.response = connection, response
        self.messages: list[dict[str, Any]] = []
        self.id = str(self.until(lambda one: "stream" in one)["stream"])

    def until(self, wanted: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """Reads up to the first message that is wanted, and returns it."""
        while True:
            line = self.response.readline()
            if not line:
                raise EOFError("the stream has ended")
            if line.startswith(b"data: "):
                self.messages.append(json.loads(line[6:]))
                if wanted(self.messages[-1]):
                    return self.messages[-1]

    def close(self) -> None:
        self.response.close()
        self.connection.close()


class Server:
    """A running Jupyter server. `arguments` are its own."""

    def __init__(self, folder: Path, *arguments: str, token: str = TOKEN, base_url: str = "/") -> None:
        self.token, self.base_url = token, base_url
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "config"
        config.mkdir(exist_ok=True)
        (config / "jupyter_server_config.json").write_text(
            json.dumps({"ServerApp": {"jpserver_extensions": EXTENSIONS}})
        )
        self._log = folder / "server.log"
        names = ("CONFIG", "DATA", "RUNTIME")
        environment = {**os.environ, **{f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in names}}
        self._command = [
            sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", "--ip=127.0.0.1",
            f"--port={self.port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}",
            f"--ServerApp.base_url={base_url}", f"--ServerApp.root_dir={folder}", *arguments,
        ]  # fmt: skip
        self._environment, self._folder = environment, folder
        self._streams: list[Stream] = []
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, env=self._environment, cwd=self._folder, stdout=log, stderr=log, start_new_session=True
            )
        wait_until(self._answers, 120, lambda: self.log)

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    @property
    def pid(self) -> int:
        return self.process.pid

    def api(self, path: str) -> str:
        return f"{self.base_url}mldeploy/api/{path}"

    def send(
        self,
        method: str,
        path: str,
        body: bytes | dict[str, Any] | None = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Sends a request to a route, signed in unless `token` says otherwise. The path is sent as it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            return Reply(self._send(connection, method, path, body, token, headers))
        finally:
            connection.close()

    def get(self, path: str, **options: Any) -> Reply:
        return self.send("GET", path, **options)

    def post(self, path: str, body: bytes | dict[str, Any] | None = None, **options: Any) -> Reply:
        return self.send("POST", path, {} if body is None else body, **options)

    def stream(self, *subscriptions: dict[str, Any], receive_buffer: int = 0, **options: Any) -> Stream:
        """Opens a stream with these subscriptions. It is closed at the end of the test, at the latest."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        if receive_buffer:
            found = socket.socket()
            found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            found.connect(("127.0.0.1", self.port))
            connection.sock = found
        body = {"subscriptions": list(subscriptions)}
        response = self._send(connection, "POST", "stream", body, options.get("token"), options.get("headers"))
        assert response.status == 200, response.read()
        self._streams.append(Stream(connection, response))
        return self._streams[-1]

    def close_streams(self) -> None:
        """Closes those that are open, also the ones of a test that failed."""
        while self._streams:
            self._streams.pop().close()

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | dict[str, Any] | None,
        token: str | None,
        headers: dict[str, str] | None,
    ) -> http.client.HTTPResponse:
        token = self.token if token is None else token
        sent = {"Authorization": f"token {token}"} if token else {}
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        if body is not None:
            sent["Content-Type"] = "application/json"
        connection.request(method, self.api(path), body, {**sent, **(headers or {})})
        return connection.getresponse()

    def end(self) -> None:
        """Ends the server as a system does."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)  # its own group, made by start_new_session
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(20)

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", f"{self.base_url}api")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


StartServer = Callable[..., Server]


@pytest.fixture(scope="module")
def started() -> Iterator[list[Server]]:
    """The servers of a module, which end with it."""
    found: list[Server] = []
    yield found
    for server in found:
        server.end()


@pytest.fixture(autouse=True)
def _streams_are_closed(started: list[Server]) -> Iterator[None]:
    yield
    for server in started:
        server.close_streams()


@pytest.fixture(scope="module")
def start_server(tmp_path_factory: pytest.TempPathFactory, started: list[Server]) -> StartServer:
    """Starts servers, which end with the module."""

    def start(*arguments: str, **options: Any) -> Server:
        started.append(Server(tmp_path_factory.mktemp("server"), *arguments, **options))
        return started[-1]

    return start


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    """A server as JupyterHub starts it: below a base URL, with a token."""
    return start_server(base_url="/user/x/")
