"""Builds an image without an engine: the layers of a base image, and ours on top of them.

    base              as its registry has it; its bytes are read once, to find out what it has, and sent nowhere
    python            only where the base has no fitting one
    environment       the packages of the lock, from wheels
    server            the scoring server, and the user that a container runs as
    model ...         one layer a model, which is not a copy and is never compressed
    code              the entry script: all that changes with it, beside the configuration

Equal inputs give equal bytes on every machine, so that an unchanged layer is neither made nor sent again. What needs a
program to run inside the image is refused at the beginning; the Docker builder can do it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mldeploy_jupyter.core.compiled_modules import compile_modules
from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.core.files import file_lock, make_private_dir
from mldeploy_jupyter.images import base_image, dockerfile, receipt
from mldeploy_jupyter.images.blob_store import BlobStore, StoredLayer, storage_errors
from mldeploy_jupyter.images.context import (
    APP,
    ENTRYPOINT,
    GID,
    HEALTH_TIMES,
    HEALTHCHECK,
    PORT,
    PYTHONS,
    STATE,
    UID,
    VENV,
    ContentLayer,
    ImageContent,
    runtime_variables,
)
from mldeploy_jupyter.images.layer_tar import Entry, LayerFile, LayerFolder, LayerLink
from mldeploy_jupyter.images.oci_base import LAYOUT, Base, read_base
from mldeploy_jupyter.images.oci_layout import BASE_DIGEST, BASE_NAME, LAYER_NAME
from mldeploy_jupyter.images.oci_store import keep_image
from mldeploy_jupyter.images.registry.manifests import OCI_CONFIG, OCI_GZIP, OCI_MANIFEST, OCI_TAR, parse_manifest
from mldeploy_jupyter.images.types import BuiltImage, Cancel, Emit, Layer

if TYPE_CHECKING:
    from mldeploy_jupyter.images.registry import Registry

FORMAT = 1  # of layers; raised when all of them must be made again

CREATED = "1980-01-01T00:00:00Z"  # of every image: the time of the build would change its digest


class Installed(Protocol):
    """What `install` returns: whether a Python is among the packages."""

    @property
    def has_python(self) -> bool: ...


class Install(Protocol):
    """Installs the packages of a lock into a new folder, for an image: `environments.install_for_platform`."""

    def __call__(
        self, lock: str, platform: str, folder: Path, *, glibc: tuple[int, int], emit: Any, cancel: Cancel
    ) -> Installed: ...


class InstallPython(Protocol):
    """Puts a relocatable Python into a new folder: `environments.install_python`."""

    def __call__(self, version: str, platform: str, folder: Path, *, emit: Any, cancel: Cancel) -> str: ...


def build(
    content: ImageContent,
    registry: Registry | None,
    emit: Emit,
    cancel: Cancel,
    *,
    install: Install,
    cache: Path,
    install_python: InstallPython | None = None,
    tag: str = "",
    offline: bool = False,
) -> BuiltImage:
    """Makes the image, which `oci_store.open_image` then finds by its digest, its id or `tag`. Nothing is pushed.

    `registry` is a connection to that of the base image; without one, it is opened with the user's own credentials.
    `cache` is the folder of layers that are kept.

    Raises:
        ImageError: the image needs a program to run inside it, the base image cannot be read, or the disk is full.
        EngineError: the base image cannot run a service.
        EnvironmentBuildError: a package has no wheel.
    """
    refuse(content)
    with storage_errors(cache):
        return _Build(content, registry, emit, cancel, install, install_python, BlobStore(cache), tag, offline).run()


def refuse(content: ImageContent) -> None:
    """Raises `ImageError` for what this builder cannot do, with the builder that can."""
    needs = {
        "extra_docker_file_steps": bool(content.steps.strip()),
        "base_dockerfile": bool(content.base_dockerfile.strip()),
        "system packages (apt)": bool(content.apt),
        "a build context": content.build_context is not None,
        "the packages of the base image (user_managed_dependencies)": dockerfile.has_base_packages(content.lock),
    }
    found = [name for name, needed in needs.items() if needed]
    if found:
        raise ImageError(
            f"the image cannot be built without an engine: it needs {', '.join(found)}",
            why="a program has to run inside the image, which only an engine can do",
            hint="build it with a Docker engine (builder docker), or name a base image that has it all",
            code="UnsupportedByBuilder",
        )


class _Build:
    def __init__(
        self,
        content: ImageContent,
        registry: Registry | None,
        emit: Emit,
        cancel: Cancel,
        install: Install,
        install_python: InstallPython | None,
        store: BlobStore,
        tag: str,
        offline: bool,
    ) -> None:
        self._content, self._registry, self._emit, self._cancel = content, registry, emit, cancel
        self._install, self._install_python, self._store, self._tag = install, install_python, store, tag
        self._offline = offline
        self._step, self._steps = 0, 5 + len(content.manifest["models"])
        self._layers: list[tuple[Layer, StoredLayer, dict[str, LayerFile] | None]] = []

    def run(self) -> BuiltImage:
        content = self._content
        self._begin(f"Base image {content.base}")
        base = read_base(
            content.base,
            content.platform,
            self._store,
            self._emit,
            self._cancel,
            registry=self._registry,
            offline=self._offline,
        )
        base_image.check(base.facts, apt=[])
        self._report(Layer(f"base {base.facts.system or content.base}", base.manifest.digest, base.facts.size, True))
        self._make_environment(base)
        self._begin("Scoring server")
        self._make_server(base)
        for layer in content.model_layers():
            self._begin(layer.name.capitalize())
            self._make_model(layer)
        self._begin("Code")
        code = content.code_layer()
        self._add(code.name, code.key, code.entries)
        self._begin("Configuration")
        return self._finish(base)

    def _begin(self, title: str) -> None:
        self._cancel()
        self._step += 1
        fraction = round((self._step - 1) / self._steps, 3)
        self._emit("image", "progress", title, step=f"{self._step}/{self._steps}", fraction=fraction)

    def _report(self, layer: Layer) -> None:
        fraction = round(self._step / self._steps, 3)
        self._emit("image", "progress", layer.name.capitalize(), fraction=fraction, layer=layer.to_dict())

    # -- layers --

    def _add(
        self, name: str, key: str, entries: Mapping[str, Entry] | Callable[[], Mapping[str, Entry]]
    ) -> StoredLayer:
        """A cached layer, made when it is missing. `entries` may be a function, which is called only then."""
        key = _key([FORMAT, name.split(" ")[0], key])
        made = self._store.recall_layer(key)
        reused = made is not None and self._store.has(made.digest, made.size)
        if made is None or not reused:
            with file_lock(self._lock_file(key)):
                found = entries() if callable(entries) else entries
                made = self._store.add_layer(found, OCI_GZIP, compressed=True, check=self._cancel)
                self._store.remember("layers", key, vars(made))
        self._append(name, made, reused, None)
        return made

    def _append(self, name: str, made: StoredLayer, reused: bool, files: dict[str, LayerFile] | None) -> None:
        layer = Layer(name, made.digest, made.content_size, reused)
        self._layers.append((layer, made, files))
        self._report(layer)

    def _lock_file(self, key: str) -> Path:
        return make_private_dir(self._store.folder / "held") / key

    def _make_environment(self, base: Base) -> None:
        content = self._content
        minor = ".".join(content.python.split(".")[:2])
        self._begin(f"Python environment with Python {minor}")
        own = any(line.startswith("# conda python=") for line in content.lock.splitlines())  # a channel gave the Python
        home = "" if own else base.python(content.python)
        if not own and not home:
            home = self._add_python(minor)
        key = _key([content.lock, content.platform, list(base.glibc), minor, home])
        with tempfile.TemporaryDirectory(prefix="mldeploy-image-") as temporary:
            folder = Path(temporary, "venv")

            def entries() -> Mapping[str, Entry]:
                installed = self._install(
                    content.lock,
                    content.platform,
                    folder,
                    glibc=base.glibc,
                    emit=self._log,
                    cancel=self._cancel,
                )
                return environment_entries(folder, minor, "" if installed.has_python else home)

            self._add("environment", key, entries)

    def _add_python(self, minor: str) -> str:
        """A layer with a Python, for a base that has none. Returns the interpreter's path in the image."""
        place = f"{PYTHONS}/{minor}"
        if self._install_python is None:
            raise ImageError(
                f"the base image {self._content.base} has no Python {minor}",
                why="the environment needs it, and no other one was offered",
                hint=f"name a base image that has it, such as python:{minor}-slim",
                code="PythonNotFound",
            )
        install_python = self._install_python
        with tempfile.TemporaryDirectory(prefix="mldeploy-image-") as temporary:
            folder = Path(temporary, "python")

            def entries() -> Mapping[str, Entry]:
                install_python(minor, self._content.platform, folder, emit=self._log, cancel=self._cancel)
                return folder_entries(folder, place)

            self._add("python", _key([minor, self._content.platform]), entries)
        return f"{place}/bin/python{minor}"

    def _make_server(self, base: Base) -> None:
        layer = self._content.server_layer()
        minor = ".".join(self._content.python.split(".")[:2])
        compiles = minor == "{}.{}".format(*sys.version_info)
        users = user_entries(base.texts)
        key = _key([layer.key, ContentLayer("users", users).key, minor if compiles else ""])

        def entries() -> Mapping[str, Entry]:
            return {**layer.entries, **users, **(self._compiled(layer) if compiles else {})}

        self._add(layer.name, key, entries)

    def _compiled(self, layer: ContentLayer) -> dict[str, Entry]:
        """The compiled modules of a layer, which a container could not write beside the sources."""
        found: dict[str, Entry] = {}
        with tempfile.TemporaryDirectory(prefix="mldeploy-image-") as temporary:
            root = Path(temporary)
            modules = {}
            for name, entry in layer.entries.items():
                if name.endswith(".py") and isinstance(entry, LayerFile) and isinstance(entry.source, Path):
                    make_private_dir((root / name).parent)
                    shutil.copyfile(entry.source, root / name)
                    modules[root / name] = f"/{name}"
            compile_modules(sys.executable, modules, self._cancel)
            for path in root.rglob("*.pyc"):
                found[path.relative_to(root).as_posix()] = LayerFile.of(path.read_bytes())
        return found

    def _make_model(self, layer: ContentLayer) -> None:
        key = _key([FORMAT, "model", layer.key])
        made = self._store.recall_layer(key)
        reused = made is not None
        if made is None:
            made = self._store.measure(layer.entries, OCI_TAR, check=self._cancel)
            self._store.remember("layers", key, vars(made))
        files = {name: entry for name, entry in layer.entries.items() if isinstance(entry, LayerFile)}
        self._append(layer.name, made, reused, files)

    def _log(self, kind: str, text: str = "", **data: object) -> None:
        self._emit("image", kind, text, **data)

    # -- configuration and manifest --

    def _finish(self, base: Base) -> BuiltImage:
        config = json.dumps(self._config(base), sort_keys=True).encode()
        config_digest = self._store.add(config)
        layers = [blob.descriptor() for blob in base.layers]
        layers += [
            {
                "mediaType": made.media_type,
                "digest": made.digest,
                "size": made.size,
                "annotations": {LAYER_NAME: layer.name},
            }
            for layer, made, _ in self._layers
        ]
        manifest = parse_manifest(
            json.dumps(
                {
                    "schemaVersion": 2,
                    "mediaType": OCI_MANIFEST,
                    "config": {"mediaType": OCI_CONFIG, "digest": config_digest, "size": len(config)},
                    "layers": layers,
                    "annotations": base_annotations(base),
                },
                sort_keys=True,
            ).encode()
        )
        keep_image(self._store, manifest, base, self._layers, self._tag)
        shown = [layer for layer, _, _ in self._layers]
        made = receipt.make(self._content, shown, builder="oci", base=base.facts, image=config_digest)
        self._emit("image", "log", f"made {manifest.digest}")
        return BuiltImage(config_digest, self._tag or config_digest, manifest.digest, shown, base.manifest.digest, made)

    def _config(self, base: Base) -> dict[str, Any]:
        """The configuration: that of the base, with what the service needs."""
        before = dict(base.config.get("config") or {})
        variables = dict(text.partition("=")[::2] for text in before.get("Env") or [])
        variables |= runtime_variables(variables.get("PATH", ""))
        second = 1_000_000_000  # nanoseconds
        config = {name: before[name] for name in ("Volumes", "Shell") if before.get(name)}
        config |= {
            "Env": [f"{name}={value}" for name, value in variables.items()],
            "User": f"{UID}:{GID}",
            "WorkingDir": APP,
            "Entrypoint": ENTRYPOINT,
            "ExposedPorts": {**(before.get("ExposedPorts") or {}), f"{PORT}/tcp": {}},
            "StopSignal": "SIGTERM",
            "Labels": {**(before.get("Labels") or {}), **self._content.image_labels()},
            "Healthcheck": {
                "Test": ["CMD", *HEALTHCHECK],
                "Interval": HEALTH_TIMES["interval"] * second,
                "Timeout": HEALTH_TIMES["timeout"] * second,
                "StartPeriod": HEALTH_TIMES["start_period"] * second,
                "Retries": HEALTH_TIMES["retries"],
            },
        }
        history = [
            {"created": CREATED, "created_by": f"mldeploy: {layer.name}", "comment": "without an engine"}
            for layer, _, _ in self._layers
        ]
        kept: dict[str, Any] = {}
        for name in ("architecture", "os", "variant", "os.version"):
            if name in base.config:
                kept[name] = base.config[name]
        return {
            **kept,
            "created": CREATED,
            "config": config,
            "rootfs": {
                "type": "layers",
                "diff_ids": [*base.config["rootfs"]["diff_ids"], *(made.diff_id for _, made, _ in self._layers)],
            },
            "history": [*_base_history(base), *history],
        }


def base_annotations(base: Base) -> dict[str, str]:
    """The annotations about the base, without paths of this machine."""
    found = {BASE_DIGEST: base.manifest.digest}
    if not base.reference.startswith(LAYOUT):
        found[BASE_NAME] = base.reference
    return found


def _base_history(base: Base) -> list[dict[str, Any]]:
    """The history of the base, where it tells of each of its layers; else one line for each."""
    known = [entry for entry in base.config.get("history") or [] if isinstance(entry, dict)]
    if sum(not entry.get("empty_layer") for entry in known) == len(base.layers):
        return known
    return [{"created": CREATED, "comment": "base image"} for _ in base.layers]


def environment_entries(folder: Path, minor: str, home: str) -> dict[str, Entry]:
    """The files of an environment that was installed into `folder`, in their place in the image.

    `home` is the path of the interpreter there, "" for an environment with its own.
    """
    found = folder_entries(folder, VENV)
    place = VENV.lstrip("/")
    if home:
        settings = f"home = {os.path.dirname(home)}\ninclude-system-site-packages = false\nversion = {minor}\n"
        found[f"{place}/pyvenv.cfg"] = LayerFile.of(settings.encode())
        found[f"{place}/bin/python"] = LayerLink(home)
        for name in ("python3", f"python{minor}"):
            found[f"{place}/bin/{name}"] = LayerLink("python")
    elif f"{place}/bin/python" not in found:
        found[f"{place}/bin/python"] = LayerLink(f"python{minor}")
    return found


def folder_entries(folder: Path, place: str) -> dict[str, Entry]:
    """All files of `folder`, below the folder `place` of the image; modes are 0755 or 0644."""
    found: dict[str, Entry] = {}
    for root, folders, names in os.walk(folder):
        for name in [*names, *(name for name in folders if os.path.islink(os.path.join(root, name)))]:
            path = Path(root, name)
            inside = f"{place}/{path.relative_to(folder).as_posix()}".lstrip("/")
            if path.is_symlink():
                found[inside] = LayerLink(os.readlink(path))
                continue
            status = path.stat()
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found[inside] = LayerFile(path, digest, status.st_size, 0o755 if status.st_mode & 0o111 else 0o644)
    return found


def user_entries(texts: Mapping[str, bytes]) -> dict[str, Entry]:
    """The base's lists of users and groups, with the user that a container runs as."""
    lines = {
        "etc/passwd": f"mldeploy:x:{UID}:{GID}::{STATE}:/usr/sbin/nologin\n",
        "etc/group": f"mldeploy:x:{GID}:\n",
    }
    root = {"etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n", "etc/group": b"root:x:0:\n"}
    found: dict[str, Entry] = {"tmp": LayerFolder(0, 0, 0o1777)}
    for name, line in lines.items():
        known = texts.get(name) or root[name]
        if not known.endswith(b"\n"):
            known += b"\n"
        if not (b"\n" + known).count(b"\nmldeploy:"):
            known += line.encode()
        found[name] = LayerFile.of(known)
    return found


def _key(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
