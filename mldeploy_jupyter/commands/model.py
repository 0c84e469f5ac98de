"""`mldeploy model register|list|show|update|download|delete`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.commands.formatting import check_writable, listing, pairs, read_id, split_filters, table
from mldeploy_jupyter.commands.grammar import Args, Command, Context, Param, Result
from mldeploy_jupyter.commands.python_code import call
from mldeploy_jupyter.core.text import printable_line

if TYPE_CHECKING:
    from mldeploy_jupyter.api.models import ResourceConfiguration

MODEL_PARAMS: tuple[Param, ...] = (
    Param(
        "model_id",
        ("--model-id", "-i"),
        "The model's id, name:version.",
        completion="model id",
        positional=True,
        metavar="ID",
    ),
    Param("model_name", ("--model-name", "--name", "-n"), "The model's name.", completion="model"),
    Param("version", ("--version",), "The version. The latest when left out.", "integer"),
)


def find_model(context: Context, args: Args) -> Any:
    """The model that the options name. Raises `ModelNotFoundException`, or `UsageError` when they name none or two."""
    from mldeploy_jupyter.api.models import Model

    if not args.model_id and not args.model_name:
        raise UsageError("no model is named", why="the command works on one model", hint="add its id, such as churn:3")
    name, version = args.model_name, args.version
    if args.model_id:
        name, _, number = args.model_id.partition(":")
        if number and not number.isdigit():
            raise UsageError(
                f"{args.model_id!r} is not a model's id", why="an id is name:version", hint=f"write {name}:1"
            )
        version = int(number) if number else version
        if args.model_name and args.model_name != name:
            raise UsageError(
                "two models are named", why=f"{args.model_id} and {args.model_name}", hint="name one of them"
            )
    return Model(context.workspace(args.path), name=name, version=version, run_id=getattr(args, "run_id", None))


def register(context: Context, args: Args) -> Result:
    from mldeploy_jupyter.api.arguments import find_source
    from mldeploy_jupyter.api.models import Model

    run_id = args.run_id
    if args.run_metadata_file:
        run_id = run_id or read_id(
            args.run_metadata_file, "--run-metadata-file", ("runId", "run_id"), "name the run with --run-id"
        )
    if bool(args.model_path) == bool(args.asset_path):
        raise UsageError(
            "mldeploy model register needs --model-path or --asset-path",
            why="one of them names the model's file or folder" if not args.model_path else "both are given",
            hint="for example: mldeploy model register -n churn -p model.pkl",
        )
    tags, properties = pairs(args.tag, "--tag"), pairs(args.property, "--property")
    resources = _resources(args)
    details: dict[str, Any] = {
        "tags": tags,
        "properties": properties,
        "description": args.description,
        "model_framework": args.model_framework,
        "model_framework_version": args.model_framework_version,
        "sample_input_dataset": args.sample_input_dataset_id,
        "sample_output_dataset": args.sample_output_dataset_id,
    }
    if args.model_path and run_id:
        raise UsageError(
            "--run-id goes with --asset-path",
            why="--model-path is a file of this machine, and belongs to no run",
            hint="name the file's path in the run with --asset-path, or leave --run-id out",
        )
    if args.asset_path and not run_id:
        raise UsageError(
            "--asset-path needs --run-id", why="it is a path inside a run", hint="add --run-id, or use --model-path"
        )
    if args.output_metadata_file:
        check_writable(args.output_metadata_file, "--output-metadata-file")
    if args.model_path and not re.match(r"(models|runs):", args.model_path):
        find_source(args.model_path)  # before a workspace is created
    workspace = context.workspace(args.path, write=True)
    if args.asset_path:
        from mldeploy_jupyter.api.runs import Run

        run = Run(workspace, run_id)
        model = run.register_model(args.name, model_path=args.asset_path, resource_configuration=resources, **details)
        python = call("run.register_model", repr(args.name), model_path=args.asset_path, **details)
    else:
        model = Model.register(
            workspace,
            args.model_path,
            args.name,
            child_paths=args.child_path,
            resource_configuration=resources,
            **details,
        )
        python = call(
            "Model.register", "ws", repr(args.model_path), repr(args.name), child_paths=args.child_path, **details
        )
    if args.output_metadata_file:
        text = json.dumps({"modelId": model.id, "workspaceName": workspace.name}, indent=2)
        Path(args.output_metadata_file).write_text(text + "\n", "utf-8")
    return Result(model, f"Registered {model.id}", model.serialize(), python)


def _resources(args: Args, current: ResourceConfiguration | None = None) -> ResourceConfiguration | None:
    """The resources given as options, merged over `current`; None when no option is given."""
    from mldeploy_jupyter.api.models import ResourceConfiguration

    given = {"cpu": args.cpu_cores, "memory_in_gb": args.memory_gb, "gpu": args.gpu_cores}
    given = {name: value for name, value in given.items() if value is not None}
    if not given:
        return None
    return ResourceConfiguration(**{**(current.serialize() if current else {}), **given})


def list_(context: Context, args: Args) -> Result:
    from mldeploy_jupyter.api.models import Model

    kwargs: dict[str, Any] = {
        "name": args.model_name,
        "tags": split_filters(args.tag) or None,
        "properties": split_filters(args.property) or None,
        "run_id": args.run_id,
        "dataset_id": args.dataset_id,
        "latest": args.latest or None,
    }
    kwargs = {key: value for key, value in kwargs.items() if value is not None}
    models = Model.list(context.workspace(args.path), **kwargs)
    rows = [
        (
            model.name,
            model.version,
            model.model_framework,
            model.record.created_time[:19],
            _tag_words(model.tags),
        )
        for model in models
    ]
    text = (
        table(rows, ("NAME", "VERSION", "FRAMEWORK", "CREATED", "TAGS"))
        if rows
        else "No models. Register one with: mldeploy model register"
    )
    return Result(models, text, [model.serialize() for model in models], call("Model.list", "ws", **kwargs))


def _tag_words(values: dict[str, Any] | None) -> str:
    return " ".join(f"{key}={value}" if value not in ("", None) else key for key, value in (values or {}).items())


def show(context: Context, args: Args) -> Result:
    model = find_model(context, args)
    data = model.serialize()
    return Result(model, listing(data), data, call("Model", "ws", name=model.name, version=model.version))


def update(context: Context, args: Args) -> Result:
    model = find_model(context, args)
    resources = _resources(args, model.resource_configuration)
    texts = {
        "description": args.description,
        "resource_configuration": resources,
        "sample_input_dataset": args.sample_input_dataset_id,
        "sample_output_dataset": args.sample_output_dataset_id,
    }
    texts = {name: value for name, value in texts.items() if value is not None}
    given = (args.add_tag, args.remove_tag, args.add_property, texts or None)
    if all(value is None for value in given):
        raise UsageError("there is nothing to change", why="no option names a change", hint="add --add-tag key=value")
    calls = []
    for method, value in (
        ("add_tags", pairs(args.add_tag, "--add-tag")),
        ("remove_tags", args.remove_tag),
        ("add_properties", pairs(args.add_property, "--add-property")),
    ):
        if value:
            getattr(model, method)(value)
            calls.append(call(f"model.{method}", repr(value)))
    if texts:
        model.update(**texts)
        calls.append(call("model.update", **texts))
    return Result(model, f"Updated {model.id}", model.serialize(), "\n".join(calls))


def download(context: Context, args: Args) -> Result:
    model = find_model(context, args)
    path = str(model.download(target_dir=args.target_dir or ".", exist_ok=args.overwrite))
    python = call("model.download", target_dir=args.target_dir or ".", exist_ok=args.overwrite)
    return Result(path, printable_line(f"Downloaded {model.id} to {path}"), {"modelId": model.id, "path": path}, python)


def delete(context: Context, args: Args) -> Result:
    model = find_model(context, args)
    model.delete()
    return Result(None, f"Deleted {model.id}", {"modelId": model.id, "deleted": True}, "model.delete()")


_TAGS = (
    Param("tag", ("--tag",), "Tags, changed freely later.", "list", metavar="KEY=VALUE"),
    Param("property", ("--property",), "Properties; added to later, never changed.", "list", metavar="KEY=VALUE"),
)
_SAMPLES = tuple(
    Param(
        f"sample_{kind}_dataset_id",
        (f"--sample-{kind}-dataset-id",),
        "A data set's id; kept with the model.",
        advanced=True,
    )
    for kind in ("input", "output")
)
_RESOURCES = (
    Param(
        "cpu_cores",
        ("--cpu-cores", "--cc"),
        "CPU cores a service with this model should get; kept with the model.",
        "number",
        advanced=True,
    ),
    Param("memory_gb", ("--memory-gb", "--gb"), "Memory it should get, in gigabytes.", "number", advanced=True),
    Param("gpu_cores", ("--gpu-cores", "--gc"), "GPUs it should get.", "integer", advanced=True),
)
_FILTERS = (
    Param("tag", ("--tag",), "Only models with these tags; KEY alone: with any value.", "list", metavar="KEY=VALUE"),
    Param("property", ("--property",), "Only models with these properties.", "list", metavar="KEY=VALUE"),
)
COMMANDS: tuple[Command, ...] = (
    Command(
        ("model", "register"),
        "Register a file or a folder as the next version of a model.",
        (
            Param("name", ("--name", "-n"), "The model's name.", required=True, positional=True, completion="model"),
            Param(
                "model_path",
                ("--model-path", "-p"),
                "The file or folder; also runs:/ID/PATH (in an MLflow run) and models:/NAME/1 (in MLflow's registry).",
                positional=True,
                completion="file",
            ),
            Param("asset_path", ("--asset-path",), "A path inside the run that --run-id names.", advanced=True),
            Param(
                "experiment_name", ("--experiment-name",), "Accepted as in v1; the run's id is enough.", advanced=True
            ),
            Param("run_id", ("--run-id", "-r"), "The run the model comes from.", advanced=True),
            Param(
                "run_metadata_file",
                ("--run-metadata-file", "-f"),
                "A JSON file with runId, instead of --run-id.",
                completion="file",
                metavar="FILE",
                advanced=True,
            ),
            Param("description", ("--description", "-d"), "What the model is."),
            *_TAGS,
            Param(
                "child_path",
                ("--child-path",),
                "With a folder: keep only these of its children.",
                "list",
                advanced=True,
            ),
            Param("model_framework", ("--model-framework",), "Such as ScikitLearn, Onnx or PyTorch."),
            Param("model_framework_version", ("--model-framework-version",), "The framework's version.", advanced=True),
            *_RESOURCES,
            *_SAMPLES,
            Param(
                "output_metadata_file",
                ("--output-metadata-file", "-t"),
                "Write the model's id here, for model deploy -f.",
                completion="file",
                metavar="FILE",
                advanced=True,
            ),
        ),
        register,
        "model register -n churn -p model.pkl --tag stage=test",
    ),
    Command(
        ("model", "list"),
        "List models, newest first.",
        (
            Param(
                "model_name", ("--model-name", "--name", "-n"), "Only this name.", positional=True, completion="model"
            ),
            Param("latest", ("--latest", "-l"), "Only the latest version of each.", "switch"),
            *_FILTERS,
            Param("run_id", ("--run-id",), "Only models of this run.", advanced=True),
            Param("dataset_id", ("--dataset-id",), "Only models of this data set."),
        ),
        list_,
        "model list --latest",
    ),
    Command(
        ("model", "show"),
        "Show one version of a model.",
        (*MODEL_PARAMS, Param("run_id", ("--run-id",), "The latest version of the model that this run made.")),
        show,
        "model show churn:3",
    ),
    Command(
        ("model", "update"),
        "Change a model's tags, properties, description or resources.",
        (
            *MODEL_PARAMS,
            Param("add_tag", ("--add-tag",), "Tags to add or change.", "list", metavar="KEY=VALUE"),
            Param("remove_tag", ("--remove-tag",), "Tags to remove.", "list", metavar="KEY"),
            Param("add_property", ("--add-property",), "Properties to add.", "list", metavar="KEY=VALUE"),
            Param("description", ("--description", "-d"), "The new description."),
            *_RESOURCES,
            *_SAMPLES,
        ),
        update,
        "model update churn:3 --add-tag stage=prod",
    ),
    Command(
        ("model", "download"),
        "Copy a model's files to a folder.",
        (
            *MODEL_PARAMS,
            Param(
                "target_dir", ("--target-dir", "-t"), "The folder. The current one when left out.", completion="file"
            ),
            Param("overwrite", ("--overwrite",), "Replace existing files.", "switch"),
        ),
        download,
        "model download churn:3 -t models",
    ),
    Command(
        ("model", "delete"),
        "Delete a version of a model; refused while a service uses it.",
        MODEL_PARAMS,
        delete,
        "model delete churn:3",
    ),
)
