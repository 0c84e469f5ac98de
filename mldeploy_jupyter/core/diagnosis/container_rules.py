"""Rules about container engines, images and containers. Failures come from `docker_engine.failures`."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from mldeploy_jupyter.core.diagnosis.cause import Cause
from mldeploy_jupyter.core.diagnosis.facts import Facts, shorten
from mldeploy_jupyter.core.diagnosis.source_map import UNKNOWN_LOCATION

PROCESS_HINT = 'or deploy without an engine: engine="process" (--engine process)'


def engine_unusable(facts: Facts) -> Cause | None:
    """An engine that cannot be reached or used."""
    make = _ENGINE.get(facts.code)
    return make(facts) if make is not None else None


def engine_lost(facts: Facts) -> Cause | None:
    if facts.code != "engine-lost":
        return None
    why = "it broke in the middle of a request, as when the engine is stopped or restarted"
    if since := _text(facts, "restarted"):
        why = f"the engine was restarted at {since}"
    hint = f"{facts.deploy_hint()}: it continues from what is already there"
    return _cause(facts, "the connection to the container engine was lost", why, hint)


def engine_error(facts: Facts) -> Cause | None:
    if facts.code != "engine-error":
        return None
    hint = "read the engine's own log (journalctl -u docker, or that of its program)"
    return _cause(facts, "the container engine refused", facts.message or "it gave no reason", hint)


def no_space(facts: Facts) -> Cause | None:
    if facts.code != "no-space":
        return None
    root = _text(facts, "root")
    where = f"the disk of the container engine is full{f' ({root})' if root else ''}"
    hint = "see what takes the space with `docker system df`; remove what no service of yours uses with "
    hint += f"`mldeploy prune`, then {facts.deploy_hint()}"
    return _cause(facts, "there is no space left for the image or container", where, hint, root=root)


def image_missing(facts: Facts) -> Cause | None:
    if facts.code != "no-image":
        return None
    image = _image(facts)
    why = shorten(facts.message, 300)
    hint = f"check its name and tag, or pull it yourself: docker pull {image or 'IMAGE'}"
    if facts.failure.get("own"):
        hint = f"{facts.deploy_hint()}: its image is built again"
    return _cause(facts, f"the image {image} is not there".replace("  ", " "), why, hint, image=image)


def registry_refuses(facts: Facts) -> Cause | None:
    if facts.code not in ("registry-refused", "registry-away", "registry-busy", "registry-certificate"):
        return None
    image, registry = _image(facts), _text(facts, "registry") or _registry_of(_image(facts))
    to = f" to {image}" if image and facts.code == "registry-refused" else ""
    what = f"the registry {registry} {_REGISTRY_WORDS[facts.code]}{to}".replace("  ", " ")
    again, login = facts.deploy_hint(), f"docker login {registry}".strip()
    hint = {
        "registry-refused": f"log in with `{login}`, or give base_image_registry, then {again}",
        "registry-away": "check the network and the proxy of the engine, or start from a registry that you can reach: "
        "mldeploy workspace update --base-image REGISTRY/IMAGE",
        "registry-busy": f"wait some minutes, or log in with `{login}`, then {again}",
        "registry-certificate": "give the engine the certificate of the registry's authority, or take another registry",
    }[facts.code]
    return _cause(facts, what, shorten(facts.message, 300), hint, image=image, registry=registry)


def wrong_architecture(facts: Facts) -> Cause | None:
    if facts.code != "wrong-architecture":
        return None
    image, found, needed = _image(facts), _text(facts, "found"), _text(facts, "platform")
    what = f"the image {image} is for another architecture".replace("  ", " ")
    why = f"it is for {found}, and the engine runs {needed}" if found and needed else shorten(facts.message, 300)
    hint = f"take an image for {needed or 'the architecture of the engine'}"
    return _cause(facts, what, why, hint, image=image, found=found, platform=needed)


def container_exited(facts: Facts) -> Cause | None:
    if facts.code != "container-exited":
        return None
    status, last = facts.failure.get("exit_code"), shorten(facts.last_log_line, 200)
    why = f"it ended with exit code {status}" + (f"; its last line was: {last}" if last else " and printed nothing")
    if status in (126, 127):
        why = f"the program of its image cannot be run (exit code {status})" + (f": {last}" if last else "")
    hint = f"read its log with `mldeploy service get-logs -n {facts.service}`, then {facts.deploy_hint()}"
    return _cause(facts, "the container ended before the service was ready", why, hint, exit_code=status)


def _absent(facts: Facts) -> Cause:
    endpoint, context, origin = (_text(facts, name) for name in ("endpoint", "context", "origin"))
    data = {"endpoint": endpoint, "context": context, "tried": facts.texts("tried")}
    if context:
        return Cause(
            "engine-context",
            f"the engine of the Docker context {context} does not answer",
            f"{endpoint}: {facts.message}",
            f"start it, choose another context with `docker context use NAME`, {PROCESS_HINT}",
            data={key: value for key, value in data.items() if value},
        )
    if origin == "DOCKER_HOST":
        hint = f"start it, correct or unset DOCKER_HOST, {PROCESS_HINT}"
        return _cause(facts, "no container engine answers at DOCKER_HOST", f"{endpoint}: {facts.message}", hint, **data)
    why = f"{endpoint}: {facts.message}" if endpoint else "neither Docker nor Podman has a socket on this machine"
    return _cause(facts, "no container engine answers", why, f"start Docker, {PROCESS_HINT}", **data)


def _permission(facts: Facts) -> Cause:
    endpoint, group, user = (_text(facts, name) for name in ("endpoint", "group", "user"))
    why = f"this user may not open {endpoint}"
    hint = f"ask the administrator of this machine for a rootless engine, {PROCESS_HINT}"
    if group:
        why += f", which belongs to the group {group}"
        hint = f"have yourself added to it with `sudo usermod -aG {group} {user or '$USER'}` and log in again"
        hint += f", {PROCESS_HINT}"
        if facts.failure.get("member"):
            why += f"; {user} is in it, but this session began before"
            hint = f"log out and in again, or start Jupyter from `newgrp {group}`, {PROCESS_HINT}"
    return _cause(facts, "the container engine may not be used", why, hint, group=group, endpoint=endpoint)


def _context(facts: Facts) -> Cause:
    name, chosen_by, known = _text(facts, "context"), _text(facts, "chosen_by"), facts.texts("known")
    why = f"{chosen_by} chooses it; there {'are' if len(known) else 'is'} {', '.join(['default', *known])}"
    if not known:
        why = f"{chosen_by} chooses it; there is only the default one"
    hint = f"choose one with `docker context use NAME`, or unset DOCKER_CONTEXT, {PROCESS_HINT}"
    return _cause(facts, f"there is no Docker context {name}", why, hint, context=name, known=known)


def _silent(facts: Facts) -> Cause:
    endpoint, context = _text(facts, "endpoint"), _text(facts, "context")
    what = f"the container engine{f' of the context {context}' if context else ''} does not answer"
    hint = f"restart it (systemctl restart docker), or point DOCKER_HOST elsewhere, {PROCESS_HINT}"
    return _cause(
        facts, what, f"{endpoint or 'it'} accepts connections and does not answer in time", hint, endpoint=endpoint
    )


def _too_old(facts: Facts) -> Cause:
    version, api, oldest = (_text(facts, name) for name in ("version", "api", "oldest"))
    why = f"version {version} speaks API {api}, and {oldest} is needed"
    return _cause(facts, "the container engine is too old", why, f"install a newer one, {PROCESS_HINT}", api=api)


def _not_linux(facts: Facts) -> Cause:
    system = _text(facts, "os")
    hint = f"switch it to Linux containers, {PROCESS_HINT}"
    return _cause(
        facts, f"the container engine runs {system.title()} containers", "services run in Linux containers", hint
    )


def _tls(facts: Facts) -> Cause:
    folder = _text(facts, "folder")
    why = f"{folder} has no usable ca.pem, cert.pem and key.pem"
    hint = f"correct DOCKER_CERT_PATH or the context, {PROCESS_HINT}"
    return _cause(facts, "the certificates for the container engine cannot be used", why, hint, folder=folder)


def _remote(facts: Facts) -> Cause:
    endpoint = _text(facts, "endpoint")
    why = f"{endpoint} is on another machine, and a local service listens on the loopback address of this one"
    hint = f"choose an engine of this machine with `docker context use default`, {PROCESS_HINT}"
    return _cause(facts, "the container engine is on another machine", why, hint, endpoint=endpoint)


_ENGINE: dict[str, Callable[[Facts], Cause]] = {
    "engine-absent": _absent,
    "engine-permission": _permission,
    "engine-context": _context,
    "engine-silent": _silent,
    "engine-too-old": _too_old,
    "engine-not-linux": _not_linux,
    "engine-tls": _tls,
    "engine-remote": _remote,
}

_REGISTRY_WORDS = {
    "registry-refused": "refuses access",
    "registry-away": "cannot be reached",
    "registry-busy": "asks to wait",
    "registry-certificate": "has no certificate that the engine trusts",
}


def _cause(facts: Facts, what: str, why: str, hint: str, **data: object) -> Cause:
    return facts.cause(facts.code, what, why, hint, UNKNOWN_LOCATION, **data)


def _text(facts: Facts, name: str) -> str:
    value = facts.failure.get(name)
    return shorten(str(value)) if isinstance(value, str | int) and value else ""


def _image(facts: Facts) -> str:
    return _text(facts, "image")


def _registry_of(image: str) -> str:
    """The host that an image's name begins with; "" for one of the engine's default registry."""
    host = urlsplit(f"//{image}").netloc if "/" in image else ""
    return host if "." in host or ":" in host or host == "localhost" else ""
