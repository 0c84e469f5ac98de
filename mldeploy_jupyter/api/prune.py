"""`prune`: deletes what a workspace no longer needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mldeploy_jupyter.api.workspace import Workspace
    from mldeploy_jupyter.deployment.prune import PruneReport


def prune(
    workspace: Workspace,
    *,
    keep_deployments: int = 20,
    dry_run: bool = False,
    unknown_files: bool = False,
    lost_services: bool = False,
) -> PruneReport:
    """Deletes old deployments, and the bundles, files and environments that only they used.

    Each service keeps its newest `keep_deployments` deployments with their journals, and always its last one, the
    live one and a running one; their bundles and the files of registered models stay. Also deleted are files of
    deleted models, folders of deleted services, leftovers of killed commands, and shared environments that no
    workspace of this user needs. With `dry_run` nothing is deleted.

    Model files that are unknown to the store stay for a week, because another copy of it may know them: after a store
    was lost or put back from a backup, what it lacked can still be restored. `unknown_files` deletes them, too.

    `lost_services` also ends services in containers whose workspace's folder was deleted; without it, the report names
    them. A workspace that was moved has to be used once before that.

    Raises `UserErrorException` when `keep_deployments` is not a whole number of at least 0.
    """
    from mldeploy_jupyter.deployment.prune import prune_workspace

    return prune_workspace(
        workspace.find_folder(),
        keep_deployments=keep_deployments,
        dry_run=dry_run,
        unknown_files=unknown_files,
        lost_services=lost_services,
    )
