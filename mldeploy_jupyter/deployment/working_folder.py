"""The folder that the workers of one revision run in: a private copy of the bundle's files and of its models.

    services/<name>/revisions/<number>/app/       AML_APP_ROOT
        <source folder>/...
        azureml-models/<name>/<version>/...       AZUREML_MODEL_DIR, or its parent

Whatever a script writes, appends, renames or deletes there stays with its revision: the bundle, the registry and every
other service keep the bytes that were registered. Where the file system clones files (Btrfs, XFS), the copy takes
neither time nor space. The supervisor removes the folder when the last worker of the revision has ended.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.bundle import builder
from mldeploy_jupyter.core.bundle.builder import MODELS, Bundle, damaged_error, has_digest
from mldeploy_jupyter.core.copying import copy_verified
from mldeploy_jupyter.core.errors import StorageError
from mldeploy_jupyter.core.files import make_private_dir, read_json_if_valid, write_json
from mldeploy_jupyter.core.storage_errors import explain_write_errors
from mldeploy_jupyter.serving.system.removal import remove_tree
from mldeploy_jupyter.targets import TargetFailure
from mldeploy_jupyter.targets.supervisor_client import STATUS_SECONDS, SupervisorClient

if TYPE_CHECKING:
    from mldeploy_jupyter.core.artifacts.artifact_store import ArtifactStore
    from mldeploy_jupyter.core.records import RevisionRecord
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

FOLDER = "revisions"  # in the folder of a service


def working_folder(service_folder: Path, revision: int) -> Path:
    """The working folder of a revision of the service."""
    return service_folder / FOLDER / str(revision) / "app"


def create(bundle: Bundle, artifacts: ArtifactStore, app: Path, *, check: Callable[[], None] = lambda: None) -> None:
    """Makes the working folder `app`, each file compared with its digest. `check` is called between models.

    Raises:
        StorageError: the bundle or a registered file is damaged or gone, or the disk is full.
    """
    with explain_write_errors(app.parents[2]):
        make_private_dir(app / MODELS)
    for name, (digest, size) in bundle.files_below("app/").items():
        if not name.startswith(f"{MODELS}/"):
            _copy(bundle, name, digest, size, app)
    for model in bundle.manifest["models"]:
        check()
        files = bundle.files_below(f"app/{model['folder']}/")
        target = app / model["folder"]
        if not model["version"]:  # never registered: only the bundle has it
            for name, (digest, size) in files.items():
                _copy(bundle, f"{model['folder']}/{name}", digest, size, app)
            continue
        try:
            artifacts.materialize(files, target)
        except StorageError:
            # Bundles of earlier versions have their models. One may have been deleted from the registry since.
            if not all(has_digest(bundle.app / model["folder"] / name, digest) for name, (digest, _) in files.items()):
                raise
            shutil.rmtree(target, ignore_errors=True)
            for name, (digest, size) in files.items():
                _copy(bundle, f"{model['folder']}/{name}", digest, size, app)


def follow_move(folder: WorkspaceFolder, revision: RevisionRecord) -> RevisionRecord:
    """The revision of a stopped service with the paths of this workspace, which was moved or copied since it was made.

    Without that, a start would look for the folders of the old place, or run in those of the original.
    """
    app = working_folder(folder.services / revision.service, revision.number)
    recorded = Path(str(revision.settings.get("app_root") or ""))
    depth = len(app.relative_to(folder.root).parts)
    if recorded == app or recorded.parts[-depth:] != app.parts[-depth:]:
        return revision
    old = recorded.parents[depth - 1]
    live_file = folder.services / revision.service / "live.json"
    live = read_json_if_valid(live_file)
    if live is not None:
        with explain_write_errors(live_file.parent):
            write_json(live_file, _with_root(live, old, folder.root))
    settings = _with_root(revision.settings, old, folder.root)
    return folder.open_store().update_revision(revision.service, revision.number, settings=settings)


def _with_root(value: Any, old: Path, new: Path) -> Any:
    """The data with paths below `new` instead of those below `old`."""
    if isinstance(value, dict):
        return {key: _with_root(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_root(item, old, new) for item in value]
    return f"{new}{value[len(str(old)) :]}" if isinstance(value, str) and value.startswith(f"{old}/") else value


def restore_missing(folder: WorkspaceFolder, revision: RevisionRecord) -> None:
    """Makes again what a stopped service's revision needs to start: its working folder, and the server in its bundle.

    What its script had written into a folder that is gone is lost. Raises `StorageError`.
    """
    app = working_folder(folder.services / revision.service, revision.number)
    is_gone = str(revision.settings.get("app_root") or "") == str(app) and not os.path.isdir(app)
    path = folder.bundles / revision.bundle_digest
    try:
        bundle = builder.load(path)
    except (OSError, ValueError) as error:
        if not is_gone:
            return  # what is left may do: the manifest is only needed for repairs
        raise damaged_error(path, "bundle.json", str(error)) from None
    builder.repair(bundle, below="server/")
    if is_gone:
        remove_tree(app.parent)
        create(bundle, folder.open_artifacts(), app)


def remove_unused(service_folder: Path) -> None:
    """Removes what deployments that failed or were killed left behind. The caller holds the service's lease.

    Spared are the revision that serves or served, and those that the supervisor has workers of or deploys.
    """
    for path in list_unused(service_folder):
        remove_tree(path)


def list_unused(service_folder: Path) -> list[Path]:
    """The folders that `remove_unused` removes; none while the supervisor does not answer."""
    found = sorted((service_folder / FOLDER).glob("*"))
    if not found:
        return []
    supervisor = SupervisorClient(service_folder)
    used = {supervisor.read_live().get("revision", 0)}
    if supervisor.find_process() is not None:
        try:
            status = supervisor.call("status", timeout=STATUS_SECONDS)
        except TargetFailure:
            return []
        used |= {status.get("revision"), *(worker.get("revision") for worker in status.get("workers") or [])}
        last = status.get("last_deploy") or {}
        used |= {last.get("revision")} if last.get("outcome") == "running" else set()
    return [path for path in found if path.name not in {str(number) for number in used}]


def _copy(bundle: Bundle, name: str, digest: str, size: int, app: Path) -> None:
    target = app / name
    with explain_write_errors(app, needed=size):
        make_private_dir(target.parent)
        try:
            intact = copy_verified(bundle.app / name, target, digest)
        except FileNotFoundError:
            intact = False
    if not intact:
        raise damaged_error(bundle, f"app/{name}")
