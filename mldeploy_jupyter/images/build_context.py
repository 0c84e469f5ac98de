"""The files of a folder that a user's own Dockerfile may copy."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from mldeploy_jupyter.core.bundle.ignore_file import is_ignored, parse_patterns
from mldeploy_jupyter.core.bundle.source_directory import ALWAYS_IGNORED
from mldeploy_jupyter.core.errors import StorageError
from mldeploy_jupyter.images.layer_tar import LayerFile

IGNORE_FILES = (".dockerignore", ".amlignore", ".gitignore")  # the first that is there counts, alone


def list_context_files(folder: Path) -> dict[str, LayerFile]:
    """The files below `folder` by their path in it, without those that its ignore file names.

    `.dockerignore` has Docker's rules, `.amlignore` and `.gitignore` have git's. Without `.dockerignore`, folders that
    never belong in an image (.git, __pycache__, ...) are left out, too. Links are followed.

    Raises:
        StorageError: the folder or a file in it cannot be read.
    """
    try:
        names = _docker_names(folder) if (folder / IGNORE_FILES[0]).is_file() else _git_names(folder)
        return {name: _read(folder / name) for name in names}
    except OSError as error:
        raise StorageError(
            f"the build context cannot be read: {folder}",
            why=f"{error.strerror or error}: {error.filename or folder}",
            hint="correct the folder of build_context, then deploy again",
        ) from error


def _docker_names(folder: Path) -> list[str]:
    from docker.utils.build import exclude_paths

    lines = (folder / IGNORE_FILES[0]).read_text("utf-8", "replace").splitlines()
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    found = exclude_paths(str(folder), patterns, dockerfile="")
    return sorted(name for name in found if (folder / name).is_file())


def _git_names(folder: Path) -> list[str]:
    file = next((folder / name for name in IGNORE_FILES[1:] if (folder / name).is_file()), None)
    patterns = parse_patterns(file.read_text("utf-8", "replace")) if file is not None else []
    names = []
    for root, folders, files in os.walk(folder, onerror=_raise):
        prefix = Path(root).relative_to(folder).as_posix()
        prefix = "" if prefix == "." else f"{prefix}/"
        folders[:] = [
            name
            for name in sorted(folders)
            if name not in ALWAYS_IGNORED and not is_ignored(patterns, prefix + name, folder=True)
        ]
        names += [prefix + name for name in files if not is_ignored(patterns, prefix + name, folder=False)]
    return sorted(name for name in names if (folder / name).is_file())


def _read(path: Path) -> LayerFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        status = os.fstat(file.fileno())
    return LayerFile(path, digest, status.st_size, 0o755 if status.st_mode & 0o100 else 0o644)


def _raise(error: OSError) -> None:
    raise error
