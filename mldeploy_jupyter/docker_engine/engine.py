"""Opens the engine of this machine: the first endpoint that answers, and a client of the Docker SDK for it."""

from __future__ import annotations

import platform
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mldeploy_jupyter.docker_engine import endpoints
from mldeploy_jupyter.docker_engine.endpoints import EngineEndpoint, UnknownContext, find_endpoints
from mldeploy_jupyter.docker_engine.failures import EngineError, describe_unreachable, engine_errors

if TYPE_CHECKING:
    from docker import DockerClient

REQUEST_SECONDS = 60.0  # without a byte of an answer before an engine counts as hung

OLDEST_API = (1, 40)  # Docker 19.03, Podman 3

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


@dataclass(frozen=True, eq=False)
class Engine:
    """An engine that answers.

    `client` is the Docker SDK's, for an engine of either `kind`. `architecture` is that of the images it runs, in the
    words of images: amd64, arm64, ...; `api` the version of its API.
    """

    client: DockerClient
    kind: Literal["docker", "podman"]
    version: str
    api: str
    architecture: str
    endpoint: EngineEndpoint

    @property
    def platform(self) -> str:
        """The platform of the images that it runs, such as `linux/amd64`."""
        return f"linux/{self.architecture}"

    def describe(self) -> str:
        """`Docker 28.2.2 (unix:///var/run/docker.sock)`, with the name of the context that chose it."""
        name = "Podman" if self.kind == "podman" else "Docker"
        place = f"context {self.endpoint.context}, {self.endpoint.url}" if self.endpoint.context else self.endpoint.url
        return f"{name} {self.version} ({place})"

    def ping(self, seconds: float = endpoints.CONNECT_SECONDS) -> None:
        """Raises `EngineError` when it does not answer within this time."""
        api = self.client.api
        try:
            self.endpoint.require_listener()
        except OSError as error:
            raise EngineError(describe_unreachable(self.endpoint, error)) from error
        with engine_errors(self.endpoint):
            with api.get(f"{api.base_url}/_ping", timeout=seconds) as answer:
                answer.raise_for_status()

    def close(self) -> None:
        """Closes its connections. Garbage collection of the engine closes them, too."""
        self.client.close()


def open_engine(
    environ: Mapping[str, str] | None = None,
    client: DockerClient | None = None,
    *,
    timeout: float = REQUEST_SECONDS,
) -> Engine:
    """The engine that the `docker` command would use, else one of the other sockets; it has answered once.

    `environ` are the environment variables, by default the process's own. A `client` that the caller has is used as
    it is. `timeout` is the longest silence of the engine in seconds, once it has answered.

    Raises:
        EngineError: none answers, this user may not use it, it is too old, or it runs no Linux containers.
    """
    if client is not None:
        return _describe_engine(client, EngineEndpoint(str(client.api.base_url), "client"))
    try:
        found = find_endpoints(environ)
    except UnknownContext as error:
        facts = {"context": error.name, "chosen_by": error.chosen_by, "known": error.known}
        raise EngineError({"code": "engine-context", "message": str(error), **facts}) from None
    failures: list[dict[str, Any]] = []
    for endpoint in found:
        path = endpoint.socket_path
        if endpoint.origin == "default" and path is not None and not _may_exist(path):
            continue
        try:
            return _open(endpoint, timeout)
        except EngineError as error:
            failures.append(error.failure)
    if not failures:
        tried = [endpoint.url for endpoint in found]
        raise EngineError(
            {"code": "engine-absent", "message": "no engine listens", "origin": "default", "tried": tried}
        )
    # The error of an engine that refuses is more useful than that of one that is down.
    raise EngineError(next((found for found in failures if found["code"] != "engine-absent"), failures[0]))


def _may_exist(path: Path) -> bool:
    """Whether the socket exists, or is in a folder that cannot be read."""
    try:
        return path.exists()
    except OSError:
        return True


def _open(endpoint: EngineEndpoint, timeout: float) -> Engine:
    from docker.errors import DockerException, TLSParameterError

    from mldeploy_jupyter.docker_engine.client import Client

    client = None
    try:
        endpoint.require_listener()
        client = Client(
            endpoint.url,
            version="auto",
            timeout=endpoints.ANSWER_SECONDS,
            tls=_tls_config(endpoint) or False,
            use_ssh_client=endpoint.url.startswith("ssh://"),
        )
        engine = _describe_engine(client, endpoint)
    except TLSParameterError as error:
        data = {"code": "engine-tls", "message": str(error), "endpoint": endpoint.url, "folder": str(endpoint.tls)}
        raise EngineError(data) from error
    except (DockerException, OSError, ValueError) as error:  # requests' own errors are OSErrors
        if client is not None:
            client.close()
        raise EngineError(describe_unreachable(endpoint, error)) from error
    except EngineError:
        if client is not None:
            client.close()
        raise
    client.api.timeout = timeout
    weakref.finalize(engine, client.close)
    return engine


def _tls_config(endpoint: EngineEndpoint) -> Any:
    from docker.tls import TLSConfig

    if endpoint.tls is None:
        return None
    certificate, key = endpoint.tls / "cert.pem", endpoint.tls / "key.pem"
    pair = (str(certificate), str(key)) if certificate.is_file() else None
    return TLSConfig(client_cert=pair, ca_cert=str(endpoint.tls / "ca.pem"), verify=endpoint.verify)


def _describe_engine(client: DockerClient, endpoint: EngineEndpoint) -> Engine:
    """Asks the engine what it is."""
    answer = client.api.version(api_version=False)
    api, system = str(answer.get("ApiVersion") or ""), str(answer.get("Os") or "linux")
    facts = {"endpoint": endpoint.url, "version": str(answer.get("Version") or "")}
    if _parse_version(api) < OLDEST_API:
        oldest = ".".join(map(str, OLDEST_API))
        message = f"its API is {api or 'unknown'}"
        raise EngineError({"code": "engine-too-old", "message": message, "api": api, "oldest": oldest, **facts})
    if system != "linux":
        raise EngineError(
            {"code": "engine-not-linux", "message": f"it runs {system} containers", "os": system, **facts}
        )
    components = {str(part.get("Name", "")) for part in answer.get("Components") or []}
    kind: Literal["docker", "podman"] = "podman" if any("podman" in name.lower() for name in components) else "docker"
    machine = str(answer.get("Arch") or platform.machine())
    return Engine(client, kind, facts["version"], api, _ARCHITECTURES.get(machine, machine), endpoint)


def _parse_version(text: str) -> tuple[int, ...]:
    parts = text.split(".")
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else (0,)
