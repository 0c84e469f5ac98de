"""Keeps the code of a deployment as it was when the deployment was asked for.

The call returns before the files are read, and a notebook may have rewritten them by then. So the call lists the source
files and copies the Python files among them into the deployment's folder:

    deployments/<id>/source.json      path below the source folder -> absolute path, written last
    deployments/<id>/source/...       the copies
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path

from mldeploy_jupyter.core.bundle.builder import has_digest
from mldeploy_jupyter.core.bundle.source_directory import list_source_files
from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.core.files import atomic_write, copy_private, make_private_dir, read_json_if_valid
from mldeploy_jupyter.core.records import DeploymentRequest
from mldeploy_jupyter.deployment.files import SOURCE_FOLDER, SOURCE_LIST

# Code rarely has a megabyte. Of a larger source directory only the entry script is copied, so that a call stays quick.
LIMIT_BYTES = 4 * 1000 * 1000
LIMIT_FILES = 500


def list_source(request: DeploymentRequest) -> dict[str, Path]:
    """The source files that a request names, as they are now, by their path below the source folder.

    Raises `UserErrorException` as `list_source_files`.
    """
    data = request.inference_config
    directory = data.get("source_directory")
    script = data["entry_script"] if directory else data["entry_path"]
    return list_source_files(script, directory, data.get("dependencies"))


def script_name(request: DeploymentRequest) -> str:
    """The path of the entry script below the source folder."""
    data = request.inference_config
    return Path(data["entry_script"]).as_posix() if data.get("source_directory") else Path(data["entry_path"]).name


def take_snapshot(request: DeploymentRequest, deployment_folder: Path) -> None:
    """Copies the code of a request that reads it from its files. Never raises.

    Without a snapshot the deployment reads the files when it runs, and says what is wrong with them.
    """
    if not request.script_digest:
        return
    copies = deployment_folder / SOURCE_FOLDER
    try:
        files, script = list_source(request), script_name(request)
        for name in _names_to_copy(files, script):
            make_private_dir((copies / name).parent)
            copy_private(files[name], copies / name)
        if has_digest(copies / script, request.script_digest):
            listed = json.dumps({name: str(path) for name, path in files.items()}, indent=1)
            # Not durable: without the list the deployment reads the files when it runs.
            atomic_write(deployment_folder / SOURCE_LIST, listed, durable=False)
            return
    except (MldeployError, OSError):
        pass
    shutil.rmtree(copies, ignore_errors=True)


def read_snapshot(deployment_folder: Path) -> dict[str, Path]:
    """The source files by their path below the source folder, with the copies where there are any.

    Empty when no snapshot was taken. A file that was not copied and is gone by now is left out.
    """
    listed = read_json_if_valid(deployment_folder / SOURCE_LIST) or {}
    copies = deployment_folder / SOURCE_FOLDER
    found = {name: copies / name if (copies / name).is_file() else Path(str(path)) for name, path in listed.items()}
    return {name: path for name, path in found.items() if path.is_file()}


def remove_snapshot(deployment_folder: Path) -> None:
    """Removes the copies of a deployment that has ended: its bundle has them."""
    with suppress(OSError):
        (deployment_folder / SOURCE_LIST).unlink(missing_ok=True)
    shutil.rmtree(deployment_folder / SOURCE_FOLDER, ignore_errors=True)


def _names_to_copy(files: dict[str, Path], script: str) -> list[str]:
    code = {name: path.stat().st_size for name, path in files.items() if path.suffix == ".py"}
    if len(code) > LIMIT_FILES or sum(code.values()) > LIMIT_BYTES:
        return [script]
    return list(code)
