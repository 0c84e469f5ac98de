"""The machine's settings in a build, and their removal from its output."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from mldeploy_jupyter.images.types import BuildSecrets


def needs_host_network(secrets: BuildSecrets) -> bool:
    """Whether an address in the settings is on this machine's loopback, which a container's own network lacks."""
    return any(_is_loopback(value) for value in [*secrets.proxies.values(), *secrets.variables.values()])


def _is_loopback(address: str) -> bool:
    found = re.findall(r"\w+://[^\s,]+", address)
    return any((urlsplit(url).hostname or "") in ("localhost", "::1") or _in_127(url) for url in found)


def _in_127(url: str) -> bool:
    return (urlsplit(url).hostname or "").startswith("127.")


def redact(text: str, secrets: BuildSecrets) -> str:
    """The text without passwords: those in addresses, and those of variables that hold nothing else."""
    for name, value in secrets.variables.items():
        if name.endswith(("_PASSWORD", "_USERNAME")):
            text = text.replace(value, "****")
    for value in [*secrets.proxies.values(), *secrets.variables.values()]:
        for url in re.findall(r"\w+://[^\s,]+", value):
            password = _password(url)
            text = text.replace(password, "****") if password else text
    if secrets.registry_password:
        text = text.replace(secrets.registry_password, "****")
    return re.sub(r"(://)[^/@\s]+@", r"\1****@", text)


def _password(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""
