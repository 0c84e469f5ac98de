"""Finds the keys of a service in a container: in a file that its owner provides, or in environment variables."""

from __future__ import annotations

import os
from pathlib import Path

from ..system.json_file import write_json
from .configuration import take_secret

FILE = "keys.json"

FROM_ENVIRONMENT = ".keys.json"  # in the state folder: the keys of the environment variables

_NAMES = {"primaryKey": "MLDEPLOY_PRIMARY_KEY", "secondaryKey": "MLDEPLOY_SECONDARY_KEY"}


def find_keys(folder: Path, environ: dict[str, str] | os._Environ[str]) -> tuple[Path, bool]:
    """The file of the keys, which may be written later, and whether there are keys now.

    Removes the keys from the environment. Raises `ConfigurationError`, and `OSError` when the folder cannot be written.
    """
    keys = {name: take_secret(environ, variable) for name, variable in _NAMES.items()}
    given = environ.get("MLDEPLOY_KEYS", "")
    path = Path(given) if given else folder / FILE
    if path.exists() or not any(keys.values()):
        return path, path.exists()
    path = folder / FROM_ENVIRONMENT
    write_json(path, keys)
    return path, True
