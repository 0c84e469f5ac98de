"""v1's names for entry scripts: `Model.get_model_path`, and stand-ins for what a service does not have."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from .exceptions import ModelNotFoundException, WebserviceException
from .offline_run import OfflineRun


class NotInService(RuntimeError):
    """A part of v1's SDK was used that needs a workspace or an experiment, which a service does not have."""


class Model:
    """v1's `Model`, reduced to what works in a service: finding a model's files."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotInService(
            "Model(...) needs a workspace, and a service has none: use Model.get_model_path(name) "
            "or the folder in the environment variable AZUREML_MODEL_DIR"
        )

    @staticmethod
    def get_model_path(model_name: str, version: int | None = None, _workspace: Any = None) -> str:
        """The path of the model's file or folder: `azureml-models/<name>/<version>`, or the only entry in it.

        Without `version`, the highest. If the service has no such model, an existing path `model_name` in the current
        directory is returned, with a warning in the log. Raises `ModelNotFoundException`, which lists the models that
        exist, and `WebserviceException` when `version` is not an int.
        """
        if version is not None and type(version) is not int:
            raise WebserviceException(f"version must be a whole number, not {version!r}")
        root = models_root()
        found = _versions(root / model_name)
        wanted = version if version is not None else max(found, default=-1)
        if wanted in found:
            folder = found[wanted]
            entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
            return str(entries[0] if len(entries) == 1 else folder)
        if version is None and model_name and Path(model_name).exists():
            text = f"warning: no model {model_name!r} in {root}; using {Path(model_name).absolute()}"
            print(text, file=sys.stderr)
            return model_name
        raise ModelNotFoundException(_missing(root, model_name, version, found))


class Run:
    """v1's `Run`: a service belongs to no experiment, so `get_context()` gives v1's run outside of one."""

    @classmethod
    def get_context(cls, allow_offline: bool = True, **_: Any) -> OfflineRun:
        """The run of a script that was not submitted. Raises `NotInService` when `allow_offline` is False, as in v1."""
        if not allow_offline:
            raise NotInService("Run.get_context(allow_offline=False) needs an experiment, and a service has none")
        return OfflineRun()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotInService("Run(...) needs a workspace, and a service has none")


def models_root() -> Path:
    """The folder `azureml-models`: the one around AZUREML_MODEL_DIR if there is one, otherwise in AML_APP_ROOT."""
    directory = Path(os.environ.get("AZUREML_MODEL_DIR") or "")
    for folder in (directory, *directory.parents):
        if folder.name == "azureml-models":
            return folder
    return Path(os.environ.get("AML_APP_ROOT") or "") / "azureml-models"


def _versions(folder: Path) -> dict[int, Path]:
    if not folder.is_dir():
        return {}
    return {int(entry.name): entry for entry in folder.iterdir() if re.fullmatch(r"\d+", entry.name) and entry.is_dir()}


def _missing(root: Path, name: str, version: int | None, found: dict[int, Path]) -> str:
    if found:
        return f"model {name!r} has no version {version} in this service; there are: {sorted(map(str, found))}"
    there = sorted(entry.name for entry in root.iterdir() if entry.is_dir()) if root.is_dir() else []
    have = f"it has: {', '.join(there)}" if there else f"it has none ({root} is empty or missing)"
    return f"no model {name!r} in this service; {have}. Also looked for {Path(name).absolute()}"
