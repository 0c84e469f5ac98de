"""The receipts and bills of materials of the images that a workspace has made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.files import read_json_if_valid

if TYPE_CHECKING:
    from mldeploy_jupyter.core.store.store import Store
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
    from mldeploy_jupyter.images.types import BuiltImage


def keep_sbom(folder: WorkspaceFolder, built: BuiltImage) -> None:
    """Keeps the bill of materials of an image with the artifacts, under the digest that its receipt names."""
    digest = (built.receipt.get("sbom") or {}).get("digest")
    if digest and built.sbom:
        folder.open_artifacts().put_bytes(f"sboms/{digest}.json", built.sbom.encode())


def read_sbom(folder: WorkspaceFolder, receipt: Mapping[str, Any]) -> dict[str, Any] | None:
    """The bill of materials that a receipt names, in CycloneDX; None where it is gone."""
    digest = (receipt.get("sbom") or {}).get("digest")
    content = folder.open_artifacts().read_bytes(f"sboms/{digest}.json") if digest else None
    try:
        data = json.loads(content) if content else None
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def find_receipt(folder: WorkspaceFolder, store: Store, id: str) -> dict[str, Any] | None:
    """The receipt of an image that this workspace made, by the image's id."""
    for revision in store.list_revisions():
        if revision.image_id == id and revision.receipt and not revision.receipt.get("code"):
            return revision.receipt
    for package in list_packages(folder):
        if package.get("image_id") == id and package.get("receipt"):
            return dict(package["receipt"])
    return None


def list_packages(folder: WorkspaceFolder) -> list[dict[str, Any]]:
    """What `Model.package` made in this workspace, oldest first: the files `packages/<id>/package.json`."""
    found = (read_json_if_valid(path) for path in sorted((folder.root / "packages").glob("*/package.json")))
    return [data for data in found if data]
