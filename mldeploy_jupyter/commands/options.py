"""Options for deploy and inference configurations. An option overrides the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.commands.formatting import pairs
from mldeploy_jupyter.commands.grammar import Args, Context, Param, ParamKind
from mldeploy_jupyter.core.configs import (
    METADATA,
    SPECS,
    DeployConfig,
    Field,
    Problem,
    Spelling,
    make_config,
    paths_in_file,
    raise_problems,
    read_deploy_file,
    read_inference_config,
)
from mldeploy_jupyter.core.errors import MldeployError

# Name of a target in options -> v1's compute type.
TARGETS = {"local": "Local", "aci": "ACI", "aks": "AKS", "aksendpoint": "AKSENDPOINT"}

SETTINGS = "Settings of the target"

AVAILABLE_TARGETS = ("local",)  # the others are known, and come with a later version

OTHER_TARGETS = "Not in this version: settings of "  # begins the headings of the settings that local services lack

_TITLES = {"aci": "ACI", "aks": "AKS", "aksendpoint": "AKS endpoints"}

# The settings that most people need. `--help-all` shows the others.
_BASIC_SETTINGS = ("port", "auth_enabled", "tags", "environment_variables", "worker_count")

_KINDS: dict[str, ParamKind] = {
    "boolean": "toggle",
    "integer": "integer",
    "number": "number",
    "mapping": "list",
    "strings": "list",
}


def _config_params() -> tuple[Param, ...]:
    """One option for every setting of any target. Its heading in the help names the targets."""
    fields: dict[str, Field] = {}
    targets: dict[str, list[str]] = {}
    for spec in SPECS.values():
        for field in spec.fields:
            fields.setdefault(field.name, field)
            targets.setdefault(field.name, []).append(spec.compute_type.lower())
    params = []
    for name, field in fields.items():
        metavar = (
            "KEY=VALUE"
            if field.kind == "mapping"
            else {"integer": "N", "number": "N", "path": "FILE"}.get(field.kind, "")
        )
        completion = "file" if field.kind == "path" else ""
        params.append(
            Param(
                f"config_{name}",
                field.flags,
                field.doc,
                _KINDS.get(field.kind, "text"),
                completion=completion,  # type: ignore[arg-type]
                metavar=metavar or name.upper().replace("_", "-"),
                group=SETTINGS if "local" in targets[name] else _other_heading(targets[name]),
                advanced=name not in _BASIC_SETTINGS,
            )
        )
    return tuple(params)


def _other_heading(targets: list[str]) -> str:
    titles = [_TITLES[name] for name in targets]
    return OTHER_TARGETS + (" and ".join(titles[:2]) if "aci" in targets and len(titles) > 1 else titles[0])


CONFIG_PARAMS = _config_params()

REPLAY = Param(
    "replay",
    ("--replay",),
    "Score the last request that the live revision answered, before the switch; a 5xx refuses the new one.",
    "switch",
)

TARGET_PARAMS: tuple[Param, ...] = (
    Param(
        "target",
        ("--target", "--to", "--compute-type", "--cp"),
        "Where the service runs. local, the default, is this machine.",
        choices=tuple(TARGETS),
        completion="target",
        advanced=len(AVAILABLE_TARGETS) == 1,
        hidden_choices=tuple(name for name in TARGETS if name not in AVAILABLE_TARGETS),
    ),
    Param(
        "deploy_config",
        ("--deploy-config-file", "--dc", "-dc"),
        "The deploymentconfig.json (or YAML). Options override it.",
        completion="file",
        metavar="FILE",
        advanced=True,
    ),
)

_SCRIPT = "Script and environment"

INFERENCE_PARAMS: tuple[Param, ...] = (
    Param(
        "inference_config",
        ("--inference-config-file", "--ic", "-ic"),
        "The inferenceconfig.json (or YAML). Options override it.",
        completion="file",
        metavar="FILE",
        group=_SCRIPT,
        advanced=True,
    ),
    Param(
        "entry_script",
        ("--entry-script", "--es", "--script"),
        "The script with init() and run().",
        completion="script",
        metavar="FILE",
        group=_SCRIPT,
    ),
    Param(
        "source_directory",
        ("--source-directory", "--sd"),
        "The folder with the script; all its files are shipped with it.",
        completion="file",
        metavar="FOLDER",
        group=_SCRIPT,
    ),
    Param(
        "conda_file",
        ("--conda-file", "--cf"),
        "The conda file with the dependencies. Without any environment: this Python as it is.",
        completion="file",
        metavar="FILE",
        group=_SCRIPT,
    ),
    Param(
        "requirements_file",
        ("--requirements", "--requirements-file"),
        "The requirements.txt with the dependencies.",
        completion="file",
        metavar="FILE",
        group=_SCRIPT,
    ),
    Param(
        "environment_name",
        ("--environment-name", "-e"),
        "The name of an environment that is registered in the workspace.",
        group=_SCRIPT,
        advanced=True,
    ),
    Param(
        "environment_version",
        ("--environment-version", "--ev"),
        "Its version. The latest when left out.",
        group=_SCRIPT,
        advanced=True,
    ),
    Param(
        "environment_directory",
        ("--environment-directory", "--ed"),
        "A folder an environment was saved to.",
        completion="file",
        metavar="FOLDER",
        group=_SCRIPT,
        advanced=True,
    ),
    Param("runtime", ("--runtime", "--rt"), "v1's runtime: python or spark-py.", group=_SCRIPT, advanced=True),
    Param(
        "extra_docker_file_steps",
        ("--extra-docker-file-steps", "--ds"),
        "A file with further Dockerfile lines.",
        completion="file",
        metavar="FILE",
        group=_SCRIPT,
        advanced=True,
    ),
    Param("base_image", ("--base-image", "--bi"), "The image to build on.", group=_SCRIPT, advanced=True),
    Param(
        "base_image_registry",
        ("--base-image-registry", "--ir"),
        "The registry of the base image.",
        group=_SCRIPT,
        advanced=True,
    ),
    Param("cuda_version", ("--cuda-version", "--cv"), "The CUDA version.", group=_SCRIPT, advanced=True),
    Param(
        "enable_gpu", ("--enable-gpu", "--eg"), "Whether the image has CUDA.", "toggle", group=_SCRIPT, advanced=True
    ),
)


def make_deploy_config(args: Args) -> DeployConfig | None:
    """The checked configuration of file and options; None when neither is given.

    Raises `UsageError` for an option that the target does not have, `ConfigError` for invalid values.
    """
    flags = given_settings(args)
    problems: list[Problem] = []
    if args.deploy_config is None:
        if not flags and args.target is None:
            return None
        # As in v1, a cluster's name alone means AKS.
        compute_type = TARGETS[args.target or ("aks" if "compute_target_name" in flags else "local")]
        base = DeployConfig(compute_type)
    else:
        base, problems = read_deploy_file(args.deploy_config)
        if args.target is not None and TARGETS[args.target] != base.compute_type:
            raise UsageError(
                f"{args.deploy_config} is for {base.compute_type.lower()}, and --target says {args.target}",
                why="the settings of one target do not fit another",
                hint=f"leave the file out (--dc), or use one whose computeType is {args.target}",
            )
    _refuse_other_targets(base, flags, "or name another target with --target")
    return _checked(args, make_config(base.compute_type, {**base.passed, **flags}), flags, problems)


def make_changed_config(args: Args, current: DeployConfig) -> DeployConfig | None:
    """The configuration of an update: `current`, overridden by the file and then by options; None without either.

    Raises as `make_deploy_config`, and `UsageError` for a file that is for another target.
    """
    flags = {name: value for name, value in given_settings(args).items() if name not in METADATA}
    if args.deploy_config is None and not flags:
        return None
    base = current
    problems: list[Problem] = []
    if args.deploy_config is not None:
        base, problems = read_deploy_file(args.deploy_config)
        if base.compute_type != current.compute_type:
            here, there = current.compute_type.lower(), base.compute_type.lower()
            raise UsageError(
                f"{args.deploy_config} is for {there}, and the service runs on {here}",
                why="an update does not move a service to another target",
                hint="deploy a second service with mldeploy model deploy",
            )
    _refuse_other_targets(base, flags)
    given = {**base.passed, **flags} if base is not current else flags
    return _checked(args, current.with_settings(**given), flags, problems)


def _checked(args: Args, config: DeployConfig, flags: dict[str, Any], problems: list[Problem]) -> DeployConfig:
    """The valid configuration. Raises `ConfigError` that names every wrong key of the file and every wrong value."""
    if problems:
        raise_problems(args.deploy_config, config, problems, _spelling(config, flags))
    config.validate(spelling=_spelling(config, flags), source=args.deploy_config or "the command")
    return config


def given_metadata(args: Args) -> dict[str, Any]:
    """The tags, properties and description given as options: an update changes them without a new revision."""
    return {name: value for name, value in given_settings(args).items() if name in METADATA}


def given_settings(args: Args) -> dict[str, Any]:
    """The settings given as options, by Python name."""
    out: dict[str, Any] = {}
    for param in CONFIG_PARAMS:
        value = getattr(args, param.name, None)
        if value is None:
            continue
        if param.metavar == "KEY=VALUE":
            if param.name.endswith("environment_variables"):
                _refuse_names_alone(value, param.display_name)
            value = pairs(value, param.display_name)
        elif param.kind == "list":
            value = [word for item in value for word in item.split(",") if word]
        out[param.name.removeprefix("config_")] = value
    return out


def _refuse_names_alone(words: Sequence[str], flag: str) -> None:
    """Raises `UsageError` for a name without a value, which elsewhere means this shell's value: here it was empty."""
    name = next((word for word in words if "=" not in word), None)
    if name is not None:
        raise UsageError(
            f"{flag} {name} has no value",
            why="a service gets the values that are written, not those of the shell or the notebook",
            hint=f"write {flag} {name}=value, or {flag} {name}= for an empty one",
        )


def _refuse_other_targets(config: DeployConfig, flags: dict[str, Any], other: str = "") -> None:
    for name in flags:
        if name not in config.spec.by_name:
            owners = [spec.compute_type.lower() for spec in SPECS.values() if name in spec.by_name]
            raise UsageError(
                f"{_flag(name)} is not a setting of the target {config.compute_type.lower()}",
                why=f"it is a setting of {', '.join(owners)}",
                hint=f"leave {_flag(name)} out" + (f", {other}" if other else ""),
            )


def _flag(name: str) -> str:
    return next(param.display_name for param in CONFIG_PARAMS if param.name == f"config_{name}")


def _spelling(config: DeployConfig, flags: dict[str, Any]) -> Spelling:
    names = {} if config.passed.keys() <= flags.keys() else paths_in_file(config.spec)
    all_flags = {name: _flag(name) for name in config.spec.by_name}
    return Spelling({**all_flags, **{name: path for name, path in names.items() if name not in flags}}, "=")


def make_inference_config(context: Context, args: Args) -> Any:
    """The `InferenceConfig` of file, options and the notebook's defaults; None without any of them.

    Raises `UsageError` when no entry script is named.
    """
    kwargs: dict[str, Any] = {}
    if args.inference_config is not None:
        kwargs = read_inference_config(args.inference_config, need_script=args.entry_script is None)
    flags = {
        name: getattr(args, name)
        for name in (
            "entry_script",
            "source_directory",
            "conda_file",
            "requirements_file",
            "runtime",
            "extra_docker_file_steps",
            "base_image",
            "base_image_registry",
            "cuda_version",
            "enable_gpu",
        )
        if getattr(args, name) is not None
    }
    kwargs.update(flags)
    if not kwargs.get("entry_script") and context.defaults.get("entry_script") and args.inference_config is None:
        kwargs["entry_script"] = context.defaults["entry_script"]
    environment = _environment(context, args) or kwargs.get("environment")
    if not kwargs and environment is None:
        return None
    from mldeploy_jupyter.api.environments import ContainerRegistry, Environment
    from mldeploy_jupyter.api.webservices import InferenceConfig

    if isinstance(environment, dict):
        try:
            environment = Environment.from_dict(_with_conda_path(environment, kwargs, args))
        except MldeployError as error:
            error.where = ", ".join(part for part in (args.inference_config, error.where) if part)
            raise
    if environment is not None:
        kwargs["environment"] = environment
    registry = kwargs.get("base_image_registry")
    if registry is not None:
        data = registry if isinstance(registry, dict) else {"address": registry}
        container = ContainerRegistry()
        container.address, container.username, container.password = map(data.get, ("address", "username", "password"))
        kwargs["base_image_registry"] = container
    if not kwargs.get("entry_script"):
        raise UsageError(
            "the entry script is missing",
            why="neither --entry-script nor entryScript in the inference configuration names it",
            hint="add --entry-script score.py",
        )
    return InferenceConfig(**kwargs)


def _environment(context: Context, args: Args) -> Any:
    if args.environment_version is not None and args.environment_name is None:
        raise UsageError(
            "--environment-version needs --environment-name",
            why="it is the version of an environment of the workspace",
            hint="add --environment-name NAME",
        )
    if args.environment_name is None and args.environment_directory is None:
        return None
    from mldeploy_jupyter.api.environments import Environment

    if args.environment_directory is not None:
        return Environment.load_from_directory(args.environment_directory)
    return Environment.get(context.workspace(args.path), args.environment_name, args.environment_version)


def _with_conda_path(environment: dict[str, Any], kwargs: dict[str, Any], args: Args) -> dict[str, Any]:
    """The environment with the path of its `condaDependenciesFile`.

    As in v1 it is looked up in the source directory first, then beside the inference configuration.
    """
    python = environment.get("python") or {}
    name = python.get("condaDependenciesFile")
    if not name:
        return environment
    folders = [Path(kwargs.get("source_directory") or "."), Path(args.inference_config).parent]
    found = next((str((folder / name).absolute()) for folder in folders if (folder / name).exists()), name)
    return {**environment, "python": {**python, "condaDependenciesFile": found}}
