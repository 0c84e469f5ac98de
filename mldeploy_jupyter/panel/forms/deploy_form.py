"""The forms of `model deploy` and `service update`: models, script, environment, and the settings of the target."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.commands import Command, command
from mldeploy_jupyter.commands.deploy import NO_MODEL
from mldeploy_jupyter.commands.lookup import find_live_revision
from mldeploy_jupyter.commands.options import AVAILABLE_TARGETS, ENGINE_TARGETS, compute_type_of
from mldeploy_jupyter.core.configs import METADATA, DeployConfig, find_spec
from mldeploy_jupyter.core.journal.wording import target_title
from mldeploy_jupyter.core.name_rules import make_service_name
from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.forms.form_fields import (
    FormField,
    find_param,
    from_param,
    from_setting,
    make_choice,
    make_field,
)
from mldeploy_jupyter.panel.services.descriptions import find_service

if TYPE_CHECKING:
    from mldeploy_jupyter.api.webservices import Webservice
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

Values = dict[str, Any]

CONTAINER_SETTINGS = ("cpu_cores_limit",)  # of local services, only a container has them

MAX_MODELS = 200  # models offered; any other can be typed into a command

# Kinds of environments: value, label, the parameter that it needs.
ENVIRONMENTS = (
    ("kernel", "This Python as it is", ""),
    ("requirements", "requirements.txt", "requirements_file"),
    ("conda", "Conda file", "conda_file"),
    ("registered", "Registered", "environment_name"),
)


def deploy_command() -> Command:
    return command("model", "deploy")


def update_command() -> Command:
    return command("service", "update")


def describe_deploy(context: PanelContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The form of a new service."""
    folder = _find_folder(context, parameters)
    models, scripts = _model_choices(folder), context.scripts.choices()
    chosen = [models[0]["value"]] if models else []
    params = deploy_command().params
    fields = [
        from_param(find_param(params, "name"), "Service name", required=True),
        _models_field(models),
        _script_field(scripts, required=True),
        from_param(find_param(params, "source_directory"), "Source folder", kind="path",
                   placeholder="the script alone"),
        *_environment_fields(),
        make_field("target", "Target", "choice", section="Target", default=AVAILABLE_TARGETS[0],
                   choices=[make_choice(name, target_title(name)) for name in AVAILABLE_TARGETS]),
    ]  # fmt: skip
    for compute_type in dict.fromkeys(map(compute_type_of, AVAILABLE_TARGETS)):
        fields += _target_fields(compute_type)
    values = {field["key"]: field["default"] for field in fields}
    values |= {"name": make_service_name(chosen[0].partition(":")[0]) if chosen else "", "models": chosen,
               "entry_script": scripts[0]["value"] if scripts else "",
               "source_directory": context.scripts.source_directory(), "environment": "kernel",
               "target": AVAILABLE_TARGETS[0]}  # fmt: skip
    return {"form": "deploy", "title": "Deploy a model", "submit": "Deploy", "fields": fields, "values": values}


def describe_update(context: PanelContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The form of a service's next revision, with what it has now."""
    service = find_service(context, dict(parameters))
    folder = service.workspace.folder
    scripts = [make_choice("", "As it is"), *context.scripts.choices()]
    compute_type = service.record.compute_type
    fields = [
        _models_field(_model_choices(folder, serving=service.models)),
        _script_field(scripts, required=False),
        *(field for field in _setting_fields(compute_type, section="") if field["key"] not in _unused(service)),
    ]
    for field in fields:
        if field["key"] == "port":
            field["placeholder"] = "as it is"  # the service keeps the free one that it found
    values = {"models": list(service.models), "entry_script": "", **current_settings(service)}
    values["port"] = values.get("port") or None  # 0 stands for any free one, as an empty field does
    values = {field["key"]: values.get(field["key"]) for field in fields}
    number = max([revision["number"] for revision in service.revisions], default=0) + 1
    return {"form": "update", "title": f"Update {service.name}", "submit": f"Update to revision {number}",
            "fields": fields, "values": values}  # fmt: skip


def _unused(service: Webservice) -> tuple[str, ...]:
    """The settings that an update of the service cannot change: its engine, and what only a container has."""
    return ("engine",) if service.record.target in ENGINE_TARGETS else ("engine", *CONTAINER_SETTINGS)


def current_settings(service: Webservice) -> Values:
    """The settings of the live revision, with defaults, without secrets and what belongs to the service."""
    live = service.live_revision()
    config = (
        DeployConfig.from_dict(live.deploy_config) if live is not None else DeployConfig(service.record.compute_type)
    )
    secret = {field.name for field in config.spec.fields if field.secret}
    return {name: value for name, value in config.resolve().items() if name not in {*METADATA, *secret}}


def deploy_arguments(values: Mapping[str, Any], has_models: bool) -> Values:
    """The values of the deploy form by the parameters of `model deploy`; what equals a default is left out.

    `has_models`: models are registered, one of which the command might take by itself.
    """
    target = values.get("target") or AVAILABLE_TARGETS[0]
    found: Values = {
        "name": values.get("name"),
        "model": _list(values.get("models")) or ([NO_MODEL] if has_models else None),
        "entry_script": script_option(values),
        "source_directory": values.get("source_directory"),
    }
    needed = next((key for value, _, key in ENVIRONMENTS if value == values.get("environment")), "")
    if needed:
        found[needed] = values.get(needed)
    found["target"] = target if target != AVAILABLE_TARGETS[0] else None
    for field in find_spec(compute_type_of(str(target))).fields:
        value = values.get(field.name)
        if field.name == "engine" or (field.name in CONTAINER_SETTINGS and target not in ENGINE_TARGETS):
            continue
        if value is not None and value != field.default and value not in ("", [], {}):
            found[f"config_{field.name}"] = value
    return found


def find_script_file(values: Mapping[str, Any]) -> Path | None:
    """The chosen script's file, which need not exist; None while none is chosen.

    As for the command, the path may be relative to the source folder.
    """
    if not values.get("entry_script"):
        return None
    script = Path(str(values["entry_script"])).expanduser()
    within = Path(str(values.get("source_directory") or "")).expanduser() / script
    return within if within.is_file() else script


def script_option(values: Mapping[str, Any]) -> str | None:
    """The script as the command's option names it: relative to the source folder, where there is one."""
    file = find_script_file(values)
    if file is None or not values.get("source_directory"):
        return values.get("entry_script")
    folder = Path(str(values["source_directory"])).expanduser().absolute()
    return file.absolute().relative_to(folder).as_posix() if file.absolute().is_relative_to(folder) else str(file)


def update_arguments(service: Webservice, values: Mapping[str, Any]) -> Values:
    """The values of the update form that differ from what the service has, by the parameters of `service update`."""
    found: Values = {"name": service.name}
    models = _list(values.get("models"))
    if "models" in values and models != list(service.models):
        found["model"] = models or [NO_MODEL]
    if values.get("entry_script"):
        found["entry_script"] = values["entry_script"]
    current = current_settings(service)
    for name, value in values.items():
        if (name in current and value is not None and value != current[name]) or (
            name in ("primary_key", "secondary_key") and value
        ):
            found[f"config_{name}"] = value
    return found


def describe_changes(service: Webservice, arguments: Mapping[str, Any]) -> list[str]:
    """What an update changes, in words: `model 7 → 8`, `worker count 1 → 2`."""
    current, changes = current_settings(service), []
    for name, value in arguments.items():
        key = name.removeprefix("config_")
        if name == "model":
            changes.append(
                f"{', '.join(service.models) or 'no model'} → {'no model' if value == [NO_MODEL] else ', '.join(value)}"
            )
        elif name == "entry_script":
            changes.append(str(value))
        elif name != "name":
            field = find_spec(service.record.compute_type).by_name[key]
            changes.append(field.label.lower() if field.secret or field.kind == "mapping"
                           else f"{field.label.lower()} {current.get(key)} → {value}")  # fmt: skip
    return changes


def is_live(folder: WorkspaceFolder | None, name: str) -> bool:
    """Whether a live service has that name."""
    return folder is not None and bool(name) and find_live_revision(folder.open_store(), name) is not None


def _find_folder(context: PanelContext, parameters: Mapping[str, Any]) -> WorkspaceFolder | None:
    own = context.own if not parameters.get("workspace") else context.workspace(parameters["workspace"])
    return own.find_folder() if own is not None else None


def _model_choices(folder: WorkspaceFolder | None, serving: list[str] | None = None) -> list[dict[str, str]]:
    """Registered models, newest first; of each name the newest version is marked."""
    models = sorted(folder.open_store().list_models(), key=lambda m: m.created_time, reverse=True) if folder else []
    latest: dict[str, int] = {}
    for model in models:
        latest[model.name] = max(model.version, latest.get(model.name, 0))
    choices = []
    for model in models[:MAX_MODELS]:
        words = (
            ["serving"] if model.id in (serving or ()) else ["latest"] if model.version == latest[model.name] else []
        )
        choices.append(make_choice(model.id, model.id, ", ".join(words)))
    known = {choice["value"] for choice in choices}
    return [*choices, *(make_choice(one, one, "serving") for one in serving or () if one not in known)]


def _models_field(choices: list[dict[str, str]]) -> FormField:
    empty = "No model" if choices else "None registered yet"
    return make_field("models", "Model", "models", choices=[*choices, make_choice("", empty)], placeholder=empty)


def _script_field(choices: list[dict[str, str]], *, required: bool) -> FormField:
    text = "The script with init() and run()."
    return make_field("entry_script", "Entry script", "combo", help=text, required=required, choices=choices,
                      placeholder="score.py" if required else "as it is")  # fmt: skip


def _environment_fields() -> list[FormField]:
    params = deploy_command().params
    kinds = [make_choice(value, label) for value, label, _ in ENVIRONMENTS]
    fields = [make_field("environment", "Environment", "choice", choices=kinds, default="kernel")]
    for value, label, key in ENVIRONMENTS:
        if key:
            given = {"visibleWhen": {"environment": [value]}, "advanced": False, "required": True}
            fields.append(from_param(find_param(params, key), label, **given))
    return fields


def _setting_fields(compute_type: str, **given: Any) -> list[FormField]:
    return [from_setting(field, **given) for field in find_spec(compute_type).fields if field.name not in METADATA]


def _target_fields(compute_type: str) -> list[FormField]:
    """The settings of a compute type in the form of a new service, whose target says which engine it gets."""
    targets = [target for target in AVAILABLE_TARGETS if compute_type_of(target) == compute_type]
    engines = [target for target in targets if target in ENGINE_TARGETS]
    return [
        from_setting(
            field, section="Target", visibleWhen={"target": engines if field.name in CONTAINER_SETTINGS else targets}
        )
        for field in find_spec(compute_type).fields
        if field.name not in (*METADATA, "engine")
    ]


def _list(value: Any) -> list[str]:
    return [str(one) for one in value if one] if isinstance(value, list) else []
