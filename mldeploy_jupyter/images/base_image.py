"""The base image: found or pulled, and checked for what the server needs before the long steps."""

from __future__ import annotations

import hashlib
import re
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.core.files import make_private_dir, read_json_if_valid, write_json
from mldeploy_jupyter.docker_engine import EngineError, engine_errors
from mldeploy_jupyter.docker_engine.failures import describe_message
from mldeploy_jupyter.images.engine.stream import EngineStream

if TYPE_CHECKING:
    from docker.models.containers import Container

    from mldeploy_jupyter.docker_engine import Engine
    from mldeploy_jupyter.images.types import BuildSecrets, Cancel, Emit

OLDEST_GLIBC = (2, 17)  # of the wheels on PyPI (manylinux2014), and of uv

PROBE_SECONDS = 60  # for the probe in a container of the base image

# Run by the base image's shell; prints one fact a line. It needs no network and writes nothing.
PROBE = r"""
for file in /lib/ld-musl-* /usr/lib/ld-musl-*; do [ -e "$file" ] && echo "libc musl"; done
version=$( (getconf GNU_LIBC_VERSION || ldd --version) 2>/dev/null | head -n 1) && echo "libc $version"
seen=
for file in $(command -v python3) $(command -v python) /usr/local/bin/python3.?? /usr/bin/python3.?? \
    /opt/conda/bin/python; do
  [ -x "$file" ] || continue
  "$file" -c 'import os, sys
print("python %d.%d.%d" % sys.version_info[:3], os.path.realpath(sys.executable))' 2>/dev/null
done
for tool in apt-get dnf microdnf yum zypper apk; do command -v $tool >/dev/null && echo "installer $tool"; done
[ -r /etc/os-release ] && . /etc/os-release && echo "system $PRETTY_NAME"
dpkg-query -W -f 'package deb ${Package} ${Version} ${Architecture}\n' 2>/dev/null
rpm -qa --qf 'package rpm %{NAME} %{VERSION}-%{RELEASE} %{ARCH}\n' 2>/dev/null
echo end
"""


@dataclass(frozen=True)
class BaseImage:
    """A base image that the engine has. `digest` is that of its manifest in a registry, "" for one that is only here.

    `packages` are those of its system, each [kind, name, version, architecture]; `pythons` are the full versions.
    """

    reference: str
    id: str
    digest: str
    platform: str
    size: int = 0
    system: str = ""
    libc: str = ""
    pythons: list[str] = field(default_factory=list)
    installers: list[str] = field(default_factory=list)
    packages: list[list[str]] = field(default_factory=list)

    @property
    def pinned(self) -> str:
        """The immutable reference: with the digest, or the id of an image that no registry has."""
        return f"{_repository(self.reference)}@{self.digest}" if self.digest else self.id

    def find_python(self, version: str) -> str:
        """The version of its Python of that minor version ("3.11.7" asks for any 3.11: wheels fit all), or ""."""
        return next((found for found in self.pythons if same_minor(found, version)), "")


def same_minor(one: str, other: str) -> bool:
    """Whether two versions of Python differ in the patch at most."""
    return one.split(".")[:2] == other.split(".")[:2]


def own_python(base: BaseImage) -> str:
    """The full version of the Python that the base calls python3, for an environment over its packages.

    Raises `ImageError` when it has none, or one that the scoring server does not run with.
    """
    from mldeploy_jupyter.serving.requirements import PYTHON_FLOOR

    floor = ".".join(map(str, PYTHON_FLOOR))
    found = base.pythons[0] if base.pythons else ""
    if not found or tuple(map(int, found.split(".")[:2])) < PYTHON_FLOOR:
        raise ImageError(
            f"{base.reference} cannot be used with user_managed_dependencies",
            why=f"its own Python is {found}" if found else "it has no Python of its own on its PATH",
            hint=f"name a base_image with Python {floor} or later, or list packages, which come with one",
            code="BaseWithoutPython",
        )
    return found


def find(engine: Engine, reference: str, platform: str, secrets: BuildSecrets, emit: Emit, cancel: Cancel) -> BaseImage:
    """The image `reference` in the engine, pulled if it is not there. Nothing of it is run.

    Raises:
        EngineError: no registry has it, or refuses; it is for another system or architecture.
    """
    data = _inspect(engine, reference, platform)
    if data is None:
        pull(engine, reference, platform, secrets, emit, cancel)
        data = _inspect(engine, reference, platform, required=True)
    assert data is not None
    found = f"{data.get('Os') or 'linux'}/{data.get('Architecture')}"
    if found.split("/")[0] != "linux":
        _fail("base-not-linux", reference, f"it is an image for {found}", found=found)
    if found != platform:
        _fail("wrong-architecture", reference, f"it is for {found}", found=found, platform=platform)
    digest = _digest_of(reference, data.get("RepoDigests") or [])
    return BaseImage(reference, data["Id"], digest, found, int(data.get("Size") or 0))


def _digest_of(reference: str, known: list[str]) -> str:
    """The digest that the reference's own repository has for the image; "" when it has none."""
    if "@" in reference:
        return reference.partition("@")[2]
    repository = _full_name(_repository(reference))
    return next((text.partition("@")[2] for text in known if _full_name(text.partition("@")[0]) == repository), "")


def _repository(reference: str) -> str:
    """A reference without tag and digest; a colon in its first part is that of a port."""
    head, slash, last = reference.partition("@")[0].rpartition("/")
    return head + slash + last.partition(":")[0]


def _full_name(repository: str) -> str:
    """The repository with the parts that Docker leaves out and Podman writes: docker.io/library/python."""
    first, slash, _ = repository.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return repository
    return f"docker.io/{repository}" if slash else f"docker.io/library/{repository}"


def pull(engine: Engine, reference: str, platform: str, secrets: BuildSecrets, emit: Emit, cancel: Cancel) -> None:
    """Pulls an image, with progress. Raises `EngineError`."""
    from docker import auth
    from docker.utils import parse_repository_tag

    name, tag = parse_repository_tag(reference)
    registry, _ = auth.resolve_repository_name(name)
    with engine_errors(engine.endpoint, image=reference):
        header = auth.get_config_header(engine.client.api, registry)  # of `docker login`, with its helpers
    if secrets.registry_username:
        login = {"username": secrets.registry_username, "password": secrets.registry_password}
        header = auth.encode_header({**login, "serveraddress": registry})
    params = {"fromImage": name, "tag": tag or "latest"}
    if platform != engine.platform:
        params["platform"] = platform
    headers = {"X-Registry-Auth": header} if header else {}
    layers: dict[str, tuple[int, int]] = {}
    try:
        with EngineStream(engine, "/images/create", params, headers=headers) as stream:
            for event in stream.events(cancel):
                if event.get("error"):
                    raise EngineError(describe_message(event["error"]))
                _report_pull(event, reference, layers, emit)
    except EngineError as error:
        raise EngineError({**error.failure, "image": reference, "registry": registry, "platform": platform}) from error


def _report_pull(event: dict[str, Any], reference: str, layers: dict[str, tuple[int, int]], emit: Emit) -> None:
    status, layer, detail = str(event.get("status", "")), str(event.get("id", "")), event.get("progressDetail") or {}
    if status == "Downloading" and detail.get("total"):
        before = sum(done for done, _ in layers.values())
        layers[layer] = (int(detail["current"]), int(detail["total"]))
        done, total = (sum(part) for part in zip(*layers.values(), strict=True))
        if done * 20 // max(total, 1) != before * 20 // max(total, 1):
            emit("image", "progress", f"Pull {reference}", sent=done, total=total)
    elif status not in ("Downloading", "Extracting", "Waiting", "Verifying Checksum", "Download complete"):
        emit("image", "log", " ".join(part for part in (layer, status) if part))


def inspect_content(engine: Engine, base: BaseImage, cancel: Cancel, cache: Path | None = None) -> BaseImage:
    """The image with facts from a container of it: C library, Pythons, packages.

    The container runs once for each image: `cache` is a folder for the results.

    Raises:
        EngineError: it has no shell, or its container cannot be run.
    """
    known = recall_content(base, cache)
    if known.libc:
        return known
    output = _run_probe(engine, base, cancel)
    facts = [line.split(" ", 1) for line in output.splitlines() if " " in line]
    values: dict[str, list[str]] = {}
    for kind, value in facts:
        values.setdefault(kind, []).append(value)
    probed = BaseImage(
        base.reference,
        base.id,
        base.digest,
        base.platform,
        base.size,
        system=next(iter(values.get("system", [])), ""),
        libc=next(iter(values.get("libc", [])), ""),
        pythons=list(dict.fromkeys(value.split()[0] for value in values.get("python", []))),
        installers=values.get("installer", []),
        packages=[parts for value in values.get("package", []) if len(parts := value.split()) == 4],
    )
    if cache is not None:
        with suppress(OSError):  # the probe runs again next time
            make_private_dir(_cache_file(base, cache).parent)
            write_json(_cache_file(base, cache), vars(probed))
    return probed


def recall_content(base: BaseImage, cache: Path | None) -> BaseImage:
    """The image with the cached facts about its content, if there are any."""
    known = read_json_if_valid(_cache_file(base, cache)) if cache is not None else None
    with suppress(TypeError):
        return replace(BaseImage(**known), reference=base.reference, digest=base.digest) if known else base
    return base


def _cache_file(base: BaseImage, cache: Path) -> Path:
    return cache / "base-images" / f"{hashlib.sha256(base.id.encode()).hexdigest()}.json"


def check(base: BaseImage, *, apt: list[str]) -> None:
    """Raises `EngineError` for a base image that the server or the environment cannot run on."""
    facts: dict[str, Any] = {"system": base.system, "libc": base.libc, "pythons": base.pythons}
    if base.libc == "musl":
        _fail("base-musl", base.reference, f"{base.system or 'it'} has musl as its C library", **facts)
    version = re.search(r"(\d+)\.(\d+)", base.libc)
    if version is None:
        _fail("base-no-libc", base.reference, "it has no C library that was recognised", **facts)
    elif (int(version[1]), int(version[2])) < OLDEST_GLIBC:
        oldest = ".".join(map(str, OLDEST_GLIBC))
        _fail("base-old-libc", base.reference, f"its C library is {base.libc}", oldest=oldest, **facts)
    if apt and "apt-get" not in base.installers:
        _fail("base-no-apt", base.reference, f"{base.system or 'it'} has no apt-get", packages=apt, **facts)


def _inspect(engine: Engine, reference: str, platform: str, required: bool = False) -> dict[str, Any] | None:
    from docker.errors import ImageNotFound

    try:
        with engine_errors(engine.endpoint, image=reference):
            try:
                data: dict[str, Any] = engine.client.api.inspect_image(reference)
            except ImageNotFound:
                if required:
                    raise
                return None
    except EngineError:
        raise
    other = f"{data.get('Os')}/{data.get('Architecture')}" != platform
    # A registry may have the tag for the right platform, too; an image that was built here may not exist for it.
    return None if other and not required and data.get("RepoDigests") else data


def _run_probe(engine: Engine, base: BaseImage, cancel: Cancel) -> str:
    """What the probe prints in a container of the image, which has no network and is removed."""
    container: Container | None = None
    with engine_errors(engine.endpoint, image=base.reference):
        from docker.errors import APIError

        try:
            container = engine.client.containers.create(
                base.id,
                [PROBE],
                entrypoint=["/bin/sh", "-c"],
                network_mode="none",
                user="0",
                labels={"io.mldeploy.role": "probe"},
                platform=base.platform if base.platform != engine.platform else None,
            )
            try:
                container.start()
            except APIError as error:
                if re.search(r"no such file|executable file not found|not found in", str(error.explanation), re.I):
                    _fail("base-no-shell", base.reference, "it has no /bin/sh")
                raise
            _wait(container, base, cancel)
            return str(container.logs(stdout=True, stderr=False).decode("utf-8", "replace"))
        finally:
            if container is not None:
                with suppress(APIError):
                    container.remove(force=True, v=True)


def _wait(container: Container, base: BaseImage, cancel: Cancel) -> None:
    end = time.monotonic() + PROBE_SECONDS
    pause = 0.02
    while True:
        container.reload()
        if container.status in ("exited", "stopped", "dead"):
            return
        if time.monotonic() > end:
            _fail("base-silent", base.reference, f"its shell did not end within {PROBE_SECONDS} s")
        cancel()
        time.sleep(pause)
        pause = min(2 * pause, 0.2)


def _fail(code: str, reference: str, message: str, **facts: Any) -> None:
    raise EngineError({"code": code, "message": message, "image": reference, **facts})
