"""A build context on disk: a folder from which `docker build` makes the image, on any machine."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from mldeploy_jupyter.core.copying import copy_verified
from mldeploy_jupyter.core.errors import StorageError
from mldeploy_jupyter.core.storage_errors import explain_write_errors
from mldeploy_jupyter.images import dockerfile
from mldeploy_jupyter.images.build_context import IGNORE_FILES, list_context_files
from mldeploy_jupyter.images.context import ImageContent
from mldeploy_jupyter.images.dockerfile import Instruction
from mldeploy_jupyter.images.environment_files import (
    InstallConda,
    conda_entries,
    environment_entries,
    environment_settings,
    take_local_packages,
)
from mldeploy_jupyter.images.layer_tar import Entry, LayerFile

FOLDER = "mldeploy"  # of our files in the context; beside it are those of the user's own build context

BASE_STAGE = "mldeploy-base"


def write_context(
    content: ImageContent,
    folder: Path,
    *,
    variables: Mapping[str, str] | None = None,
    install_conda: InstallConda | None = None,
) -> Path:
    """Writes a Dockerfile and all files that it copies to `folder`. Returns the Dockerfile.

    `docker build FOLDER` then needs the base image and the package index, and nothing of this machine. Its settings are
    not written: `mldeploy/environment/settings.sh` says where to put an index or proxy, which do not stay in the image.
    Files that the lock names from folders of `variables["UV_FIND_LINKS"]`, and conda packages, which `install_conda`
    installs into a folder, are among those that are written.

    Raises:
        StorageError: a file is gone or damaged, or the folder cannot be written.
    """
    instructions, entries = render_context(content, variables or {})
    with conda_entries(content.lock, install_conda) as packages:
        for name, entry in [*entries.items(), *((f"{FOLDER}/{name}", entry) for name, entry in packages.items())]:
            if isinstance(entry, LayerFile):
                _write(folder / name, entry)
    path = folder / "Dockerfile"
    _write(path, LayerFile.of(dockerfile.render(instructions).encode()))
    return path


def render_context(
    content: ImageContent, variables: Mapping[str, str] | None = None
) -> tuple[list[Instruction], dict[str, Entry]]:
    """The instructions of the whole Dockerfile, and the files that it copies by their path in the context."""
    entries: dict[str, Entry] = {}
    if content.build_context is not None:
        files = list_context_files(content.build_context)
        entries |= {name: file for name, file in files.items() if name not in IGNORE_FILES}
    entries |= {f"{FOLDER}/{name}": entry for name, entry in environment_entries(content).items()}
    _, local = take_local_packages(variables or {}, content.lock)
    kept = {"UV_FIND_LINKS": f"{dockerfile.TOOLS}/packages"} if local else {}
    entries |= {f"{FOLDER}/{name}": entry for name, entry in {**local, **environment_settings(kept, "")}.items()}
    server, *models, code = content.layers()
    steps = [*dockerfile.server(f"{FOLDER}/server")]
    entries |= _below(f"{FOLDER}/server", server.entries)
    for number, model in enumerate(models, 1):
        steps += dockerfile.files(model, f"{FOLDER}/model-{number}")
        entries |= _below(f"{FOLDER}/model-{number}", model.entries)
    steps += dockerfile.files(code, f"{FOLDER}/code")
    entries |= _below(f"{FOLDER}/code", code.entries)
    return [
        *_base_stage(content),
        *dockerfile.environment_stage(BASE_STAGE, content, folder=f"{FOLDER}/environment"),
        Instruction(f"FROM {BASE_STAGE}"),
        *dockerfile.environment(added_python=True),  # where none is added, the folder is empty
        *steps,
        *dockerfile.labels(content.image_labels()),
    ], entries


def _base_stage(content: ImageContent) -> list[Instruction]:
    system = dockerfile.system(content.apt, content.steps)
    if not content.base_dockerfile:
        return [Instruction(f"FROM {content.base} AS {BASE_STAGE}"), *system]
    lines = dockerfile.parse_steps(content.base_dockerfile)
    last = max((i for i, line in enumerate(lines) if line.text[:5].upper() == "FROM "), default=None)
    if last is not None:
        plain = re.sub(r"\s+AS\s+\S+\s*$", "", lines[last].text, flags=re.IGNORECASE)
        lines[last] = Instruction(f"{plain} AS {BASE_STAGE}")
    return [*lines, *system]


def _below(folder: str, entries: Mapping[str, Entry]) -> dict[str, Entry]:
    return {f"{folder}/{name}": entry for name, entry in entries.items()}


def _write(path: Path, entry: LayerFile) -> None:
    with explain_write_errors(path.parent, needed=entry.size, unchanged="no image was made"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if isinstance(entry.source, bytes):
            path.write_bytes(entry.source)
        elif not copy_verified(entry.source, path, entry.digest):
            raise StorageError(
                f"a file of the image is damaged: {path.name}",
                why=f"{entry.source} is not what was registered or bundled",
                hint="register the model again, or deploy the script again, which makes a new bundle",
            )
        os.chmod(path, entry.mode)
