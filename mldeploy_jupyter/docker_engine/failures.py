"""The errors of an engine as failures: plain data with `code` and `message`, which `core.diagnosis` explains.

Most engine errors are prose only. The texts below are those of Docker 20.10 to 29 and of Podman 4 and 5.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mldeploy_jupyter.docker_engine.endpoints import EngineEndpoint

# What an engine's message contains, in lower case, and the code for it. The first that matches counts.
_MESSAGES: tuple[tuple[str, str], ...] = (
    (r"no space left on device|not enough free space|disk quota exceeded", "no-space"),
    (r"port is already allocated|address already in use|ports are not available|proxy already running", "port-in-use"),
    (r"no matching manifest|exec format error|does not match the (specified|detected|expected)", "wrong-architecture"),
    (r"cannot be used on this platform|no image found in (manifest list|image index) for", "wrong-architecture"),
    (r"toomanyrequests|too many requests|rate limit", "registry-busy"),
    (r"server gave http response to https|x509:|certificate|tls: ", "registry-certificate"),
    (r"no basic auth credentials|unauthorized|authentication required|incorrect username", "registry-refused"),
    (r"requested access to the resource is denied|access forbidden|403 forbidden", "registry-refused"),
    # A registry gives the same answer for a private repository and a missing one.
    (r"manifest unknown|manifest for .* not found|no such image|image not known|repository does not exist", "no-image"),
    (r"repository .* not found|name unknown|requested image.*not found|unable to find image", "no-image"),
    (r"no such host|dial tcp|i/o timeout|connection refused|network is unreachable|tls handshake", "registry-away"),
    (r"server misbehaving|client\.timeout exceeded|context deadline exceeded|error pinging", "registry-away"),
)


class EngineError(Exception):
    """The engine cannot be used, or did not do something. `failure` has `code`, `message` and what is known besides."""

    def __init__(self, failure: dict[str, Any]) -> None:
        super().__init__(failure.get("message", ""))
        self.failure = failure


@contextmanager
def engine_errors(endpoint: EngineEndpoint | None = None, **facts: Any) -> Iterator[None]:
    """Raises an error of the Docker SDK in its block as an `EngineError`; `facts` are added to its failure.

    The block is not run when no process listens at the endpoint.

    Facts that the explanations know are `image`, `platform`, `port` and `registry`.
    """
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    if endpoint is not None:
        try:
            endpoint.require_listener()
        except OSError as error:
            raise EngineError({**describe_unreachable(endpoint, error), **facts}) from error
    try:
        yield
    except APIError as error:
        raise EngineError({**describe_message(error.explanation or str(error)), **facts}) from error
    except (DockerException, RequestException, HTTPError, ConnectionError, TimeoutError) as error:
        raise EngineError({**describe_lost(error, endpoint), **facts}) from error


def describe_message(message: Any) -> dict[str, Any]:
    """What an engine's message says, as a failure; its code is `engine-error` when the message is an unknown one."""
    text = message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)
    lower = text.lower()
    code = next((code for pattern, code in _MESSAGES if re.search(pattern, lower)), "engine-error")
    failure: dict[str, Any] = {"code": code, "message": text}
    if code == "port-in-use" and (port := re.search(r":(\d+)\b(?!.*:\d)", text)):
        failure["port"] = int(port[1])
    return failure


def describe_lost(error: BaseException, endpoint: EngineEndpoint | None = None) -> dict[str, Any]:
    """A connection that broke while the engine was at work: it was stopped or restarted, or it hangs."""
    silent = any(isinstance(cause, TimeoutError) or "timed out" in str(cause).lower() for cause in _chain(error))
    data = {"code": "engine-silent" if silent else "engine-lost", "message": str(error)}
    return {**data, "endpoint": endpoint.url} if endpoint is not None else data


def describe_unreachable(endpoint: EngineEndpoint, error: BaseException) -> dict[str, Any]:
    """Why no engine answers at an endpoint, found out from the error and from its socket."""
    failure: dict[str, Any] = {"code": "engine-absent", "message": str(error), "endpoint": endpoint.url}
    failure["origin"] = endpoint.origin
    if endpoint.context:
        failure["context"] = endpoint.context
    system_errors = [cause for cause in _chain(error) if isinstance(cause, OSError) and cause.strerror]
    if system_errors:
        failure["message"] = system_errors[-1].strerror  # the first cause, without the words of three libraries
    numbers = {cause.errno for cause in system_errors}
    if {errno.EACCES, errno.EPERM} & numbers:
        return {**failure, "code": "engine-permission", **_describe_socket(endpoint.socket_path)}
    if any(isinstance(cause, TimeoutError) or "timed out" in str(cause).lower() for cause in _chain(error)):
        return {**failure, "code": "engine-silent"}
    return failure


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those that led to it, also where a library keeps them in its arguments."""
    waiting: list[Any] = [error]
    seen: set[int] = set()
    while waiting:
        found = waiting.pop()
        if not isinstance(found, BaseException) or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        waiting += [found.__cause__, found.__context__, getattr(found, "reason", None), *found.args]


def _describe_socket(path: Path | None) -> dict[str, Any]:
    """Who may use a socket: `group`, and `member` when the user is in it and only this session is not."""
    import grp
    import pwd

    try:
        gid = os.stat(path).st_gid if path is not None else -1
        group = grp.getgrgid(gid)
        user = pwd.getpwuid(os.getuid()).pw_name
    except (OSError, KeyError):
        return {}
    if gid == 0:  # joining root's group is not a solution
        return {"user": user}
    return {"group": group.gr_name, "user": user, "member": user in group.gr_mem and gid not in os.getgroups()}
