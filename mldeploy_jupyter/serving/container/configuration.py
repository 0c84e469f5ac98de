"""The configuration of a container: `service.json` of its image, and its environment variables."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..settings import Settings

SERVICE_FILE = "/opt/mldeploy/service.json"

STATE_FOLDER = "/var/lib/mldeploy"

APP_ROOT = "/var/azureml-app"  # v1's AML_APP_ROOT in its images

LISTEN = "0.0.0.0:5001"

STOP_SECONDS = 8.0  # `docker stop` kills after ten

FORMAT = 1

# Settings with paths in the image, which only the image knows. `CODE_PLACES` change with the code.
IMAGE_PLACES = ("python", "server_path", "server_digest", "model_dir")
CODE_PLACES = ("source_directory", "entry_script")


EXIT_WRONG_CONFIGURATION = 2

EXIT_PORT_IN_USE = 98


class ConfigurationError(Exception):
    """A file or variable is missing or wrong. `hint` says what to do."""

    def __init__(self, cause: str, hint: str) -> None:
        super().__init__(cause)
        self.hint = hint


@dataclass(frozen=True)
class Configuration:
    """`settings` are complete except for `app_root`. `image_app` is the image's copy of the code and models.

    `origin` is a digest of the image's configuration and MLDEPLOY_SETTINGS: when it differs from that of the start
    before, the state of that start is ignored. `stated` are the names that MLDEPLOY_SETTINGS gave. `listener` is
    the socket through which another process hands over the listening socket; None when this process listens itself.
    """

    folder: Path
    image_app: Path
    settings: Settings
    stated: frozenset[str]
    origin: str
    host: str
    port: int
    listener: Path | None
    standby: bool
    stop_seconds: float
    stop_delay: float


def read_configuration(environ: Mapping[str, str]) -> Configuration:
    """Raises `ConfigurationError`."""
    path = Path(environ.get("MLDEPLOY_SERVICE_FILE") or SERVICE_FILE)
    service = _read_service(path)
    text = environ.get("MLDEPLOY_SETTINGS") or "{}"
    given = _parse_object(text, "MLDEPLOY_SETTINGS")
    settings = complete_settings(service, {**service.get("defaults", {}), **given}, "MLDEPLOY_SETTINGS")
    host, port = listen_address(environ)
    listener, standby = listener_path(environ), environ.get("MLDEPLOY_STANDBY", "") not in ("", "0")
    if standby and listener is None:
        hint = "set MLDEPLOY_LISTENER, too: a container that listens by itself cannot wait for another one"
        raise ConfigurationError("MLDEPLOY_STANDBY without MLDEPLOY_LISTENER", hint)
    told = json.dumps([service, given], sort_keys=True)
    return Configuration(
        folder=Path(environ.get("MLDEPLOY_FOLDER") or STATE_FOLDER).absolute(),
        image_app=Path(service.get("app_root") or APP_ROOT),
        settings=settings,
        stated=frozenset(given),
        origin=hashlib.sha256(told.encode()).hexdigest(),
        host=host,
        port=port,
        listener=listener,
        standby=standby,
        stop_seconds=_read_seconds(environ, "MLDEPLOY_STOP_SECONDS", STOP_SECONDS),
        stop_delay=_read_seconds(environ, "MLDEPLOY_STOP_DELAY", 0.0),
    )


def complete_settings(service: Mapping[str, Any], settings: Mapping[str, Any], name: str) -> Settings:
    """The settings with the image's own values added. `name` is where they come from, for errors.

    Raises `ConfigurationError`.
    """
    places = {place: service[place] for place in (*IMAGE_PLACES, *CODE_PLACES) if place in service}
    given = settings.get("env")
    env = {**service.get("env", {}), **(given if isinstance(given, dict) else {})}
    try:
        return Settings.from_dict({**settings, **places, "env": env})
    except TypeError as error:
        raise ConfigurationError(f"{name}: {error}", "correct it, and start the container again") from None


def _read_service(path: Path) -> dict[str, Any]:
    hint = "build the image again, with `mldeploy image build`"
    try:
        service = _parse_object(path.read_text(), str(path))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}", hint) from None
    if service.get("format") != FORMAT:
        raise ConfigurationError(f"{path} has the format {service.get('format')!r}, not {FORMAT}", hint)
    return service


def _read_seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    try:
        return max(0.0, float(environ.get(name) or default))
    except ValueError:
        raise ConfigurationError(f"{name} is not a number: {environ[name]!r}", "give seconds, such as 5") from None


def _parse_object(text: str, name: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{name} is not JSON: {error}", "give one JSON object") from None
    if not isinstance(data, dict):
        raise ConfigurationError(f"{name} is not a JSON object", "give one JSON object")
    return data


def listener_path(environ: Mapping[str, str]) -> Path | None:
    """Where supervisors get the listening socket, if another process owns it."""
    path = environ.get("MLDEPLOY_LISTENER")
    return Path(path).absolute() if path else None


def listen_address(environ: Mapping[str, str]) -> tuple[str, int]:
    """Host and port. Raises `ConfigurationError`."""
    text = environ.get("MLDEPLOY_LISTEN") or LISTEN
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigurationError(f"MLDEPLOY_LISTEN is not an address: {text!r}", "give one such as 0.0.0.0:5001")
    return host, int(port)


def take_secret(environ: dict[str, str] | os._Environ[str], name: str) -> str:
    """The value of a variable, or the content of the file that `<name>_FILE` names; "" for neither.

    The variable is removed: a worker inherits the environment, and no script needs the keys. Raises
    `ConfigurationError`.
    """
    path = environ.get(f"{name}_FILE", "")
    value = environ.pop(name, "")
    if not path:
        return value.strip()
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{name}_FILE cannot be read: {error}", "mount the file, or correct its name"
        ) from None
