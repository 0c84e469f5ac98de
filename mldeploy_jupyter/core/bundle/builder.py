"""The bundle: the content-addressed folder a service runs from.

    bundles/<digest>/
        bundle.json                  the manifest: every file with its SHA-256, and what the folder is for
        app/                         the service's working folder (AML_APP_ROOT)
            <source folder>/...      the entry script and its helpers
            azureml-models/<name>/<version>/...
        server/mldeploy_serving/     the serving room, as source
        environment.lock             exact pins, where an environment is made from a lock

The digest is that of the manifest, so the same inputs give the same folder, and one that is there is used again.
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
from mldeploy_jupyter.core.files import make_private_dir

FORMAT = 1


@dataclass(frozen=True)
class BundleModel:
    """A model in a bundle. `place(target)` puts its files below `target`; `files` is its manifest."""

    name: str
    version: int
    files: dict[str, list[Any]]
    place: Callable[[Path], None]

    @property
    def folder(self) -> str:
        return f"azureml-models/{self.name}/{self.version}"


@dataclass(frozen=True)
class BundleContent:
    """What goes in: `source` maps paths below the source folder to files on disk."""

    source_name: str
    source: dict[str, Path]
    entry_script: str  # below the source folder
    models: list[BundleModel] = field(default_factory=list)
    lock: str = ""
    python: str = ""
    environment: dict[str, Any] = field(default_factory=dict)  # variables, base image, docker steps: part of the digest


@dataclass(frozen=True)
class Bundle:
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
        prefix = f"server/{server_source.PACKAGE}/"
        files = self.manifest["files"].items()
        return server_digest({name.removeprefix(prefix): entry for name, entry in files if name.startswith(prefix)})

    @property
    def entry_script(self) -> str:
        """The entry script's path below `app`."""
        return str(self.manifest["entry_script"])

    @property
    def model_dir(self) -> Path:
        """AZUREML_MODEL_DIR: the one model's version folder, else the root of all models (v1's rule)."""
        models = self.manifest["models"]
        return self.app / (models[0]["folder"] if len(models) == 1 else "azureml-models")


def build(content: BundleContent, bundles: Path, *, check: Callable[[], None] = lambda: None) -> Bundle:
    """Makes the bundle, or finds it. `check` is called between files and may raise to give up.

    The folder is filled under a temporary name and renamed last: a folder with a digest's name is whole.

    Raises:
        StorageError: a file vanished or could not be read, or the disk is full.
    """
    server = _server()
    manifest = _manifest(content, server, check)
    text = _text(manifest)
    target = bundles / hashlib.sha256(text.encode()).hexdigest()
    if not (target / "bundle.json").exists():
        _fill(target, text, server, content, check)
    return Bundle(target, manifest)


def compute_digest(content: BundleContent) -> str:
    """The digest that `build` would give, without making anything.

    Raises:
        StorageError: a file vanished or could not be read.
    """
    return manifest_digest(_manifest(content, _server(), lambda: None))


def manifest_digest(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(_text(manifest).encode()).hexdigest()


def server_digest(server: dict[str, list[Any]]) -> str:
    """What tells versions of the scoring server apart; `server` is what `server_files.read` gives."""
    return hashlib.sha256(json.dumps(server, sort_keys=True).encode()).hexdigest()


def _text(manifest: dict[str, Any]) -> str:
    return json.dumps(manifest, sort_keys=True, indent=1)


def _sources(content: BundleContent) -> dict[str, Path]:
    """The files of the source folder, by their place in the bundle."""
    return {f"app/{content.source_name}/{name}": path for name, path in sorted(content.source.items())}


def _server() -> dict[str, list[Any]]:
    try:
        return server_source.read_files()
    except OSError as error:
        raise _storage(error) from error


def _manifest(content: BundleContent, server: dict[str, list[Any]], check: Callable[[], None]) -> dict[str, Any]:
    files = {f"server/{server_source.PACKAGE}/{name}": entry for name, entry in server.items()}
    try:
        for name, path in _sources(content).items():
            check()
            files[name] = _digest(path)
    except OSError as error:
        raise _storage(error) from error
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


def load(path: Path) -> Bundle:
    return Bundle(path, json.loads((path / "bundle.json").read_text()))


def find_damaged_files(bundle: Bundle, below: str = "app/azureml-models/") -> list[str]:
    """Files of the bundle that are no longer what the manifest says (asked when a model could not be loaded)."""
    wrong = []
    for name, (digest, _size) in bundle.manifest["files"].items():
        if name.startswith(below):
            try:
                if _digest(bundle.path / name)[0] != digest:
                    wrong.append(name)
            except OSError:
                wrong.append(name)
    return wrong


def _fill(
    target: Path, text: str, server: dict[str, list[Any]], content: BundleContent, check: Callable[[], None]
) -> None:
    temporary = target.with_name(f".{target.name[:16]}.{os.getpid()}.{os.urandom(3).hex()}")
    try:
        make_private_dir(temporary)
        for name, path in _sources(content).items():
            check()
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, temporary / name)
        placed = server_source.install_files(server, str(temporary / "server" / server_source.PACKAGE))
        for model in content.models:
            check()
            folder = temporary / "app" / model.folder
            folder.mkdir(parents=True, exist_ok=True)
            model.place(folder)
        (temporary / "app" / "azureml-models").mkdir(exist_ok=True)
        if content.lock:
            (temporary / "environment.lock").write_text(content.lock)
        (temporary / "bundle.json").write_text(text)
        try:
            os.rename(temporary, target)
        except OSError:
            if not (target / "bundle.json").exists():  # else another process made the same bundle meanwhile
                raise
        server_source.remember_bundle(server, str(target / "server" / server_source.PACKAGE), placed)
    except OSError as error:
        raise _storage(error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _digest(path: Path) -> list[Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return [digest, path.stat().st_size]


def _storage(error: OSError) -> StorageError:
    name = f" {error.filename}" if error.filename else ""
    return StorageError(
        "the bundle could not be made",
        why=f"{error.strerror or error}{name}",
        hint="free space or restore the file, then deploy again; nothing was changed",
    )
