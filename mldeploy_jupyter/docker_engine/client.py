"""The Docker SDK's client, which also closes its sockets when the engine does not accept a connection.

Podman's answers about a removed container are turned into those of Docker.

Imports the SDK, so only functions that open an engine import this module.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from docker import APIClient, DockerClient
from docker.transport import UnixHTTPAdapter
from docker.transport.unixconn import UnixHTTPConnection, UnixHTTPConnectionPool

if TYPE_CHECKING:
    from requests import Response


class Client(DockerClient):  # type: ignore[misc]
    """A `DockerClient`. The arguments are those of `docker.APIClient`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.api = _ApiClient(*args, **kwargs)


class _ApiClient(APIClient):  # type: ignore[misc]
    def mount(self, prefix: str, adapter: Any) -> None:
        if type(adapter) is UnixHTTPAdapter:
            adapter = _Adapter(adapter.socket_path, adapter.timeout, max_pool_size=adapter.max_pool_size)
        super().mount(prefix, adapter)

    def _raise_for_status(self, response: Response) -> None:
        # Podman's answer when the container of a request is removed during the request.
        if response.status_code == 500 and b"no such container" in response.content:
            response.status_code = 404
        super()._raise_for_status(response)


class _Adapter(UnixHTTPAdapter):  # type: ignore[misc]
    def get_connection(self, url: str, proxies: Any = None) -> _Pool:
        with self.pools.lock:
            pool: _Pool | None = self.pools.get(url)
            if pool is None:
                pool = self.pools[url] = _Pool(url, self.socket_path, self.timeout, maxsize=self.max_pool_size)
            return pool


class _Pool(UnixHTTPConnectionPool):  # type: ignore[misc]
    def _new_conn(self) -> _Connection:
        return _Connection(self.base_url, self.socket_path, self.timeout)


class _Connection(UnixHTTPConnection):  # type: ignore[misc]
    def connect(self) -> None:
        """As in the SDK, which leaves the socket to the garbage collector when the connection is refused."""
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(self.timeout)
            connection.connect(self.unix_socket)
        except BaseException:
            connection.close()
            raise
        self.sock = connection
