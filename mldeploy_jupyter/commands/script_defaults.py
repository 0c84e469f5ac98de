"""Defaults of an update from the live revision: a new script keeps its environment, a new environment its script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.commands.grammar import Args

# Options that name an environment.
_ENVIRONMENT = ("conda_file", "requirements_file", "environment_name", "environment_directory", "base_image")

# Settings that stay when only the script changes.
_KEPT = ("conda_file", "requirements_file", "extra_docker_file_steps", "base_image", "cuda_version")


def fill_script(args: Args, live: Any) -> None:
    """Fills in the environment of the revision `live` for a new script, or its script for a new environment.

    Raises `UsageError` when the revision's environment cannot be expressed in options.
    """
    environment_given = any(getattr(args, name) is not None for name in _ENVIRONMENT)
    if live is None or args.inference_config is not None or not (args.entry_script or environment_given):
        return
    if not args.entry_script:
        script = find_script(live)
        args.entry_script = str(script) if script is not None else None
        return
    data = live.inference_config
    if not environment_given and data.get("environment_definition"):
        raise UsageError(
            f"{args.name} cannot take the new script alone",
            why="the service has an Environment object, which is passed on only by its name or in Python",
            hint="add --environment-name NAME, --conda-file or --requirements, or call "
            "service.update(inference_config=InferenceConfig(entry_script=..., environment=...))",
        )
    for name in () if environment_given else _KEPT:
        if getattr(args, name) is None and data.get(name):
            setattr(args, name, data[name])


def find_script(revision: Any) -> Path | None:
    """The file that the revision's script came from; None when it is gone or was part of a source directory."""
    data = revision.inference_config
    path = Path(data.get("entry_path") or "")
    return path if path.is_absolute() and path.is_file() and not data.get("source_directory") else None
