"""`mldeploy model deploy` and `mldeploy service update`: what makes a deployment, and waiting for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.commands.formatting import pairs, python_call, read_json
from mldeploy_jupyter.commands.grammar import Args, Command, Context, Param, Result
from mldeploy_jupyter.commands.options import (
    CONFIG_PARAMS,
    INFERENCE_PARAMS,
    TARGET_PARAMS,
    changed_config,
    deploy_config_of,
    inference_config_of,
    texts_of,
)
from mldeploy_jupyter.commands.script_defaults import fill_script
from mldeploy_jupyter.commands.waiting import WAIT, check_waiting, finish
from mldeploy_jupyter.core.configs import DeployConfig, make_service_name
from mldeploy_jupyter.core.errors import NameInUse

_MODELS: tuple[Param, ...] = (
    Param(
        "model",
        ("--model", "-m"),
        "Models: name:version, a name for its latest version, or (local only) a path.",
        "list",
        completion="model id",
        metavar="MODEL",
    ),
    Param(
        "model_metadata_file",
        ("--model-metadata-file", "-f"),
        "Files that model register -t wrote.",
        "list",
        completion="file",
        metavar="FILE",
    ),
)


def deploy(context: Context, args: Args) -> Result:
    from mldeploy_jupyter.api.models.model import Model
    from mldeploy_jupyter.api.webservices import deployments
    from mldeploy_jupyter.api.webservices.deploy_configuration import from_data

    check_waiting(args)
    models = models_of(context, args)
    config = deploy_config_of(args)
    name = args.name or _name_for(context, models)
    inference = inference_config_of(context, args)
    if inference is None:
        raise UsageError(
            "the entry script is missing",
            why="a service needs a script with init() and run()",
            hint="add --entry-script score.py, or -ic inferenceconfig.json",
        )
    workspace = context.workspace(args.path, write=True)
    deployment = from_data(config) if config is not None else None
    begun = len(deployments.begun)
    service = _update_if_live(context, workspace, name, models, inference, config) if context.update_live else None
    if service is None:
        try:
            service = Model.deploy(workspace, name, models, inference, deployment, overwrite=args.overwrite)
        except NameInUse as error:
            error.hint = f"add --overwrite, run {context.prefix}service update {name}, or choose another name with -n"
            raise
    python = python_call(
        "Model.deploy", "ws", repr(name), repr(models), "inference_config", *([repr(config)] if config else [])
    )
    if args.overwrite:
        python = python.removesuffix(")") + ", overwrite=True)"
    return finish(context, args, service, name, python, begun=len(deployments.begun) > begun)


def update(context: Context, args: Args) -> Result:
    from mldeploy_jupyter.api.webservices.deploy_configuration import from_data
    from mldeploy_jupyter.commands.lookup import find_service

    check_waiting(args)
    service = find_service(context, args)
    kwargs: dict[str, Any] = {}
    if args.model is not None or args.model_metadata_file is not None:
        kwargs["models"] = models_of(context, args)
    fill_script(args, service.live_revision())
    inference = inference_config_of(context, args)
    if inference is not None:
        kwargs["inference_config"] = inference
    config = changed_config(args, current_config(service))
    if config is not None:
        kwargs["deployment_config"] = from_data(config)
    kwargs.update(texts_of(args))
    changed = change_words(service, args)
    if not kwargs and not changed:
        hint = f"for example: {context.prefix}service update {service.name} {_example_change(service)}"
        raise UsageError("nothing is to be changed", why="no option says what", hint=hint)
    python = python_call("service.update", **{key: _Word(key, value) for key, value in kwargs.items()})
    if not kwargs:
        return Result(service, f"Updated {service.name}", service.serialize(), changed)
    python = f"{changed}\n{python}" if changed else python
    before = service.deployment_id
    service.update(**kwargs, detached=context.detached)
    if service.deployment_id == before:  # only its tags, properties or description
        return Result(service, f"Updated {service.name}", service.serialize(), python)
    return finish(context, args, service, service.name, python)


def _example_change(service: Any) -> str:
    """Options of an update that can be typed as they stand: the newest version of the model it has, or of the last."""
    models = service.workspace.folder.open_store().list_models()
    names = {model.partition(":")[0] for model in service.models}
    newest = max((m for m in models if m.name in names), key=lambda m: m.version, default=models[0] if models else None)
    if newest is not None:
        return f"-m {newest.id}"
    live = service.live_revision()
    return f"--entry-script {(live.inference_config.get('entry_script') if live else '') or 'score.py'}"


class _Word:
    """How a value stands in a printed call: plain data as it is, an object as a variable of its parameter's name."""

    def __init__(self, name: str, value: Any) -> None:
        self.text = repr(value) if isinstance(value, list) else repr(value.config) if hasattr(value, "config") else name

    def __repr__(self) -> str:
        return self.text


def current_config(service: Any) -> DeployConfig:
    """The live revision's settings; tags, properties and description are the service's own."""
    workspace = service.workspace
    store = workspace.folder.open_store()
    record = store.get_service(service.name)
    revision = store.get_revision(service.name, record.revision) if record and record.revision else None
    if revision is None:
        return DeployConfig(service.compute_type)
    return DeployConfig.from_dict(revision.deploy_config).without_metadata()


def models_of(context: Context, args: Args) -> list[Any]:
    models = list(args.model or [])
    for path in args.model_metadata_file or []:
        data = read_json(path, "--model-metadata-file")
        model_id = data.get("modelId") or data.get("id") if isinstance(data, dict) else None
        if not model_id:
            raise UsageError(
                f"{path} names no model", why="it has no modelId", hint="write it with mldeploy model register -t FILE"
            )
        models.append(model_id)
    return models or list(context.defaults.get("models") or [])


def _name_for(context: Context, models: list[str]) -> str:
    if not models:
        raise UsageError(
            "the service's name is missing",
            why="it is made from the model's name, and no model is named",
            hint="add -n NAME, or -m MODEL",
        )
    last = models[0].rstrip("/").rsplit("/", 1)[-1]
    name = make_service_name(last.partition(":")[0])
    context.note(f"The service's name is {name}, after its model. Choose another with -n NAME.")
    return name


def _update_if_live(
    context: Context, workspace: Any, name: str, models: list[Any], inference: Any, config: DeployConfig | None
) -> Any:
    """The service of that name, updated where something changed; None when there is none that can be updated."""
    from mldeploy_jupyter.api.webservices import deployments
    from mldeploy_jupyter.api.webservices.deploy_configuration import from_data
    from mldeploy_jupyter.api.webservices.webservice import Webservice

    record = workspace.folder.open_store().get_service(name)
    if record is None or not record.revision:
        return None
    service = Webservice(workspace, name)
    settings = config if config is not None else current_config(service)
    request = deployments.make_request(workspace, name, models, inference, settings)
    if deployments.is_unchanged(workspace, request):
        context.note(f"{name} serves just this already; nothing to do.")
        return service
    service.update(
        models=models, inference_config=inference, deployment_config=from_data(settings), detached=context.detached
    )
    return service


_NAME = Param(
    "name",
    ("--name", "-n"),
    "The service's name. The model's, made valid, when left out.",
    positional=True,
    completion="service",
)

_UPDATE_NAME = Param(
    "name", ("--name", "-n"), "The service's name.", required=True, positional=True, completion="service"
)

_CHANGES: tuple[Param, ...] = (
    Param("add_tag", ("--add-tag",), "Tags to add or change; the others stay.", "list", metavar="KEY=VALUE"),
    Param("remove_tag", ("--remove-tag",), "Tags to remove.", "list", metavar="KEY"),
    Param("add_property", ("--add-property",), "Properties to add.", "list", metavar="KEY=VALUE"),
)

_UPDATE_CONFIG = tuple(
    replace(param, doc="Tags in place of all that it has. See --add-tag.") if param.name == "config_tags" else param
    for param in CONFIG_PARAMS
)

COMMANDS: tuple[Command, ...] = (
    Command(
        ("model", "deploy"),
        "Deploy models with an entry script as a service.\n\n"
        "The script has init(), called once, and run(...), called for each request. It is checked, loaded and probed\n"
        "before the service is live; then service run scores with it.",
        (
            _NAME,
            *_MODELS,
            *TARGET_PARAMS,
            Param(
                "overwrite",
                ("--overwrite",),
                "Replace a service that has this name; service update changes it instead.",
                "switch",
            ),
            *WAIT,
            *INFERENCE_PARAMS,
            *CONFIG_PARAMS,
        ),
        deploy,
        "model deploy churn -m churn:3 --entry-script score.py --to local",
    ),
    Command(
        ("service", "update"),
        "Change a service; the old version serves until the new one answers.\n\n"
        "What no option names stays as it is. A new script alone goes into the environment that the old one has.",
        (_UPDATE_NAME, *_MODELS, TARGET_PARAMS[1], *WAIT, *_CHANGES, *INFERENCE_PARAMS, *_UPDATE_CONFIG),
        update,
        "service update churn -m churn:4",
    ),
)


def change_words(service: Any, args: Args) -> str:
    """Adds and removes tags and properties at once; gives back the Python for it, "" when nothing was asked."""
    calls = []
    for words, method, flag in (
        (args.add_tag, "add_tags", "--add-tag"),
        (args.remove_tag, "remove_tags", ""),
        (args.add_property, "add_properties", "--add-property"),
    ):
        if words:
            value = pairs(words, flag) if flag else words
            getattr(service, method)(value)
            calls.append(python_call(f"service.{method}", repr(value)))
    return "\n".join(calls)
