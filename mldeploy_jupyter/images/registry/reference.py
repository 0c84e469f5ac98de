"""References to images: `registry/repository:tag` and `registry/repository@digest`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from mldeploy_jupyter.core.errors import ImageError

DOCKER_HUB = "docker.io"

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Reference:
    """An image in a registry. `registry` is a host with its port; `tag` or `digest` may be empty."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """Registry and repository, without tag and digest."""
        return f"{self.registry}/{self.repository}"

    @property
    def version(self) -> str:
        """What a registry is asked for: the digest, else the tag, else `latest`."""
        return self.digest or self.tag or "latest"

    def with_digest(self, digest: str) -> Reference:
        """The same image, pinned."""
        return replace(self, digest=digest)

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse_reference(text: str) -> Reference:
    """The parts of a reference. As for Docker, `python:3.11` is `docker.io/library/python:3.11`.

    Raises `ImageError` for what is not a reference.
    """
    rest, at, digest = text.strip().partition("@")
    first, slash, below = rest.partition("/")
    if slash and (re.search(r"[.:\[]", first) or first == "localhost"):
        registry, rest = first, below
    else:
        registry = DOCKER_HUB
    if registry in ("index.docker.io", "registry-1.docker.io"):
        registry = DOCKER_HUB
    repository, colon, tag = rest.partition(":")
    if registry == DOCKER_HUB and "/" not in repository:
        repository = f"library/{repository}"
    problem = ""
    if not _HOST.fullmatch(registry):
        problem = f"{registry!r} is not a registry's address"
    elif not _REPOSITORY.fullmatch(repository) or len(repository) > 255:
        problem = f"{repository!r} is not a repository: its names are lower-case letters, digits and . _ -"
    elif colon and not _TAG.fullmatch(tag):
        problem = f"{tag!r} is not a tag"
    elif at and not _DIGEST.fullmatch(digest):
        problem = f"{digest!r} is not a sha256 digest"
    if problem:
        raise ImageError(
            f"{text!r} does not name an image",
            why=problem,
            hint="write registry/repository:tag, such as registry.example.com/team/churn:1",
            code="InvalidReference",
        )
    return Reference(registry, repository, tag, digest)


def is_loopback(registry: str) -> bool:
    """Whether the registry is on this machine, where plain HTTP is allowed and no proxy is asked."""
    host = registry.rpartition(":")[0] if re.search(r":\d+$", registry) else registry
    return host in ("localhost", "[::1]") or bool(re.fullmatch(r"127(\.\d{1,3}){3}", host))
