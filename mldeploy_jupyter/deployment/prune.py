"""`prune`: removes what a workspace does not need any more."""

from __future__ import annotations

import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import MldeployError, UserErrorException
from mldeploy_jupyter.core.records import DeploymentRecord, RevisionRecord
from mldeploy_jupyter.core.store.store import Store
from mldeploy_jupyter.core.text import format_size
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder, list_workspaces
from mldeploy_jupyter.targets.supervisor_client import SupervisorClient

GRACE_SECONDS = 3600  # what is younger may belong to a deployment that has not written its record yet


@dataclass(frozen=True)
class PruneReport:
    """What was removed, or with `dry_run` would be. `bytes` is the space of it on this disk.

    `notes` says what could not be looked at, and why.
    """

    deployments: int = 0
    bundles: int = 0
    services: int = 0
    blobs: int = 0
    environments: int = 0
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
            )
            if count
        ]
        line = f"{words} {', '.join(parts)} ({format_size(self.bytes)})" if parts else "Nothing to remove"
        return "\n".join((line, *self.notes))


def prune(
    workspace: Workspace,
    *,
    keep_deployments: int = 20,
    dry_run: bool = False,
    clock: Callable[[], float] = time.time,
) -> PruneReport:
    """Removes old deployments and what only they used.

    Each service keeps its newest `keep_deployments` deployments with their journals (and always its last, the one
    that serves and one that runs), every bundle that serves, is pending, or belongs to one of these, and every file
    of a registered model. Removed are the rest: older deployments, bundles, files of deleted models, folders of
    deleted services, leftovers of killed commands, and the shared environments that no workspace of this user needs.
    With `dry_run` nothing is.
    """
    if type(keep_deployments) is not int or keep_deployments < 0:
        raise UserErrorException(
            f"keep_deployments is {keep_deployments!r}",
            why="it must be a whole number of at least 0",
            hint="leave it out to keep 20",
        )
    folder = workspace.find_folder()
    if folder is None:
        return PruneReport(dry_run=dry_run)
    store, artifacts = folder.open_store(), folder.open_artifacts()
    kept, old = _split_deployments(store, keep_deployments)
    before = clock() - GRACE_SECONDS

    unknown = _folders_but(folder.deployments, {record.id for record in (*kept, *old)}, before)
    deployments = [folder.deployments / record.id for record in old] + unknown
    in_use = _bundles_in_use(store, {record.id for record in kept})
    bundles = [] if _deploying(store) else _folders_but(folder.bundles, in_use, before)
    services = [
        path
        for path in _folders_but(folder.services, {record.name for record in store.list_services()}, before)
        if store.get_lease(path.name) is None and SupervisorClient(path).running() is None
    ]
    size = sum(_size(path) for path in (*deployments, *bundles, *services))
    counts = (len(old) + len(unknown), len(bundles), len(services))
    if dry_run:
        blobs, freed = artifacts.measure_unreferenced(_wanted_blobs(store))
        return PruneReport(*counts, blobs=blobs, bytes=size + freed, dry_run=True)

    for record in old:
        artifacts.remove_file(f"journals/{record.id}.jsonl")
    for path in (*deployments, *bundles, *services):
        shutil.rmtree(path, ignore_errors=True)
    # Rows last: a prune that is killed before is simply done again.
    store.remove_deployments([record.id for record in old])
    blobs, freed = artifacts.sweep(lambda: _wanted_blobs(store))
    freed += _sweep_cache(folder, store)
    swept, notes = _sweep_environments(folder)
    return PruneReport(*counts, blobs=blobs, environments=swept, bytes=size + freed, notes=notes)


def _split_deployments(store: Store, keep: int) -> tuple[list[DeploymentRecord], list[DeploymentRecord]]:
    seen: dict[str, int] = defaultdict(int)
    # The last deployment of a service tells its state; another one may have made what serves.
    serving = {service.deployment_id for service in store.list_services()}
    serving |= {revision.deployment_id for revision, serves in _revisions(store) if serves}
    kept: list[DeploymentRecord] = []
    old: list[DeploymentRecord] = []
    for record in store.list_deployments():  # newest first
        seen[record.service] += 1
        needed = seen[record.service] <= keep or record.state == "running" or record.id in serving
        (kept if needed else old).append(record)
    return kept, old


def _deploying(store: Store) -> bool:
    """Whether a deployment runs: it may be about to use an old bundle again."""
    running = {record.service for record in store.list_deployments(state="running")}
    leases = [lease for lease in map(store.get_lease, running) if lease is not None]
    return any(lease.expires > store.now() for lease in leases)


def _revisions(store: Store) -> list[tuple[RevisionRecord, bool]]:
    """Every revision, and whether it is the one that serves."""
    return [
        (revision, revision.number == service.revision)
        for service in store.list_services()
        for revision in store.list_revisions(service.name)
    ]


def _bundles_in_use(store: Store, kept_deployments: set[str]) -> set[str]:
    return {
        revision.bundle_digest
        for revision, serves in _revisions(store)
        if serves
        or revision.outcome == "pending"
        or (revision.outcome in ("live", "kept") and revision.deployment_id in kept_deployments)
    }


def _wanted_blobs(store: Store) -> set[str]:
    return {digest for model in store.list_models() for digest, _ in model.files.values()}


def _sweep_cache(folder: WorkspaceFolder, store: Store) -> int:
    """Removes what `Model.get_model_path` unpacked of models that are deleted."""
    known = {(model.name, str(model.version)) for model in store.list_models()}
    freed = 0
    for path in (folder.root / "cache" / "models").glob("*/*"):
        if (path.parent.name, path.name) not in known and not path.name.startswith("."):
            freed += _size(path)
            shutil.rmtree(path, ignore_errors=True)
    return freed


def _sweep_environments(folder: WorkspaceFolder) -> tuple[int, tuple[str, ...]]:
    """Shared by all workspaces of this user, so all of them are asked. One that cannot answer stops it."""
    from mldeploy_jupyter import environments

    used: set[str] = set()
    for other in {other.root: other for other in (*list_workspaces(), folder)}.values():
        try:
            revisions = _revisions(other.open_store())
        except MldeployError as error:
            return 0, (f"Environments were left alone: workspace {other.root} could not be asked: {error.what}",)
        used |= {str(revision.environment["digest"]) for revision, _ in revisions if revision.environment.get("digest")}
    return environments.sweep(used), ()


def _folders_but(parent: Path, wanted: set[str], before: float) -> list[Path]:
    """The entries of `parent` that are not wanted and older than `before`."""
    try:
        return sorted(path for path in parent.iterdir() if path.name not in wanted and path.stat().st_mtime < before)
    except FileNotFoundError:
        return []


def _size(path: Path) -> int:
    """Bytes that removing `path` frees; hard links to what stays free nothing."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            info = os.lstat(os.path.join(folder, name))
            total += info.st_size if info.st_nlink == 1 else 0
    return total
