"""Removes the deployments, bundles, files and environments that a workspace no longer needs."""

from __future__ import annotations

import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.bundle.builder import MODELS
from mldeploy_jupyter.core.errors import MldeployError, StorageError, UserErrorException
from mldeploy_jupyter.core.files import read_json_if_valid
from mldeploy_jupyter.core.records import DeploymentRecord, RevisionRecord, ServiceRecord
from mldeploy_jupyter.core.storage_errors import explain_write_errors
from mldeploy_jupyter.core.store.store import Store
from mldeploy_jupyter.core.text import format_size
from mldeploy_jupyter.core.workspace import known_workspaces
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder, list_workspaces
from mldeploy_jupyter.deployment import working_folder
from mldeploy_jupyter.deployment.images import cleanup
from mldeploy_jupyter.deployment.plan import target_context
from mldeploy_jupyter.deployment.recovery import recover_lost_deployments
from mldeploy_jupyter.deployment.services.lost_services import (
    describe_lost_services,
    end_lost_services,
    find_lost_services,
)
from mldeploy_jupyter.serving.system.removal import remove_tree
from mldeploy_jupyter.targets import TargetFailure
from mldeploy_jupyter.targets.docker.live_record import FILE as CONTAINER_FILE
from mldeploy_jupyter.targets.docker.target import DockerTarget
from mldeploy_jupyter.targets.process import ProcessTarget

GRACE_SECONDS = 3600  # age below which an unknown file may belong to a deployment that has no record yet

UNKNOWN_SECONDS = 7 * 24 * 3600.0  # for which files stay that only another copy of the store may know


@dataclass(frozen=True)
class PruneReport:
    """What was removed, or would be with `dry_run`. `bytes` is the space this frees on the local disk.

    `notes` says what was left alone because it could not be examined, and why.
    """

    deployments: int = 0
    bundles: int = 0
    services: int = 0
    blobs: int = 0
    environments: int = 0
    images: int = 0
    lost_services: int = 0
    bytes: int = 0
    dry_run: bool = False
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = "Would remove" if self.dry_run else "Removed"
        parts = [
            f"{count} {one if count == 1 else many}"
            for count, one, many in (
                (self.deployments, "deployment", "deployments"),
                (self.bundles, "bundle", "bundles"),
                (self.services, "folder of a deleted service", "folders of deleted services"),
                (self.blobs, "model file", "model files"),
                (self.environments, "environment", "environments"),
                (self.images, "image or layer of one", "images and layers of images"),
                (self.lost_services, "service without a workspace", "services without a workspace"),
            )
            if count
        ]
        line = f"{words} {', '.join(parts)} ({format_size(self.bytes)})" if parts else "Nothing to remove"
        return "\n".join((line, *self.notes))


def prune_workspace(
    folder: WorkspaceFolder | None,
    *,
    keep_deployments: int = 20,
    dry_run: bool = False,
    unknown_files: bool = False,
    lost_services: bool = False,
    clock: Callable[[], float] = time.time,
) -> PruneReport:
    """Removes old deployments and what only they used; see `mldeploy_jupyter.prune`.

    Without a folder, only services without a workspace can be removed. `clock` returns Unix seconds.

    Raises `UserErrorException` when `keep_deployments` is not a whole number of at least 0.
    """
    if type(keep_deployments) is not int or keep_deployments < 0:
        raise UserErrorException(
            f"keep_deployments is {keep_deployments!r}",
            why="it must be a whole number of at least 0",
            hint="leave it out to keep 20",
        )
    lost_count, lost_notes = _prune_lost_services(folder, dry_run=dry_run, wanted=lost_services)
    if folder is None:
        return PruneReport(lost_services=lost_count, dry_run=dry_run, notes=lost_notes)
    report = _prune_folder(folder, keep_deployments, dry_run, unknown_files, clock)
    return replace(report, lost_services=lost_count, notes=(*report.notes, *lost_notes))


def _prune_lost_services(folder: WorkspaceFolder | None, *, dry_run: bool, wanted: bool) -> tuple[int, tuple[str, ...]]:
    """Ends services in containers whose workspace is gone, or counts them; a note where that is not wanted."""
    if wanted and not dry_run:
        return end_lost_services(folder)
    found = find_lost_services(folder)
    return (len(found), ()) if wanted else (0, (describe_lost_services(found),) if found else ())


def _prune_folder(
    folder: WorkspaceFolder, keep_deployments: int, dry_run: bool, unknown_files: bool, clock: Callable[[], float]
) -> PruneReport:
    store, artifacts = folder.open_store(), folder.open_artifacts()
    restored: list[str] = []
    recover_lost_deployments(folder, restored.append)
    kept, old = _split_deployments(store, keep_deployments)
    now = clock()
    before = now - GRACE_SECONDS
    lost = _Unknown(store, now, everything=unknown_files)

    unknown = lost.select(_other_entries(folder.deployments, {record.id for record in (*kept, *old)}, before))
    deployments = [folder.deployments / record.id for record in old] + unknown
    # A running deployment may be about to reuse an old bundle.
    bundles_in_use = _bundles_in_use(store, {record.id for record in kept})
    deploying = _is_deploying(store)
    bundles = [] if deploying else lost.select(_other_entries(folder.bundles, bundles_in_use, before))
    services = _abandoned_services(folder, store, before)
    others = [] if deploying else sorted(set(folder.services.glob("*")) - set(services))
    unused = [path for service in others for path in working_folder.list_unused(service)]
    size = sum(_size(path) for path in (*deployments, *bundles, *services, *unused))
    counts = (len(old) + len(unknown), len(bundles), len(services))
    notes, damaged = tuple(restored), _find_damaged_models(store)
    if dry_run:
        in_use = set() if damaged else _blobs_in_use(store, folder, bundles)
        blobs, freed = (0, 0) if damaged else artifacts.measure_unreferenced(in_use, lost.spares)
        notes = (*notes, *damaged, *lost.notes())
        images = 0 if deploying else len(cleanup.list_unused_images(folder, clock=clock))
        return PruneReport(*counts, blobs=blobs, images=images, bytes=size + freed, dry_run=True, notes=notes)

    with explain_write_errors(folder.root, unchanged="what could be removed is gone"):
        for record in old:
            artifacts.remove_file(f"journals/{record.id}.jsonl")
        for path in services:
            _leave_engine(folder, path)
        for path in (*deployments, *bundles, *services, *unused):
            remove_tree(path)
        # Rows last: after a prune that was killed, the next one finds the same deployments again.
        rows = _remove_rows(store, old)
        _remove_temporary_files(folder, before)
        in_use_then = lambda: _blobs_in_use(store, folder, bundles)  # noqa: E731
        blobs, freed = (0, 0) if damaged else artifacts.sweep(in_use_then, lost.spares)
        freed += _sweep_model_cache(folder, store)
        swept, unread = _sweep_environments(folder)
        images = 0 if deploying else cleanup.remove_unused_images(folder, clock=clock)
    notes = (*notes, *damaged, *lost.notes(), *rows, *unread)
    return PruneReport(*counts, blobs=blobs, environments=swept, images=images, bytes=size + freed, notes=notes)


def make_room_for_model(folder: WorkspaceFolder, model: str) -> bool:
    """Removes the files that only the model `name:version` needs, and those of deleted models. False where none are.

    For a full disk on which its row cannot be marked as deleted before that.
    """
    store = folder.open_store()
    if _find_damaged_models(store):
        return False
    lost = _Unknown(store, time.time(), model=model)
    return folder.open_artifacts().sweep(lambda: _blobs_in_use(store, folder, [], without=model), lost.spares)[0] > 0


class _Unknown:
    """What this store has never known, and another copy of it may know: one that was lost, or is newer than a backup.

    Model files stay for a week, and everything that is older than a store which was made within a week; with
    `everything`, nothing does. The files of `model` count as known.
    """

    def __init__(self, store: Store, now: float, *, everything: bool = False, model: str = "") -> None:
        self._created, self._before = store.created(), now - UNKNOWN_SECONDS
        self._is_new = self._created > self._before
        self._everything = everything
        self._digests = store.list_deleted_digests()
        name, _, version = model.rpartition(":")
        record = store.get_model(name, int(version)) if version.isdecimal() else None
        self._digests |= {entry[0] for entry in record.files.values()} if record is not None else set()
        self._blobs: set[str] = set()
        self._folders: set[Path] = set()

    def spares(self, digest: str, modified: float) -> bool:
        """Whether a blob stays, though nothing here needs it."""
        young = modified > self._before or (self._is_new and modified < self._created)
        if self._everything or digest in self._digests or not young:
            return False
        self._blobs.add(digest)
        return True

    def select(self, entries: list[Path]) -> list[Path]:
        """The entries of which no record is here that may be removed."""
        if self._everything or not self._is_new:
            return entries
        kept = {path for path in entries if path.lstat().st_mtime < self._created}
        self._folders |= kept
        return [path for path in entries if path not in kept]

    def notes(self) -> tuple[str, ...]:
        """A line about what was kept, and how to remove it."""
        counts = ((len(self._blobs), "model file"), (len(self._folders), "folder"))
        left = " and ".join(f"{count} {thing}{'' if count == 1 else 's'}" for count, thing in counts if count)
        if not left:
            return ()
        text = f"Kept {left} that this store does not know, but a backup of it may. They are removed after a week"
        return (f"{text}, or now with: mldeploy prune --unknown-files",)


def _remove_rows(store: Store, old: list[DeploymentRecord]) -> tuple[str, ...]:
    """Removes the records of deployments whose files are gone, and rows that no command could show.

    On a full disk they stay. Notes say what was not removed, or was damaged.
    """
    try:
        if old:
            store.remove_deployments([record.id for record in old])
        damaged = store.remove_damaged_rows()
    except StorageError as error:
        records = "The record of 1 deployment stays" if len(old) == 1 else f"The records of {len(old)} deployments stay"
        return (f"{records} until the store can be written: {error.why}",)
    rows = "1 damaged row" if damaged == 1 else f"{damaged} damaged rows"
    return (f"Removed {rows} of the store, which no command could show",) if damaged else ()


def _split_deployments(store: Store, keep: int) -> tuple[list[DeploymentRecord], list[DeploymentRecord]]:
    """The deployments to keep, and those to remove."""
    count: dict[str, int] = defaultdict(int)
    # A service's state is that of its last deployment; the revision that serves may come from an older one.
    serving = {service.deployment_id for service in store.list_services()}
    serving |= {revision.deployment_id for revision, serves in _revisions(store) if serves}
    kept: list[DeploymentRecord] = []
    old: list[DeploymentRecord] = []
    for record in store.list_deployments():  # newest first
        count[record.service] += 1
        needed = count[record.service] <= keep or record.state == "running" or record.id in serving
        (kept if needed else old).append(record)
    return kept, old


def _is_deploying(store: Store) -> bool:
    """Whether a deployment with a valid lease runs."""
    running = {record.service for record in store.list_deployments(state="running")}
    leases = [lease for lease in map(store.leases.get, running) if lease is not None]
    return any(store.leases.remaining(lease) > 0 for lease in leases)


def _revisions(store: Store) -> list[tuple[RevisionRecord, bool]]:
    """Every revision, and whether it serves."""
    serving = {service.name: service.revision for service in store.list_services()}
    return [
        (revision, revision.number == serving[revision.service])
        for revision in store.list_revisions()
        if revision.service in serving
    ]


def _bundles_in_use(store: Store, kept_deployments: set[str]) -> set[str]:
    return {
        revision.bundle_digest
        for revision, serves in _revisions(store)
        if serves
        or revision.outcome == "pending"
        or (revision.outcome in ("live", "kept") and revision.deployment_id in kept_deployments)
    }


def _abandoned_services(folder: WorkspaceFolder, store: Store, before: float) -> list[Path]:
    """The folders of services that are not in the store, are not being changed, and do not run."""
    target = ProcessTarget(target_context(folder))
    known = {record.name for record in store.list_services()}
    return [
        path
        for path in _other_entries(folder.services, known, before)
        if store.leases.get(path.name) is None
        and not target.is_running(path.name)
        and not _runs_contained(folder, path)
    ]


def _runs_contained(folder: WorkspaceFolder, path: Path) -> bool:
    """Whether the service with this folder runs in a container, or may: its engine is unavailable."""
    return (path / CONTAINER_FILE).exists() and DockerTarget(target_context(folder)).is_running(path.name)


def _leave_engine(folder: WorkspaceFolder, path: Path) -> None:
    """Removes what a service that does not run has on the container engine."""
    if (path / CONTAINER_FILE).exists():
        with suppress(TargetFailure):
            service = ServiceRecord(path.name, "docker", workspace_id=folder.id)
            DockerTarget(target_context(folder)).leave(service, lambda stage, kind, text="", **data: None)


def _blobs_in_use(store: Store, folder: WorkspaceFolder, removed: list[Path], *, without: str = "") -> set[str]:
    """The digests of registered models, and of those in bundles that stay: a rollback copies them again.

    `without` is a model, `name:version`, that does not count.
    """
    used = {digest for model in store.list_models() if model.id != without for digest, _ in model.files.values()}
    for path in set(folder.bundles.glob("*")) - set(removed):
        files = (read_json_if_valid(path / "bundle.json") or {}).get("files")
        entries = files.items() if isinstance(files, dict) else ()
        used |= {entry[0] for name, entry in entries if name.startswith(f"app/{MODELS}/") and isinstance(entry, list)}
    return used


def _find_damaged_models(store: Store) -> tuple[str, ...]:
    """A note when a model's record is damaged: which files it needs is not known, so none may be removed."""
    damaged = [model.id for model in store.list_models() if not _is_manifest(model.files)]
    if not damaged:
        return ()
    which = f"the record of model {damaged[0]} in the store is damaged"
    return (f"Model files were left alone: {which}. Remove it with: mldeploy model delete {damaged[0]}",)


def _is_manifest(files: dict[str, Any]) -> bool:
    return bool(files) and all(isinstance(entry, list) and len(entry) == 2 for entry in files.values())


def _sweep_model_cache(folder: WorkspaceFolder, store: Store) -> int:
    """Removes what `Model.get_model_path` unpacked of models that were deleted. Returns the bytes freed."""
    known = {(name, str(version)) for name, version in store.list_model_ids()}
    freed = 0
    for path in (folder.root / "cache" / "models").glob("*/*"):
        if (path.parent.name, path.name) not in known and not path.name.startswith("."):
            freed += _size(path)
            shutil.rmtree(path, ignore_errors=True)
    return freed


def _sweep_environments(folder: WorkspaceFolder) -> tuple[int, tuple[str, ...]]:
    """Removes environments that no workspace of this user needs.

    None while something is being deployed, or one of the workspaces cannot be read.
    """
    from mldeploy_jupyter import environments

    index = known_workspaces.find_damaged_index()
    if index is not None:
        text = f"Environments were left alone: {index}, which lists your workspaces, is damaged. Run a command in each "
        return 0, (f"{text}workspace, then remove that file",)
    used: set[str] = set()
    broken: list[MldeployError] = []
    others = list_workspaces(on_broken=broken.append)
    if broken:
        return 0, (f"Environments were left alone: {broken[0].what}",)
    for other in {other.root: other for other in (*others, folder)}.values():
        try:
            if _is_deploying(other.open_store()):
                return 0, ()  # from an environment that its revision does not name yet
            revisions = _revisions(other.open_store())
        except MldeployError as error:
            return 0, (f"Environments were left alone: workspace {other.root} could not be asked: {error.what}",)
        used |= {str(revision.environment["digest"]) for revision, _ in revisions if revision.environment.get("digest")}
    return environments.sweep(used), ()


def _remove_temporary_files(folder: WorkspaceFolder, before: float) -> None:
    """Removes the half-written files of processes that were killed."""
    for parent in (".", "cells", "deployments/*", "services/*", "artifacts/files/*"):
        for path in (*folder.root.glob(f"{parent}/.*.tmp"), *folder.root.glob(f"{parent}/.*.json.*.*[0-9]")):
            with suppress(OSError):
                if path.stat().st_mtime < before:
                    path.unlink()


def _other_entries(parent: Path, wanted: set[str], before: float) -> list[Path]:
    """The entries of `parent` that are not `wanted` and were last changed before that Unix time.

    What is not a folder is in the way of one, and is an entry itself.
    """
    try:
        entries = list(parent.iterdir())
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        entries = [parent]
    return sorted(path for path in entries if path.name not in wanted and path.lstat().st_mtime < before)


def _size(path: Path) -> int:
    """Bytes that removing `path` frees; a file with another hard link elsewhere frees none."""
    total, folders = 0, [str(path)]
    while folders:
        with suppress(OSError):  # another process removed it, or the path is too long
            for entry in os.scandir(folders.pop()):
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    info = entry.stat(follow_symlinks=False)
                    total += info.st_size if info.st_nlink == 1 else 0
    return total
