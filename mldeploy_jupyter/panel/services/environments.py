"""What a revision runs with: the version of Python and of its packages, as its bundle and record say."""

from __future__ import annotations

import platform
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.text import format_size

if TYPE_CHECKING:
    from mldeploy_jupyter.core.records import RevisionRecord
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)


def describe_environment(folder: WorkspaceFolder, revision: RevisionRecord) -> list[dict[str, str]]:
    """The environment as the protocol's `Fact`s, as far as it is known."""
    kind = str(revision.environment.get("kind") or "")
    if revision.image_id:
        count, receipt = len(read_packages(folder, revision)), describe_receipt(revision)
        facts = {"Python": read_python(folder, revision), "Packages": str(count or "")}
        facts |= {fact["label"]: fact["value"] for fact in receipt if fact["label"] in ("Image", "Base image")}
        return [{"label": label, "value": value} for label, value in facts.items() if value]
    packages = len(read_packages(folder, revision))
    facts = {
        "Environment": "this kernel's own" if kind == "current" else "built from its lock" if kind else "",
        "Python": read_python(folder, revision),
        "Packages": f"{packages} used" if packages and kind == "current" else str(packages or ""),
    }
    return [{"label": label, "value": value} for label, value in facts.items() if value]


def describe_receipt(revision: RevisionRecord) -> list[dict[str, str]]:
    """What the image of a revision is and was made of, as the protocol's `Fact`s."""
    receipt = revision.receipt
    base: dict[str, Any] = receipt["base"] if isinstance(receipt.get("base"), dict) else {}
    layers = [layer for layer in receipt.get("layers") or [] if isinstance(layer, dict)]
    made = [
        f"{layer.get('name')} {format_size(layer['size'])}" for layer in layers if isinstance(layer.get("size"), int)
    ]
    facts = {
        "Image": revision.image,
        "Image id": revision.image_id,
        "Image digest": revision.image_digest,
        "Base image": str(base.get("reference") or ""),
        "Base digest": str(base.get("digest") or base.get("id") or ""),
        "Lock": str(receipt.get("lock") or ""),
        "Layers": ", ".join(made),
        "Builder": str(receipt.get("builder") or ""),
        "Code": f"bundle {receipt['code'][:8]}, put into the container" if receipt.get("code") else "",
    }
    return [{"label": label, "value": value} for label, value in facts.items() if value]


def read_packages(folder: WorkspaceFolder, revision: RevisionRecord) -> dict[str, str]:
    """Versions by name: those of the lock, or those that a service used of the kernel's own environment."""
    pins = [str(pin) for pin in revision.environment.get("pins") or []]
    return dict(_PIN.findall(_read_lock(folder, revision) or "\n".join(pins)))


def read_python(folder: WorkspaceFolder, revision: RevisionRecord) -> str:
    """The version of Python, "" when it is not known. An image's Python may have another patch than the lock's."""
    if revision.receipt.get("python"):
        return str(revision.receipt["python"])
    locked = re.search(r"^# python ([\d.]+)", _read_lock(folder, revision), re.MULTILINE)
    if locked is not None:
        return locked[1]
    python = str(revision.environment.get("python") or "")
    if python and python == sys.executable:
        return platform.python_version()
    try:
        settings = (Path(python).parent.parent / "pyvenv.cfg").read_text("utf-8")
    except (OSError, ValueError):
        return ""
    written = re.search(r"^version(?:_info)? *= *(\d+\.\d+\.\d+)", settings, re.MULTILINE)
    return written[1] if written is not None else ""


def _read_lock(folder: WorkspaceFolder, revision: RevisionRecord) -> str:
    if not revision.bundle_digest:
        return ""
    try:
        return (folder.bundles / revision.bundle_digest / "environment.lock").read_text("utf-8")
    except (OSError, ValueError):  # none: it runs with the kernel's own packages
        return ""
