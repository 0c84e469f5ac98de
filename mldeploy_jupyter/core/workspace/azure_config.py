"""Azure ML's own `config.json`, found and read by the rules of SDK v1."""

from __future__ import annotations

from pathlib import Path

from mldeploy_jupyter.core.errors import WorkspaceError
from mldeploy_jupyter.core.files import read_json, read_json_if_valid, search_folders

FILES = (".azureml/config.json", "aml_config/config.json", "config.json")

KEYS = ("subscription_id", "resource_group", "workspace_name")


def find_azure_config(start: Path | str = ".", file_name: str | None = None) -> tuple[Path, dict[str, str]] | None:
    """The nearest `config.json` of Azure ML in `start` or a parent folder, and its settings; None when there is none.

    `start` may be the file itself. `file_name` replaces the usual name. Raises `WorkspaceError` when the file cannot be
    read or lacks a setting.
    """
    here = Path(start).expanduser().absolute()
    if here.is_file():
        return here, _read(here)
    names = (f".azureml/{file_name}", f"aml_config/{file_name}", file_name) if file_name else FILES
    for directory in search_folders(here):
        for name in names:
            path = directory / name
            # A plain config.json may belong to another program; only one with Azure's keys counts.
            if path.is_file() and (name != "config.json" or "workspace_name" in (read_json_if_valid(path) or {})):
                return path, _read(path)
    return None


def _read(path: Path) -> dict[str, str]:
    try:
        data = read_json(path)
    except (OSError, ValueError) as error:
        raise WorkspaceError(
            f"the Azure ML settings cannot be read: {path}", why=str(error), hint="it is JSON; correct it"
        ) from error
    missing = [key for key in KEYS if not isinstance(data.get(key), str)]
    if missing:
        raise WorkspaceError(
            f"the Azure ML settings are not complete: {path}",
            why=f"missing or not a string: {', '.join(missing)}",
            hint="download config.json again from the workspace's page",
        )
    return {key: value for key, value in data.items() if key in (*KEYS, "location") and isinstance(value, str)}
