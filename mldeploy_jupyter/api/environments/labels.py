"""Labels on registered versions of environments: names such as `prod` that stand for one version."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.errors import EnvironmentBuildError, StorageError, UserErrorException
from mldeploy_jupyter.core.files import file_lock, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from mldeploy_jupyter.api.environments.environment import Environment


LATEST = "latest"  # always the newest version; cannot be put elsewhere


def put(workspace: Any, environment: Environment, labels: Iterable[str]) -> None:
    """Puts the labels on the version of `environment`; one that was on another version moves."""
    if isinstance(labels, str):
        raise UserErrorException(f"labels is {labels!r}", why="it must be a list", hint=f"pass [{labels!r}]")
    names = [str(label) for label in labels]
    if LATEST in names:
        raise UserErrorException(
            f"the label {LATEST!r} cannot be put",
            why="it always means the newest version",
            hint="choose another label, such as 'prod'",
        )
    path = _path(workspace.folder)
    with file_lock(path.with_suffix(".lock")):
        kept = _read(path)
        kept.setdefault(environment.name, {}).update(dict.fromkeys(names, environment.version))
        write_json(path, kept)


def find(workspace: Any, name: str, label: str) -> str | None:
    """The version that has the label; None for the newest. Raises `EnvironmentBuildError` when none has it."""
    if label.lower() == LATEST:
        return None
    folder = workspace.find_folder()
    there = _read(_path(folder)).get(name, {}) if folder else {}
    if label not in there:
        raise EnvironmentBuildError(
            f"no version of the environment {name!r} has the label {label!r}",
            why="its labels are " + (", ".join(sorted(there)) or "none"),
            hint=f"Environment.label(ws, {name!r}, version, [{label!r}])",
            code="EnvironmentNotFound",
        )
    return str(there[label])


def _path(folder: Any) -> Path:
    path: Path = folder.root / "environment_labels.json"
    return path


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError) as error:
        raise StorageError(
            f"the labels cannot be read: {path}", why=str(error), hint="it is JSON; correct it"
        ) from None
