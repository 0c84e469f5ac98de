"""The revisions of a service, and what each changed, in words: `service.history`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.configs import METADATA, DeployConfig
from mldeploy_jupyter.core.errors import ConfigError
from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.log_lines import seconds_between
from mldeploy_jupyter.panel.services.descriptions import find_service, is_kept
from mldeploy_jupyter.panel.services.environments import describe_receipt, read_packages, read_python
from mldeploy_jupyter.panel.services.setting_words import describe_setting

if TYPE_CHECKING:
    from mldeploy_jupyter.core.records import RevisionRecord, ServiceRecord
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

NAMED = 3  # files or packages that are named; of more, the number is told


def answer_history(context: PanelContext, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """The answer to `service.history`: every revision, newest first."""
    service = find_service(context, parameters)
    record, folder = service.record, service.workspace.folder
    store = folder.open_store()
    revisions = sorted(store.list_revisions(record.name), key=lambda revision: -revision.number)
    deployments = {deployment.id: deployment for deployment in store.list_deployments(record.name)}
    found = []
    for revision in revisions:
        deployment = deployments.get(revision.deployment_id)
        before = _find_before(revisions, revision)
        found.append(
            {
                "number": revision.number,
                "outcome": _outcome(folder, record, revision),
                "rolledBackTo": revision.rolled_back_to,
                "models": list(revision.models),
                "created": revision.created_time,
                "bundleDigest": revision.bundle_digest,
                "deployment": revision.deployment_id,
                "seconds": seconds_between(deployment.created_time, deployment.finished_time) if deployment else None,
                "changed": describe_changes(folder, before, revision) if before is not None else [],
                **({"receipt": describe_receipt(revision)} if revision.image_id else {}),
            }
        )
    return found


def _find_before(revisions: list[RevisionRecord], revision: RevisionRecord) -> RevisionRecord | None:
    """The revision that served when this one was made: the newest older one that was ever live."""
    served = [old for old in revisions if old.number < revision.number and old.outcome in ("live", "kept")]
    return max(served, key=lambda old: old.number, default=None)


def _outcome(folder: WorkspaceFolder, service: ServiceRecord, revision: RevisionRecord) -> str:
    if revision.number == service.revision:
        return "serving"
    if revision.outcome in ("live", "kept"):
        return "kept" if is_kept(folder, revision) else "removed"
    return revision.outcome if revision.outcome in ("failed", "pending") else "failed"


def describe_changes(folder: WorkspaceFolder, old: RevisionRecord, new: RevisionRecord) -> list[str]:
    """What changed from one revision to another, in words: `diabetes:6 → diabetes:7`, `score.py`, `workers 1 → 2`."""
    again = [f"revision {new.rolled_back_to} again"] if new.rolled_back_to else []
    return [
        *again,
        *_model_changes(old.models, new.models),
        *_file_changes(folder, old, new),
        *_environment_changes(folder, old, new),
        *_setting_changes(old.deploy_config, new.deploy_config),
    ]


def _model_changes(old: list[str], new: list[str]) -> list[str]:
    before, after = ({_model_name(id): id for id in ids} for ids in (old, new))
    changed = [
        f"{before[name]} → {id}" if name in before else f"added {id}"
        for name, id in after.items()
        if before.get(name) != id
    ]
    return [*changed, *(f"removed {id}" for name, id in before.items() if name not in after)]


def _model_name(id: str) -> str:
    return id.rpartition(":")[0] or id


def _file_changes(folder: WorkspaceFolder, old: RevisionRecord, new: RevisionRecord) -> list[str]:
    """The files of the script's folder that are not the same. Nothing when a bundle is not there to be compared."""
    if old.bundle_digest == new.bundle_digest:
        return []
    before, after = _read_sources(folder, old), _read_sources(folder, new)
    if before is None or after is None:
        return []
    words = [
        *(name for name, digest in after.items() if name in before and before[name] != digest),
        *(f"added {name}" for name in after if name not in before),
        *(f"removed {name}" for name in before if name not in after),
    ]
    return _shorten(words, "files")


def _read_sources(folder: WorkspaceFolder, revision: RevisionRecord) -> dict[str, str] | None:
    from mldeploy_jupyter.core.bundle import builder

    try:
        bundle = builder.load(folder.bundles / revision.bundle_digest)
        files = bundle.files_below(f"app/{bundle.manifest['source_directory']}/")
        return {name: str(entry[0]) for name, entry in files.items()}
    except (OSError, ValueError, KeyError, TypeError):  # removed or damaged
        return None


def _environment_changes(folder: WorkspaceFolder, old: RevisionRecord, new: RevisionRecord) -> list[str]:
    """Other versions of Python and packages, as far as both are known."""
    words = []
    pythons = read_python(folder, old), read_python(folder, new)
    if all(pythons) and pythons[0] != pythons[1]:
        words.append(f"Python {pythons[0]} → {pythons[1]}")
    before, after = read_packages(folder, old), read_packages(folder, new)
    if not before or not after:
        return words
    changed = [f"{name} {before[name]} → {v}" for name, v in after.items() if name in before and before[name] != v]
    if old.environment.get("kind") != "current" and new.environment.get("kind") != "current":
        # Of the kernel's own environment only the packages in use are known: one that is missing may be there.
        changed += [f"added {name} {version}" for name, version in after.items() if name not in before]
        changed += [f"removed {name}" for name in before if name not in after]
    return [*words, *_shorten(changed, "packages")]


def _setting_changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    try:
        before, after = DeployConfig.from_dict(old), DeployConfig.from_dict(new)
        values, new_values = before.resolve(), after.resolve()
    except ConfigError:
        return []
    words = []
    for field in after.spec.fields:
        value, new_value = values.get(field.name), new_values.get(field.name)
        if field.name in METADATA or field.secret or value == new_value:
            continue
        if field.name == "environment_variables":
            names = {**(value or {}), **(new_value or {})}
            differ = sorted(name for name in names if (value or {}).get(name) != (new_value or {}).get(name))
            words.append(f"variables {', '.join(differ)}" if len(differ) > 1 else f"variable {''.join(differ)}")
        else:
            words.append(f"{field.word} {describe_setting(field, value)} → {describe_setting(field, new_value)}")
    return words


def _shorten(words: list[str], noun: str) -> list[str]:
    """The words; of many the first, and how many more there are."""
    more = len(words) - NAMED
    return words if more <= 1 else [*words[:NAMED], f"{more} more {noun}"]
