"""Registered environments: their versions in the workspace's store, and labels that stand for one version."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mldeploy_jupyter.api.arguments import check_text
from mldeploy_jupyter.core.errors import EnvironmentBuildError, StorageError, UserErrorException
from mldeploy_jupyter.core.files import file_lock, read_json, write_json
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

LATEST = "latest"  # always the newest version; cannot be assigned


def register(folder: WorkspaceFolder, definition: dict[str, Any]) -> dict[str, Any]:
    """Stores `definition` as a new version and returns it with its version.

    A definition equal to the newest version is not stored again.
    """
    store, name = folder.open_store(), definition["name"]
    definition = definition | {"version": None}
    newest = store.get_environment(name)
    if newest is not None and newest | {"version": None} == definition:
        return newest
    return definition | {"version": store.add_environment(name, definition)}


def is_reserved(name: Any) -> bool:
    """Whether the name begins as those of Azure's curated environments, such as AzureML-sklearn-1.0."""
    return isinstance(name, str) and name.lower().startswith(("microsoft", "azureml"))


def find(
    folder: WorkspaceFolder | None, name: str, version: str | int | None = None, label: str | None = None
) -> dict[str, Any]:
    """The definition of a registered environment, the newest without `version` or `label`.

    Raises:
        EnvironmentBuildError: there is none.
        UserErrorException: `version` and `label` are both given, or `version` is not a number.
    """
    check_text("label", label)
    if label is not None and version is not None:
        raise UserErrorException(
            f"version {version!r} and label {label!r} are both given",
            why="each of them says which version is meant",
            hint="leave one of them out",
        )
    if label is not None:
        version = _labelled_version(folder, name, label)
    if version is not None and not str(version).isdigit():
        raise UserErrorException(
            f"{version!r} is not a version of an environment",
            why="versions are 1, 2, 3 and so on",
            hint="leave the version out for the newest",
        )
    definition = (
        folder.open_store().get_environment(name, None if version is None else int(version)) if folder else None
    )
    if definition is None:
        if is_reserved(name):
            raise EnvironmentBuildError(
                f"there is no environment {name!r}",
                why="it is one of Azure's curated environments: images with packages, which are kept in Azure",
                hint="leave the environment out, which takes this kernel's packages, call migrate(python='kernel'), "
                "which does so in its place, or list what the script imports in a conda file: "
                "Environment.from_conda_specification(name, file)",
                code="EnvironmentNotFound",
            )
        raise EnvironmentBuildError(
            f"there is no environment {name!r}" + (f" of version {version}" if version is not None else ""),
            why="the workspace has " + (", ".join(sorted(list_newest(folder))) or "no environments"),
            hint="register it in Python with Environment(...).register(ws), or give a conda file in its place",
            code="EnvironmentNotFound",
        )
    return definition


def list_newest(folder: WorkspaceFolder | None) -> dict[str, dict[str, Any]]:
    """The newest definition of every registered environment, by name."""
    newest: dict[str, dict[str, Any]] = {}
    for definition in folder.open_store().list_environments() if folder else []:  # newest version of a name first
        newest.setdefault(definition["name"], definition)
    return newest


def add_labels(folder: WorkspaceFolder, name: str, version: str | None, labels: Iterable[str]) -> None:
    """Assigns the labels to a version; a label of another version moves.

    Raises `UserErrorException` for "latest" and when `labels` is a string.
    """
    if isinstance(labels, str):
        raise UserErrorException(f"labels is {labels!r}", why="it must be a list", hint=f"pass [{labels!r}]")
    texts = [str(label) for label in labels]
    if LATEST in texts:
        raise UserErrorException(
            f"the label {LATEST!r} cannot be put",
            why="it always means the newest version",
            hint="choose another label, such as 'prod'",
        )
    path = _labels_path(folder)
    with file_lock(path.with_suffix(".lock")):
        versions = _read_labels(path)
        versions.setdefault(name, {}).update(dict.fromkeys(texts, version))
        write_json(path, versions)


def _labelled_version(folder: WorkspaceFolder | None, name: str, label: str) -> str | None:
    """The version that has the label; None for the newest. Raises `EnvironmentBuildError` when no version has it."""
    if label.lower() == LATEST:
        return None
    versions = _read_labels(_labels_path(folder)).get(name, {}) if folder else {}
    if label not in versions:
        raise EnvironmentBuildError(
            f"no version of the environment {name!r} has the label {label!r}",
            why="its labels are " + (", ".join(sorted(versions)) or "none"),
            hint=f"Environment.label(ws, {name!r}, version, [{label!r}])",
            code="EnvironmentNotFound",
        )
    return str(versions[label])


def _labels_path(folder: WorkspaceFolder) -> Path:
    return folder.root / "environment_labels.json"


def _read_labels(path: Path) -> dict[str, dict[str, Any]]:
    """Version by label, for each environment's name."""
    try:
        return read_json(path)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise StorageError(
            f"the labels cannot be read: {path}", why=str(error), hint="it is JSON; correct it"
        ) from None
