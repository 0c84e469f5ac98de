"""Where a Docker engine may listen: the endpoint of the `docker` command, then the usual sockets, Podman's last."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

DEFAULT_CONTEXT = "default"

CONNECT_SECONDS = 2.0  # for an engine to accept a connection, and to answer a ping

ANSWER_SECONDS = 5.0  # for an engine to describe itself: Podman runs programs for it, for seconds on a busy machine


@dataclass(frozen=True)
class EngineEndpoint:
    """An address of an engine.

    `origin` says who named it: "DOCKER_HOST", "context" (then `context` is its name) or "default". `tls` is the folder
    with `ca.pem`, `cert.pem` and `key.pem` of an engine behind TLS, else None; with `verify`, its certificate is
    checked.
    """

    url: str
    origin: str = "default"
    context: str = ""
    tls: Path | None = None
    verify: bool = True

    @property
    def socket_path(self) -> Path | None:
        """The path of its Unix socket; None for an engine that is reached over a network."""
        return Path(urlsplit(self.url).path) if self.url.startswith("unix://") else None

    def require_listener(self) -> None:
        """Raises `OSError` when no process listens on its Unix socket; a network address is not tried.

        This distinguishes an engine that is down from one that was lost during a request.
        """
        path = self.socket_path
        if path is not None:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(CONNECT_SECONDS)
                probe.connect(str(path))

    @property
    def is_local(self) -> bool:
        """Whether ports that it publishes on the loopback address are reachable from this machine."""
        return self.socket_path is not None or urlsplit(self.url).hostname in ("127.0.0.1", "::1", "localhost")


class UnknownContext(Exception):
    """The chosen context does not exist. `known` are the names of existing ones."""

    def __init__(self, name: str, chosen_by: str, known: list[str]) -> None:
        super().__init__(f"there is no context {name}")
        self.name, self.chosen_by, self.known = name, chosen_by, known


def find_endpoints(environ: Mapping[str, str] | None = None) -> list[EngineEndpoint]:
    """The endpoints to try, the best first.

    An engine that the user chose, by `DOCKER_HOST` or a context, is the only one: no other takes its place.

    Raises:
        UnknownContext: the chosen context does not exist, or its file is damaged.
    """
    environ = os.environ if environ is None else environ
    folder = _config_folder(environ)
    host = environ.get("DOCKER_HOST")
    if host:
        return [_endpoint_of_host(host, environ, folder)]
    name, chosen_by = environ.get("DOCKER_CONTEXT", ""), "DOCKER_CONTEXT"
    if not name:
        name, chosen_by = _current_context(folder), str(folder / "config.json")
    if name and name != DEFAULT_CONTEXT:
        return [_read_context(folder, name, chosen_by)]
    return [EngineEndpoint(f"unix://{path}") for path in _default_sockets(environ)]


def list_contexts(folder: Path) -> list[str]:
    """The names of the contexts that the Docker configuration in `folder` has, besides the default one."""
    found = []
    for path in sorted(folder.glob("contexts/meta/*/meta.json")):
        name = _read_json(path).get("Name")
        if isinstance(name, str):
            found.append(name)
    return sorted(found)


def _default_sockets(environ: Mapping[str, str]) -> list[Path]:
    home, runtime = Path(environ.get("HOME") or Path.home()), environ.get("XDG_RUNTIME_DIR")
    run = Path(runtime) if runtime else Path(f"/run/user/{os.getuid()}")
    docker = [Path("/var/run/docker.sock"), run / "docker.sock", home / ".docker/run/docker.sock"]
    desktop = [home / ".docker/desktop/docker.sock", home / ".colima/default/docker.sock", home / ".rd/docker.sock"]
    podman = [run / "podman/podman.sock", Path("/run/podman/podman.sock")]
    return [*docker, *desktop, *podman]


def _endpoint_of_host(host: str, environ: Mapping[str, str], folder: Path) -> EngineEndpoint:
    # As the docker command reads them: any value of DOCKER_TLS_VERIFY but "" turns TLS and its checks on.
    verify = bool(environ.get("DOCKER_TLS_VERIFY"))
    uses_tls = verify or bool(environ.get("DOCKER_TLS"))
    tls = Path(environ.get("DOCKER_CERT_PATH") or folder) if uses_tls else None
    return EngineEndpoint(host, "DOCKER_HOST", tls=tls, verify=verify)


def _config_folder(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME") or Path.home()) / ".docker")


def _current_context(folder: Path) -> str:
    name = _read_json(folder / "config.json").get("currentContext")
    return name if isinstance(name, str) else ""


def _read_context(folder: Path, name: str, chosen_by: str) -> EngineEndpoint:
    digest = hashlib.sha256(name.encode()).hexdigest()  # the name of its folder
    endpoints = _read_json(folder / "contexts/meta" / digest / "meta.json").get("Endpoints")
    docker = endpoints.get("docker") if isinstance(endpoints, dict) else None
    host = docker.get("Host") if isinstance(docker, dict) else None
    if not isinstance(docker, dict) or not isinstance(host, str) or not host:
        raise UnknownContext(name, chosen_by, list_contexts(folder))
    tls = folder / "contexts/tls" / digest / "docker"
    verify = not docker.get("SkipTLSVerify")
    return EngineEndpoint(host, "context", name, tls if tls.is_dir() else None, verify)


def _read_json(path: Path) -> dict[str, object]:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
