"""Defaults of an update from the live revision: a new script keeps its environment, a new environment its script."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.commands.grammar import Args, Context
from mldeploy_jupyter.core.errors import MldeployError

# Options that name an environment.
_ENVIRONMENT = ("conda_file", "requirements_file", "environment_name", "environment_directory", "base_image")

# Settings that stay when only the script changes.
_KEPT = ("conda_file", "requirements_file", "extra_docker_file_steps", "base_image", "cuda_version")


def fill_script(context: Context, args: Args, live: Any) -> None:
    """Fills in the environment of the revision `live` for a new script, or its script for a new environment.

    Raises `UsageError` when the revision's environment cannot be expressed in options.
    """
    if live is None or args.inference_config is not None:
        return
    if args.entry_script:
        keep_environment(context, args, live)
    elif _environment_given(args) and (script := find_script(live)) is not None:
        directory = find_source_directory(live)
        args.entry_script = live.inference_config["entry_script"] if directory is not None else str(script)
        args.source_directory = args.source_directory or (str(directory) if directory is not None else None)


def fill_mlflow_script(context: Context, args: Args, models: list[Any]) -> None:
    """Fills in the script for a model of MLflow among `models` where nothing names a script."""
    from mldeploy_jupyter.api.webservices.deploy_arguments import mlflow_script, resolve_models

    if args.entry_script or args.inference_config or context.defaults.get("entry_script") or not models:
        return
    script = None
    with suppress(MldeployError):  # the command itself says what is wrong with its models or workspace
        workspace = context.workspace(args.path)
        script = mlflow_script(workspace, resolve_models(workspace, models))
    if script is not None:
        args.entry_script = str(script)
        context.note("Scoring as `mlflow models serve` does: the model is MLflow's, and no entry script is named")


def keep_environment(context: Context, args: Args, live: Any) -> None:
    """Fills in the environment of the revision `live` where no option names one.

    Raises `UsageError` when it cannot be expressed in options.
    """
    if args.inference_config is not None or _environment_given(args):
        return
    data = live.inference_config
    definition = data.get("environment_definition")
    if definition and _is_registered(context, args, definition):
        args.environment_name, args.environment_version = definition["name"], str(definition["version"])
        return
    if definition:
        raise UsageError(
            f"{args.name} cannot keep its environment here",
            why="it has an Environment object that is not registered, which is passed on only in Python",
            hint="add --environment-name NAME, --conda-file or --requirements, or call "
            "service.update(inference_config=InferenceConfig(entry_script=..., environment=...))",
        )
    for name in _KEPT:
        if getattr(args, name) is None and data.get(name):
            setattr(args, name, data[name])


def _is_registered(context: Context, args: Args, definition: dict[str, Any]) -> bool:
    """Whether the workspace has the environment under its name and version, unchanged."""
    from mldeploy_jupyter.api.environments import Environment

    try:
        found = Environment.get(context.workspace(args.path), definition["name"], definition["version"])
    except (MldeployError, LookupError):
        return False
    return found.to_dict() == definition


def _environment_given(args: Args) -> bool:
    return any(getattr(args, name) is not None for name in _ENVIRONMENT)


def find_script(revision: Any) -> Path | None:
    """The file that the revision's script came from; None when it is gone."""
    path = Path(revision.inference_config.get("entry_path") or "")
    return path if path.is_absolute() and path.is_file() else None


def find_source_directory(revision: Any) -> Path | None:
    """The source directory that the revision's script was part of; None without one."""
    path = revision.inference_config.get("source_directory")
    return Path(path) if path else None
