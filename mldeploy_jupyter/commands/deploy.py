"""`mldeploy model deploy` and `mldeploy service update`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.commands.formatting import listing, pairs, read_id, table
from mldeploy_jupyter.commands.grammar import Args, Command, Context, Param, Result
from mldeploy_jupyter.commands.lookup import find_live_revision, find_namesake, find_service
from mldeploy_jupyter.commands.options import (
    INFERENCE_PARAMS,
    REPLAY,
    TARGET_PARAMS,
    make_inference_config,
)
from mldeploy_jupyter.commands.python_code import Code, call
from mldeploy_jupyter.commands.script_defaults import fill_mlflow_script, fill_script
from mldeploy_jupyter.commands.waiting import WAIT, check_waiting, finish, going_on, must_wait, service_result
from mldeploy_jupyter.core.errors import NameInUse, WorkspaceError
from mldeploy_jupyter.core.name_rules import make_service_name

if TYPE_CHECKING:
    from mldeploy_jupyter.api.webservices import InferenceConfig
    from mldeploy_jupyter.core.configs import DeployConfig

NO_MODEL = "none"  # as the value of --model; a model of that name is none:1

MODEL_PARAMS: tuple[Param, ...] = (
    Param(
        "model",
        ("--model", "-m"),
        "Models: name:version, a name for its latest version, or (local only) a path; none for no model.",
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
        advanced=True,
    ),
)


def deploy(context: Context, args: Args) -> Result:
    from mldeploy_jupyter.api.webservices import Webservice, deployments
    from mldeploy_jupyter.api.webservices.deploy_configuration import from_data
    from mldeploy_jupyter.commands.options.settings import make_deploy_config

    check_waiting(args)
    models = read_models(args) if names_models(args) else default_models(context, args)
    config = make_deploy_config(args, context.note)
    name = args.name or _name_after_model(context, models)
    inference = read_inference_config(context, args, models, "a service")
    workspace = context.workspace(args.path, write=True)
    begun_before = len(deployments.begun)
    fresh = keep_keys(config)
    python = context.python = deploy_call(name, models, fresh, overwrite=args.overwrite)
    with going_on(context, name):
        service = _update_if_live(context, workspace, name, models, inference, config) if context.update_live else None
        shown: list[Any] = []

        def show(record: Any) -> None:
            """Shows the deployment before its processes are started, which keep the processors busy."""
            if context.show_deployment is not None and not must_wait(context, args):
                shown.append(Webservice.from_deployment(workspace, record))
                context.show_deployment(shown[0], False, args.timeout_sec)

        if service is None:
            deployment = from_data(fresh) if fresh is not None else None
            try:
                record = deployments.deploy(
                    workspace, name, models, inference, deployment, overwrite=args.overwrite, on_recorded=show
                )
                service = shown[0] if shown else Webservice.from_deployment(workspace, record)
            except NameInUse as error:
                update = context.command_line(f"service update {name}")
                error.hint = f"add --overwrite, run {update}, or choose another name with -n"
                raise
        if len(deployments.begun) == begun_before:
            return service_result(service, python)
        return finish(context, args, service, python, is_shown=bool(shown))


def read_inference_config(context: Context, args: Args, models: Any, needing: str) -> InferenceConfig:
    """The script and environment of the options. Raises `UsageError` without a script, which `needing` needs."""
    fill_mlflow_script(context, args, models)
    inference: InferenceConfig | None = make_inference_config(context, args)
    if inference is None:
        raise UsageError(
            "the entry script is missing",
            why=f"{needing} needs a script with init() and run()",
            hint="add --entry-script score.py, or -ic inferenceconfig.json",
        )
    return inference


def keep_keys(config: DeployConfig | None) -> DeployConfig | None:
    """The configuration of a command: `migrate()` turns keys off for v1's calls, not for commands and forms."""
    from mldeploy_jupyter.core import migration

    if migration.current() is None:
        return config
    if config is None:
        from mldeploy_jupyter.core.configs import DeployConfig

        config = DeployConfig()
    named = {"auth_enabled", "token_auth_enabled"} & {
        name for name, value in config.passed.items() if value is not None
    }
    return config if named else config.with_settings(auth_enabled=True)


def profile(context: Context, args: Args) -> Result:
    from mldeploy_jupyter.api.models import Model
    from mldeploy_jupyter.api.webservices.latency.preparation import NoSample

    models = read_models(args) if names_models(args) else default_models(context, args, "Profiling with", "the profile")
    inference = read_inference_config(context, args, models, "a service")
    workspace = context.workspace(args.path, write=True)
    given = {"cpu": args.cpu_cores, "memory_in_gb": args.memory_gb, "description": args.description}
    payload = Path(args.payload) if args.payload is not None else None
    shown = Code(f"Path({args.payload!r})") if args.payload is not None else None
    made = call("Model.profile", "ws", repr(args.name), repr(models), "inference_config", input_dataset=shown, **given)
    head = "from pathlib import Path\n" if payload is not None else ""
    context.python = f"{head}profile = {made}\nprofile.wait_for_completion(show_output=True)\nprofile.get_details()"
    begun = Model.profile(workspace, args.name, models, inference, payload, **given)
    try:
        begun.wait_for_completion(show_output=not context.json)
    except NoSample as error:
        example = json.dumps(error.example)
        error.hint = f"write what clients send into a file, such as {example}, and add --payload input.json"
        raise
    details = begun.get_details()
    return Result(begun, describe_profile(details), details, context.python)


def describe_profile(details: dict[str, Any]) -> str:
    """A profile's measurements and recommendations, as lines."""
    from mldeploy_jupyter.latency.text import describe_rate
    from mldeploy_jupyter.latency.verdict import format_milliseconds

    def known(value: Any, unit: str) -> str | None:
        return f"{value:g} {unit}" if value is not None else None

    rows = [
        [
            describe_rate(step["requestedQueriesPerSecond"]),
            describe_rate(step["measuredQueriesPerSecond"]),
            format_milliseconds(step["latencyPercentile50InMs"]),
            format_milliseconds(step["latencyPercentile95InMs"]),
            "yes" if step["keptUp"] else "no",
        ]
        for step in details["steps"]
    ]
    per_query = details["cpuSecondsPerQuery"]
    values = {
        "recommended cpu": known(details["recommendedCpu"], "cores"),
        "recommended memory": known(details["recommendedMemoryInGB"], "GB"),
        "at": describe_rate(details["measuredQueriesPerSecond"]) + " for one worker, the most it kept up with",
        "cpu of a request": format_milliseconds(1000 * per_query) if per_query is not None else None,
        "most cpu used": known(details["maxUtilizedCpu"], "cores"),
        "most memory used": known(details["maxUtilizedMemoryInGB"], "GB"),
        "reserve": f"cores for {details['utilization']:.0%} use, {details['memoryReserve']:g} times the memory",
        "requests": f"{details['totalQueries']:,}, {details['successRate']:g} % answered well",
    }
    text = f"{listing(values)}\n\n{table(rows, ('ASKED', 'ANSWERED', 'p50', 'p95', 'KEPT UP'))}"
    return text if details["valid"] else f"{text}\n\n* invalid: {details['invalidReason']}"


def deploy_call(name: str, models: list[Any], config: DeployConfig | Code | None, *, overwrite: bool = False) -> str:
    """The Python call that a deployment stands for."""
    words = ["ws", repr(name), repr(models), "inference_config", *([repr(config)] if config else [])]
    return call("Model.deploy", *words, overwrite=overwrite or None)


def _name_after_model(context: Context, models: list[str]) -> str:
    if not models:
        raise UsageError(
            "the service's name is missing",
            why="it is derived from the model's name, and no model is named",
            hint="add -n NAME, or -m MODEL",
        )
    last = models[0].rstrip("/").rsplit("/", 1)[-1]
    name = make_service_name(last.partition(":")[0])
    context.note(f"The service's name is {name}, after its model. Choose another with -n NAME.")
    return name


def _update_if_live(
    context: Context, workspace: Any, name: str, models: list[Any], inference: Any, config: DeployConfig | None
) -> Any:
    """Updates the live service of that name and returns it; None when there is none.

    A service that would not change is returned as it is.
    """
    from mldeploy_jupyter.api.webservices import Webservice
    from mldeploy_jupyter.api.webservices.deploy_arguments import is_unchanged, make_request
    from mldeploy_jupyter.api.webservices.deploy_configuration import from_data

    if find_live_revision(workspace.folder.open_store(), name) is None:
        return None
    service = Webservice(workspace, name)
    config = config if config is not None else _current_config(service)
    request = make_request(workspace, name, models, inference, config)
    if is_unchanged(workspace, request):
        context.note(f"{name} already serves exactly this; nothing to do.")
        return service
    service.update(
        models=models, inference_config=inference, deployment_config=from_data(config), detached=context.detached
    )
    return service


def update(context: Context, args: Args) -> Result:
    check_waiting(args)
    service = find_service(context, args)
    kwargs = read_changes(context, args, service)
    calls = _change_labels(service, args)
    if not kwargs and not calls:
        hint = f"for example: {context.command_line(f'service update {service.name} {_example_change(service)}')}"
        raise UsageError("there is nothing to change", why="no option names a change", hint=hint)
    if kwargs:
        calls.append(update_call(kwargs))
    python = context.python = "\n".join(calls)
    id_before = service.deployment_id
    with going_on(context, service.name):
        if kwargs:
            service.update(**kwargs, detached=context.detached)
        if service.deployment_id == id_before:  # only tags, properties or the description changed
            return Result(service, f"Updated {service.name}", service.serialize(), python)
        return finish(context, args, service, python)


def read_changes(context: Context, args: Args, service: Any) -> dict[str, Any]:
    """What the options change, as arguments of `service.update`. Raises as the command does."""
    from mldeploy_jupyter.api.webservices.deploy_configuration import from_data
    from mldeploy_jupyter.commands.options.settings import given_metadata, make_changed_config

    kwargs: dict[str, Any] = {}
    if names_models(args):
        kwargs["models"] = read_models(args)
    fill_script(context, args, service.live_revision())
    inference = make_inference_config(context, args)
    if inference is not None:
        kwargs["inference_config"] = inference
    config = make_changed_config(args, _current_config(service), context.note)
    if config is not None:
        kwargs["deployment_config"] = from_data(config)
    if kwargs and args.replay:
        kwargs["replay"] = True
    kwargs.update(given_metadata(args))
    return kwargs


def update_call(changes: dict[str, Any]) -> str:
    """The Python call that an update stands for; its `inference_config` is a variable."""
    return call("service.update", **{key: _as_code(key, value) for key, value in changes.items()})


def _change_labels(service: Any, args: Args) -> list[str]:
    """Adds and removes tags and properties; returns the Python calls that do it."""
    calls = []
    for words, method, flag in (
        (args.add_tag, "add_tags", "--add-tag"),
        (args.remove_tag, "remove_tags", ""),
        (args.add_property, "add_properties", "--add-property"),
    ):
        if words:
            value = pairs(words, flag) if flag else words
            getattr(service, method)(value)
            calls.append(call(f"service.{method}", repr(value)))
    return calls


def _as_code(name: str, value: Any) -> Any:
    """A value as printed in a call: plain data as it is, an object as a variable with the name of its parameter."""
    if hasattr(value, "config"):
        return value.config
    return value if isinstance(value, (list, dict, str)) else Code(name)


def _example_change(service: Any) -> str:
    """Options of an update, ready to be typed: the newest version of the service's model, or its script."""
    models = service.workspace.folder.open_store().list_models()
    names = {model.partition(":")[0] for model in service.models}
    newest = max((m for m in models if m.name in names), key=lambda m: m.version, default=models[0] if models else None)
    if newest is not None:
        return f"-m {newest.id}"
    live = service.live_revision()
    return f"--entry-script {(live.inference_config.get('entry_script') if live else '') or 'score.py'}"


def _current_config(service: Any) -> DeployConfig:
    """The live revision's settings, without tags, properties and description, which belong to the service."""
    from mldeploy_jupyter.core.configs import DeployConfig

    revision = service.live_revision()
    if revision is None:
        return DeployConfig(service.record.compute_type)
    return DeployConfig.from_dict(revision.deploy_config).without_metadata()


def names_models(args: Args) -> bool:
    """Whether an option names models, or says that there are none."""
    return args.model is not None or args.model_metadata_file is not None


def read_models(args: Args) -> list[Any]:
    """The models that the options name. Raises `UsageError` for an unusable file."""
    models = list(args.model or [])
    if models == [NO_MODEL]:
        models = []
    for path in args.model_metadata_file or []:
        hint = "write it with mldeploy model register -t FILE"
        models.append(read_id(path, "--model-metadata-file", ("modelId", "id"), hint))
    return models


def default_models(context: Context, args: Args, doing: str = "Deploying", named: str = "the service") -> list[Any]:
    """The models of a deployment for which no option names them, with a note.

    They are the context's; without a notebook, the model after which the service is named. The note begins with
    `doing`, or says that `named` has the model's name.
    """
    if "models" in context.defaults:
        return list(context.defaults["models"])
    if context.default_models is not None:
        models, described = context.default_models(context, args)
        context.note(f"{doing} {described}")
        return list(models)
    try:
        store = context.workspace(args.path).folder.open_store()
    except WorkspaceError:
        return []
    model = find_namesake(store, args.name) if args.name else ""
    if model:
        context.note(f"The model is {model}, after {named}'s name. Choose others with -m, or -m {NO_MODEL}.")
    return [model] if model else []


_NAME = Param(
    "name",
    ("--name", "-n"),
    "The service's name. Derived from the model's name when left out.",
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


def _deploy_params() -> tuple[Param, ...]:
    from mldeploy_jupyter.commands.options.settings import CONFIG_PARAMS

    overwrite = Param(
        "overwrite",
        ("--overwrite",),
        "Replace a service that has this name; service update changes it instead.",
        "switch",
    )
    return (_NAME, *MODEL_PARAMS, *TARGET_PARAMS, overwrite, *WAIT, *INFERENCE_PARAMS, *CONFIG_PARAMS)


def _update_params() -> tuple[Param, ...]:
    from mldeploy_jupyter.commands.options.settings import CONFIG_PARAMS

    settings = (
        replace(param, doc="Replace all of its tags. See --add-tag.") if param.name == "config_tags" else param
        for param in CONFIG_PARAMS
        if param.name != "config_engine"  # a service keeps its engine
    )
    return (_UPDATE_NAME, *MODEL_PARAMS, TARGET_PARAMS[1], REPLAY, *WAIT, *_CHANGES, *INFERENCE_PARAMS, *settings)


COMMANDS: tuple[Command, ...] = (
    Command(
        ("model", "deploy"),
        "Deploy models with an entry script as a service.\n\n"
        "The script has init(), called once, and run(...), called for each request. It is checked, loaded and probed\n"
        "before the service is live; then service run scores with it. Without -m it serves the latest version of the\n"
        "model that has the service's name, if there is one.",
        _deploy_params,
        deploy,
        "model deploy churn -m churn:3 --entry-script score.py",
    ),
    Command(
        ("model", "profile"),
        "Measure how much CPU and memory a model needs.\n\n"
        "Deploys it with one worker under a temporary name, loads it in steps, and removes it again.",
        (
            Param("name", ("--name", "-n"), "The profile's name.", required=True, positional=True),
            *MODEL_PARAMS,
            Param(
                "payload",
                ("--payload", "-d"),
                "What to send: one JSON value a line (.jsonl), or one body. By default the script's sample.",
                completion="file",
                metavar="FILE",
            ),
            Param("cpu_cores", ("--cpu-cores", "--cc"), "Kept with the profile, as in v1.", "number", advanced=True),
            Param("memory_gb", ("--memory-gb", "--gb"), "The worker's memory limit, in gigabytes.", "number"),
            Param("description", ("--description",), "What is profiled.", advanced=True),
            *INFERENCE_PARAMS,
        ),
        profile,
        "model profile churn-sizes -m churn:3 --entry-script score.py",
    ),
    Command(
        ("service", "update"),
        "Change a service; the old version serves until the new one answers.\n\n"
        "Only what an option names is changed. A new script alone keeps the environment of the old one.",
        _update_params,
        update,
        "service update churn -m churn:4",
    ),
)
