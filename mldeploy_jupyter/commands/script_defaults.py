"""What an update keeps of the live revision when it names only a script, or only an environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.commands.grammar import Args

_ENVIRONMENT = ("conda_file", "requirements_file", "environment_name", "environment_directory", "base_image")

# What stays when only the script changes.
_KEPT = ("conda_file", "requirements_file", "extra_docker_file_steps", "base_image", "cuda_version")


def fill_script(args: Args, live: Any) -> None:
    """A new script goes into the environment that the old one has, a new environment gets the script that is there.

    Raises `UsageError` for an environment that no option can say.
    """
    asked = any(getattr(args, name) is not None for name in _ENVIRONMENT)
    if live is None or args.inference_config is not None or not (args.entry_script or asked):
        return
    if not args.entry_script:
        script = script_of(live)
        args.entry_script = str(script) if script is not None else None
        return
    data = live.inference_config
    if not asked and data.get("environment_definition"):
        raise UsageError(
            f"{args.name} cannot take the new script alone",
            why="the service has an Environment object, which is passed on only by its name or in Python",
            hint="add --environment-name NAME, --conda-file or --requirements, or call "
            "service.update(inference_config=InferenceConfig(entry_script=..., environment=...))",
        )
    for name in () if asked else _KEPT:
        if getattr(args, name) is None and data.get(name):
            setattr(args, name, data[name])


def script_of(revision: Any) -> Path | None:
    """The file the revision's script came from, if it is still there and stood alone."""
    data = revision.inference_config
    path = Path(data.get("entry_path") or "")
    return path if path.is_absolute() and path.is_file() and not data.get("source_directory") else None
