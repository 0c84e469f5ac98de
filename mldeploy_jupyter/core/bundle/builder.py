"""Builds bundles: content-addressed folders that services run from.

    bundles/<digest>/
        bundle.json                  the manifest: every file with its SHA-256, and what the folder is for
        app/                         the service's working folder (AML_APP_ROOT)
            <source folder>/...      the entry script and its helpers
            azureml-models/<name>/<version>/...
        server/mldeploy_serving/     the scoring server, as source
        environment.lock             exact pins, where an environment is made from a lock

The digest is that of the manifest: equal inputs give the same folder, and an existing one is used again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.bundle import server_source
from mldeploy_jupyter.core.errors import StorageError
from mldeploy_jupyter.core.files import make_private_dir, read_json

FORMAT = 1


@dataclass(frozen=True)
class BundleModel:
    """A model in a bundle. `copy_to(target)` puts its files below `target`; `files` is its manifest."""

    name: str
    version: int
    files: dict[str, list[Any]]
    copy_to: Callable[[Path], None]

    @property
    def folder(self) -> str:
        return f"azureml-models/{self.name}/{self.version}"


@dataclass(frozen=True)
class BundleContent:
    """The inputs of a bundle. `source` maps paths below the source folder to files on disk.

    `entry_script` is relative to the source folder, `lock` the text of the environment's lock, `python` the Python
    version. `environment` holds environment variables, base image and docker steps, which count for the digest.
    """

    source_name: str
    source: dict[str, Path]
    entry_script: str
    models: list[BundleModel] = field(default_factory=list)
    lock: str = ""
    python: str = ""
    environment: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Bundle:
    """A finished bundle: its folder and the content of its `bundle.json`."""

    path: Path
    manifest: dict[str, Any]

    @property
    def digest(self) -> str:
        return self.path.name

    @property
    def app(self) -> Path:
        return self.path / "app"

    @property
    def server(self) -> Path:
        return self.path / "server"

    @property
    def server_digest(self) -> str:
        """The digest of the scoring server in this bundle."""
        prefix = f"server/{server_source.PACKAGE}/"
        files = self.manifest["files"].items()
        server = {name.removeprefix(prefix): entry for name, entry in files if name.startswith(prefix)}
        return server_source.compute_digest(server)

    @property
    def entry_script(self) -> str:
        """The entry script's path relative to `app`."""
        return str(self.manifest["entry_script"])

    @property
    def model_dir(self) -> Path:
        """AZUREML_MODEL_DIR: the version folder of the only model, otherwise the root of all models (v1's rule)."""
        models = self.manifest["models"]
        return self.app / (models[0]["folder"] if len(models) == 1 else "azureml-models")


def build(content: BundleContent, bundles: Path, *, check: Callable[[], None] = lambda: None) -> Bundle:
    """Builds the bundle, unless it exists. `check` is called between files; an error that it raises ends the build.

    The folder is filled under a temporary name and renamed last, so a folder named by a digest is complete.

    Raises:
        StorageError: a file vanished or could not be read, or the disk is full.
    """
    server = _read_server()
    manifest = _manifest(content, server, check)
    text = _to_json(manifest)
    target = bundles / hashlib.sha256(text.encode()).hexdigest()
    if not (target / "bundle.json").exists():
        _fill(target, text, server, content, check)
    return Bundle(target, manifest)


def compute_digest(content: BundleContent) -> str:
    """The digest that the bundle would have, without building it.

    Raises:
        StorageError: a file vanished or could not be read.
    """
    return manifest_digest(_manifest(content, _read_server(), lambda: None))


def manifest_digest(manifest: dict[str, Any]) -> str:
    """The digest of the bundle with this manifest."""
    return hashlib.sha256(_to_json(manifest).encode()).hexdigest()


def load(path: Path) -> Bundle:
    """The bundle in the folder `path`. Raises `OSError` or `ValueError` when its manifest cannot be read."""
    return Bundle(path, read_json(path / "bundle.json"))


def find_damaged_files(bundle: Bundle, below: str = "app/azureml-models/") -> list[str]:
    """The bundle's files below this path that differ from its manifest, by default those of models.

    Reads every byte of them, so call it only when a model could not be loaded.
    """
    damaged = []
    for name, (digest, _size) in bundle.manifest["files"].items():
        if name.startswith(below):
            try:
                if _digest(bundle.path / name)[0] != digest:
                    damaged.append(name)
            except OSError:
                damaged.append(name)
    return damaged


def _to_json(manifest: dict[str, Any]) -> str:
    return json.dumps(manifest, sort_keys=True, indent=1)


def _sources(content: BundleContent) -> dict[str, Path]:
    """The files of the source folder by their path in the bundle."""
    return {f"app/{content.source_name}/{name}": path for name, path in sorted(content.source.items())}


def _read_server() -> dict[str, list[Any]]:
    try:
        return server_source.read_files()
    except OSError as error:
        raise _build_error(error) from error


def _manifest(content: BundleContent, server: dict[str, list[Any]], check: Callable[[], None]) -> dict[str, Any]:
    files = {f"server/{server_source.PACKAGE}/{name}": entry for name, entry in server.items()}
    try:
        for name, path in _sources(content).items():
            check()
            files[name] = _digest(path)
    except OSError as error:
        raise _build_error(error) from error
    for model in content.models:
        for relative, entry in model.files.items():
            files[f"app/{model.folder}/{relative}"] = list(entry)
    return {
        "format": FORMAT,
        "source_directory": content.source_name,
        "entry_script": f"{content.source_name}/{content.entry_script}",
        "models": [{"name": m.name, "version": m.version, "folder": m.folder} for m in content.models],
        "lock": hashlib.sha256(content.lock.encode()).hexdigest() if content.lock else "",
        "python": content.python,
        "environment": content.environment,
        "files": dict(sorted(files.items())),
    }


def _fill(
    target: Path, manifest: str, server: dict[str, list[Any]], content: BundleContent, check: Callable[[], None]
) -> None:
    """Creates the folder `target` with everything in it, `manifest` being the text of its `bundle.json`."""
    temporary = target.with_name(f".{target.name[:16]}.{os.getpid()}.{os.urandom(3).hex()}")
    try:
        make_private_dir(temporary)
        for name, path in _sources(content).items():
            check()
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, temporary / name)
        versions = server_source.install_files(server, str(temporary / "server" / server_source.PACKAGE))
        for model in content.models:
            check()
            folder = temporary / "app" / model.folder
            folder.mkdir(parents=True, exist_ok=True)
            model.copy_to(folder)
        (temporary / "app" / "azureml-models").mkdir(exist_ok=True)
        if content.lock:
            (temporary / "environment.lock").write_text(content.lock)
        (temporary / "bundle.json").write_text(manifest)
        try:
            os.rename(temporary, target)
        except OSError:
            if not (target / "bundle.json").exists():  # if it exists, another process built the same bundle
                raise
        server_source.remember_bundle(server, str(target / "server" / server_source.PACKAGE), versions)
    except OSError as error:
        raise _build_error(error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _digest(path: Path) -> list[Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return [digest, path.stat().st_size]


def _build_error(error: OSError) -> StorageError:
    name = f" {error.filename}" if error.filename else ""
    return StorageError(
        "the bundle could not be made",
        why=f"{error.strerror or error}{name}",
        hint="free space or restore the file, then deploy again; nothing was changed",
    )
