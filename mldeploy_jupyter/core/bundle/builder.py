"""Builds bundles: content-addressed folders that services are made from.

    bundles/<digest>/
        bundle.json                  the manifest: every file with its SHA-256, and what the folder is for
        app/
            <source folder>/...      the entry script and its helpers
            azureml-models/<name>/<version>/...      only of models that are not registered
        server/mldeploy_serving/     the scoring server, as source
        environment.lock             exact pins, where an environment is made from a lock

The digest is that of the manifest: equal inputs give the same folder, and an existing one is used again. The manifest
names the files of registered models too; their bytes stay in the artifacts. No script ever runs in a bundle: each
revision gets a folder of its own, copied from it (`deployment/working_folder.py`).
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.bundle import server_source
from mldeploy_jupyter.core.copying import copy_verified
from mldeploy_jupyter.core.errors import StorageError
from mldeploy_jupyter.core.file_digests import find_digest
from mldeploy_jupyter.core.files import atomic_write, free_bytes, make_private_dir, open_private, read_json
from mldeploy_jupyter.core.storage_errors import disk_full
from mldeploy_jupyter.serving.system.removal import remove_tree

FORMAT = 1

MODELS = "azureml-models"  # the folder of all models, below the working folder


@dataclass(frozen=True)
class BundleModel:
    """A model in a bundle; `files` is its manifest. `paths` are its files where the artifacts do not have them."""

    name: str
    version: int
    files: dict[str, list[Any]]
    paths: dict[str, Path] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        return f"{MODELS}/{self.name}/{self.version}"


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
        return server_source.compute_digest(self.files_below(f"server/{server_source.PACKAGE}/"))

    @property
    def entry_script(self) -> str:
        """The entry script's path relative to `app`."""
        return str(self.manifest["entry_script"])

    @property
    def model_folder(self) -> str:
        """AZUREML_MODEL_DIR below `app`: the version folder of the only model, else the root of all (v1's rule)."""
        models = self.manifest["models"]
        return str(models[0]["folder"]) if len(models) == 1 else MODELS

    def source_files(self) -> dict[str, Path]:
        """The files of the source folder by their path below it."""
        name = self.manifest["source_directory"]
        return {file: self.app / name / file for file in self.files_below(f"app/{name}/")}

    def files_below(self, folder: str) -> dict[str, list[Any]]:
        """The files below a folder of the bundle by their path below it, with digest and size."""
        found = self.manifest["files"].items()
        return {name.removeprefix(folder): entry for name, entry in found if name.startswith(folder)}


def build(content: BundleContent, bundles: Path, *, check: Callable[[], None] = lambda: None) -> Bundle:
    """Builds the bundle, or verifies the one that exists and replaces what was damaged.

    `check` is called between files; an error that it raises ends the build. The folder is filled under a temporary name
    and renamed last, so a folder named by a digest is complete.

    Raises:
        StorageError: a file vanished, changed or could not be read, or the disk is full.
    """
    server = _read_server()
    manifest = _manifest(content, server, check)
    text = _to_json(manifest)
    target = bundles / hashlib.sha256(text.encode()).hexdigest()
    if target.is_dir():
        repair(Bundle(target, manifest), {**_sources(content), **_server_sources(server)})
        _repair_texts(target, _texts(content, text))
    else:
        _fill(target, manifest, text, server, content, check)
    return Bundle(target, manifest)


def repair(bundle: Bundle, sources: dict[str, Path] | None = None, *, below: str = "") -> None:
    """Compares the files of the bundle, or only those `below` a folder of it, with its manifest; replaces what differs.

    They are copied from `sources`, by default the installed server's, unless these differ, too. Files of registered
    models are left out: the artifacts have them. Raises `StorageError` for a file that cannot be replaced.
    """
    sources = _server_sources(_read_server()) if sources is None else sources
    for name, (digest, _size) in bundle.manifest["files"].items():
        if not name.startswith(below):
            continue
        source = sources.get(name)
        if (source is None and name.startswith(f"app/{MODELS}/")) or _had_digest(f"{bundle.path}/{name}", digest):
            continue
        path = bundle.path / name
        replacement = path.with_name(f".{path.name}.{os.urandom(3).hex()}")
        try:
            make_private_dir(path.parent)
            if source is None or not copy_verified(source, replacement, digest):
                raise damaged_error(bundle, name)
            _replace(replacement, path)
        except OSError as error:
            raise _build_error(error, bundle.path) from error
        finally:
            replacement.unlink(missing_ok=True)


def _repair_texts(folder: Path, texts: dict[str, str]) -> None:
    """Writes the files that are made for the bundle again where they differ."""
    for name, text in texts.items():
        path = folder / name
        if not _had_digest(path, hashlib.sha256(text.encode()).hexdigest()):
            replacement = path.with_name(f".{name}.{os.urandom(3).hex()}")
            try:
                atomic_write(replacement, text)
                _replace(replacement, path)
            except OSError as error:
                raise _build_error(error, folder) from error
            finally:
                replacement.unlink(missing_ok=True)


def _replace(replacement: Path, path: Path) -> None:
    """Renames a file over another one, or over a folder in its place. Raises `OSError`."""
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)
    os.replace(replacement, path)


def _texts(content: BundleContent, manifest: str) -> dict[str, str]:
    """The files that are not copies: the lock, if there is one, and the manifest, which is written last."""
    texts = {"environment.lock": content.lock, "bundle.json": manifest}
    return {name: text for name, text in texts.items() if text}


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
    manifest = read_json(path / "bundle.json")
    wrong = _find_wrong_field(manifest)
    if wrong:
        raise ValueError(f"{wrong!r} in it is damaged or gone")
    return Bundle(path, manifest)


def _find_wrong_field(manifest: dict[str, Any]) -> str:
    """The first field of the manifest that is missing or of another type than `_manifest` gives it, or ""."""
    types = {"source_directory": str, "entry_script": str, "models": list, "files": dict}
    for name, kind in types.items():
        if not isinstance(manifest.get(name), kind):
            return name
    models = {"name": str, "version": int, "folder": str}
    for model in manifest["models"]:
        if not isinstance(model, dict) or not all(isinstance(model.get(name), kind) for name, kind in models.items()):
            return "models"
    entries = manifest["files"].values()
    is_entry = all(isinstance(e, list) and [type(part) for part in e] == [str, int] for e in entries)
    return "" if is_entry else "files"


def find_damaged_files(bundle: Bundle, app: Path) -> list[str]:
    """The files of models in the working folder `app` that differ from the manifest, by their path in the bundle.

    Reads every byte of them, so call it only when a model could not be loaded.
    """
    models = bundle.files_below("app/")
    return [
        f"app/{name}"
        for name, (digest, _size) in models.items()
        if name.startswith(f"{MODELS}/") and not has_digest(app / name, digest)
    ]


def _to_json(manifest: dict[str, Any]) -> str:
    return json.dumps(manifest, sort_keys=True, indent=1)


def _sources(content: BundleContent) -> dict[str, Path]:
    """The files of the source folder and of models that are not registered, by their path in the bundle."""
    found = {f"app/{content.source_name}/{name}": path for name, path in sorted(content.source.items())}
    for model in content.models:
        found |= {f"app/{model.folder}/{name}": path for name, path in model.paths.items()}
    return found


def _server_sources(server: dict[str, list[Any]]) -> dict[str, Path]:
    return {f"server/{server_source.PACKAGE}/{name}": Path(server_source.ROOT, name) for name in server}


def _read_server() -> dict[str, list[Any]]:
    try:
        return server_source.read_files()
    except OSError as error:
        raise _build_error(error) from error


def _manifest(content: BundleContent, server: dict[str, list[Any]], check: Callable[[], None]) -> dict[str, Any]:
    files = {f"server/{server_source.PACKAGE}/{name}": entry for name, entry in server.items()}
    try:
        for name, path in content.source.items():
            check()
            files[f"app/{content.source_name}/{name}"] = list(find_digest(path))
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
    target: Path,
    manifest: dict[str, Any],
    text: str,
    server: dict[str, list[Any]],
    content: BundleContent,
    check: Callable[[], None],
) -> None:
    """Creates the folder `target` with everything in it; `text` is that of its `bundle.json`."""
    temporary = target.with_name(f".{target.name[:16]}.{os.getpid()}.{os.urandom(3).hex()}")
    try:
        make_private_dir(temporary)
        for name, path in _sources(content).items():
            check()
            make_private_dir((temporary / name).parent)
            if not copy_verified(path, temporary / name, manifest["files"][name][0]):
                raise StorageError(
                    f"{path.name} changed while the bundle was made",
                    why=f"another program was writing {path}",
                    hint="deploy again when it is saved; nothing was changed",
                )
        server_source.install_files(server, str(temporary / "server" / server_source.PACKAGE))
        for file_name, written in _texts(content, text).items():
            with open_private(temporary / file_name, "w") as file:
                file.write(written)
        if target.is_file():  # something else took its place
            target.unlink()
        try:
            os.rename(temporary, target)
        except OSError:
            if not (target / "bundle.json").exists():  # if it exists, another process built the same bundle
                raise
    except OSError as error:
        raise _build_error(error, temporary.parent) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def has_digest(path: Path, digest: str) -> bool:
    """Whether the file is there and has this SHA-256. Every byte is read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest
    except OSError:
        return False


def _had_digest(path: str | Path, digest: str) -> bool:
    """`has_digest`, without reading a file that was read before and has not changed since."""
    try:
        return find_digest(path)[0] == digest
    except OSError:
        return False


def damaged_error(bundle: Bundle | Path, name: str, why: str = "it was changed or removed") -> StorageError:
    """The error for a file of the bundle, or of the folder of one, that is not what its manifest says."""
    folder = bundle.path if isinstance(bundle, Bundle) else bundle
    return StorageError(
        f"the bundle is damaged: {name}",
        why=f"{why} in {folder}",
        hint="deploy the script again, which makes a new bundle",
    )


def _build_error(error: OSError, folder: Path | None = None) -> StorageError:
    """The error of building a bundle, of which `folder` is written. A copy names its source, whatever disk is full."""
    if folder is not None and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(folder, 0, free_bytes(folder), unchanged="nothing was changed")
    name = f" {error.filename}" if error.filename else ""
    return StorageError(
        "the bundle could not be made",
        why=f"{error.strerror or error}{name}",
        hint="free space or restore the file, then deploy again; nothing was changed",
    )
