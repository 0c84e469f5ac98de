"""Azure ML's own `config.json`: found upwards by the rules of SDK v1, and read."""

from __future__ import annotations

import json
from pathlib import Path

from mldeploy_jupyter.core.errors import WorkspaceError
from mldeploy_jupyter.core.files import search_folders

FILES = (".azureml/config.json", "aml_config/config.json", "config.json")

KEYS = ("subscription_id", "resource_group", "workspace_name")


def find_azure_config(start: Path | str = ".", file_name: str | None = None) -> tuple[Path, dict[str, str]] | None:
    """The nearest `config.json` of Azure ML upwards, by v1's rules, and what it says. Raises `WorkspaceError`."""
    here = Path(start).expanduser().absolute()
    if here.is_file():
        return here, _read(here)
    names = (f".azureml/{file_name}", f"aml_config/{file_name}", file_name) if file_name else FILES
    for directory in search_folders(here):
        for name in names:
            path = directory / name
            # A plain config.json may be anything; only one with Azure's keys is taken.
            if path.is_file() and (name != "config.json" or _looks_like_azure(path)):
                return path, _read(path)
    return None


def _looks_like_azure(path: Path) -> bool:
    try:
        data = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError):
        return False
    return isinstance(data, dict) and "workspace_name" in data


def _read(path: Path) -> dict[str, str]:
    try:
        data = json.loads(path.read_text("utf-8-sig"))
        missing = [key for key in KEYS if not isinstance(data, dict) or not isinstance(data.get(key), str)]
    except (OSError, ValueError) as error:
        raise WorkspaceError(
            f"the Azure ML settings cannot be read: {path}", why=str(error), hint="it is JSON; correct it"
        ) from error
    if missing:
        raise WorkspaceError(
            f"the Azure ML settings are not complete: {path}",
            why=f"missing or not a string: {', '.join(missing)}",
            hint="download config.json again from the workspace's page",
        )
    return {key: value for key, value in data.items() if key in (*KEYS, "location") and isinstance(value, str)}
