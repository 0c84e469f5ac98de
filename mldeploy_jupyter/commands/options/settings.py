"""Options for the settings of a deploy configuration. An option overrides the file.

Imported by what reads or shows these options: the tables of all settings take longer than the other options together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.commands.formatting import pairs
from mldeploy_jupyter.commands.grammar import Args, Param, ParamKind
from mldeploy_jupyter.commands.options import ENGINE_TARGETS, OTHER_TARGETS, SETTINGS, compute_type_of
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
)

_TITLES = {"aci": "ACI", "aks": "AKS", "aksendpoint": "AKS endpoints"}

# The settings that most people need. `--help-all` shows the others.
_BASIC_SETTINGS = ("port", "engine", "auth_enabled", "tags", "environment_variables", "worker_count")

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


def _ignore(text: str) -> None:
    pass


def make_deploy_config(args: Args, note: Callable[[str], None] = _ignore) -> DeployConfig | None:
    """The checked configuration of file and options; None when neither is given. `note` gets a line about the file.

    Raises `UsageError` for an option that the target does not have, `ConfigError` for invalid values.
    """
    flags = _with_engine(args.target, given_settings(args))
    problems: list[Problem] = []
    if args.deploy_config is None:
        if not flags and args.target is None:
            return None
        # As in v1, a cluster's name alone means AKS.
        compute_type = compute_type_of(args.target or ("aks" if "compute_target_name" in flags else "local"))
        base = DeployConfig(compute_type)
    else:
        base, problems = read_deploy_file(args.deploy_config, note)
        _drop_cluster(base, flags, note)
        if args.target is not None and compute_type_of(args.target) != base.compute_type:
            if compute_type_of(args.target) == "Local":
                from mldeploy_jupyter.api.webservices.migrated import to_local

                return _in_place_of(args, base, flags, problems, to_local)
            raise UsageError(
                f"{args.deploy_config} is for {base.compute_type.lower()}, and --target says {args.target}",
                why="the settings of one target do not fit another",
                hint=f"leave the file out (--dc), or use one whose computeType is {args.target}",
            )
    _drop_cluster(base, flags, note)
    _refuse_other_targets(base, flags, "or name another target with --target")
    return _checked(args, make_config(base.compute_type, {**base.passed, **flags}), flags, problems)


def _drop_cluster(config: DeployConfig, flags: dict[str, Any], note: Callable[[str], None]) -> None:
    """Drops the name of a cluster, with a note, when the target has none: as in v1, nothing looks at it then."""
    if "compute_target_name" in flags and "compute_target_name" not in config.spec.by_name:
        del flags["compute_target_name"]
        note("note: --compute-target is not used: it names a cluster, for a service on AKS.")


def _in_place_of(
    args: Args,
    azure: DeployConfig,
    flags: dict[str, Any],
    problems: list[Problem],
    make_local: Callable[[DeployConfig], DeployConfig],
) -> DeployConfig:
    """The configuration of this machine instead of the file's target, whose settings are checked and kept.

    Raises as `make_deploy_config`.
    """
    own = {name: value for name, value in flags.items() if name in SPECS["Local"].by_name}
    others = {name: value for name, value in flags.items() if name not in own}
    _refuse_other_targets(azure, others)
    full = _checked(args, make_config(azure.compute_type, {**azure.passed, **others}), others, problems)
    return _checked(args, make_local(full).with_settings(**own), own, [])


def _with_engine(target: str | None, flags: dict[str, Any]) -> dict[str, Any]:
    """The settings with the engine that a short form of the target stands for. Raises `UsageError` for another one."""
    engine = ENGINE_TARGETS.get(target or "")
    if engine is None:
        return flags
    if flags.get("engine", engine) != engine:
        raise UsageError(
            f"--target {target} and --engine {flags['engine']} contradict each other",
            why=f"--target {target} stands for --engine {engine}",
            hint="leave one of them out",
        )
    return {**flags, "engine": engine}


def make_changed_config(
    args: Args, current: DeployConfig, note: Callable[[str], None] = _ignore
) -> DeployConfig | None:
    """The configuration of an update: `current`, overridden by the file and then by options; None without either.

    Raises as `make_deploy_config`, and `UsageError` for a file that is for another target.
    """
    flags = {name: value for name, value in given_settings(args).items() if name not in METADATA}
    if args.deploy_config is None and not flags:
        return None
    base = current
    problems: list[Problem] = []
    if args.deploy_config is not None:
        base, problems = read_deploy_file(args.deploy_config, note)
        _drop_cluster(base, flags, note)
        if base.compute_type == current.in_place_of:
            from mldeploy_jupyter.api.webservices.migrated import replace_settings

            return _in_place_of(args, base, flags, problems, partial(replace_settings, current))
        if base.compute_type != current.compute_type:
            here, there = current.compute_type.lower(), base.compute_type.lower()
            raise UsageError(
                f"{args.deploy_config} is for {there}, and the service runs on {here}",
                why="an update does not move a service to another target",
                hint="deploy a second service with mldeploy model deploy",
            )
    _drop_cluster(base, flags, note)
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
