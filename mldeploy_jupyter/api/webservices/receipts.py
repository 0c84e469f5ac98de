"""The receipt of a revision: what exactly it was made of, as data."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.deployment.images import receipts

if TYPE_CHECKING:
    from mldeploy_jupyter.core.records import RevisionRecord
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


def make_receipt(folder: WorkspaceFolder, revision: RevisionRecord) -> dict[str, Any]:
    """The receipt of a revision. `lock_text` is "" where its bundle is not on this machine, or was pruned."""
    lock = read_lock(folder, revision)
    receipt: dict[str, Any] = {
        "service": revision.service,
        "revision": revision.number,
        "models": list(revision.models),
        "created_time": revision.created_time,
        **revision.receipt,
        "bundle": revision.bundle_digest or revision.receipt.get("bundle", ""),
        "lock": hashlib.sha256(lock.encode()).hexdigest() if lock else revision.receipt.get("lock", ""),
        "lock_text": lock,
    }
    if revision.image_id:
        receipt |= {
            "image": revision.image,
            "image_id": revision.image_id,
            "image_digest": revision.image_digest,
        }
    document = receipts.read_sbom(folder, revision.receipt)
    if document is not None:
        receipt["sbom"] = document
    return receipt


def read_lock(folder: WorkspaceFolder, revision: RevisionRecord) -> str:
    """The text of the revision's lock, "" where there is none. A process without an environment has no lock."""
    if not revision.bundle_digest:
        return ""
    try:
        return (folder.bundles / revision.bundle_digest / "environment.lock").read_text("utf-8")
    except OSError:
        return ""
