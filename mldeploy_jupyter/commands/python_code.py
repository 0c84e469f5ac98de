"""The Python equivalent of a command, as `--show-python` prints it: complete, so that it runs as printed."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from mldeploy_jupyter.commands.grammar import Args, Context, Result
from mldeploy_jupyter.commands.options import INFERENCE_SETTINGS

LINE_LENGTH = 88  # columns; a longer call takes one line for each argument

_IMPORTS = {
    "joblib": "import joblib",
    "pickle": "import pickle",
}


class Code(str):
    """Python source as a value: its `repr` is the source itself."""

    def __repr__(self) -> str:
        return str(self)


def call(function: str, *args: str, **kwargs: Any) -> str:
    """A function call as a user would type it. `args` are Python source; a keyword argument of None is left out."""
    words = [*args, *(f"{name}={value!r}" for name, value in kwargs.items() if value is not None)]
    line = f"{function}({', '.join(words)})"
    if len(line) <= LINE_LENGTH and "\n" not in line:
        return line
    indented = (word.replace("\n", "\n    ") for word in words)  # a word may be a call of several lines itself
    return f"{function}(\n" + "".join(f"    {word},\n" for word in indented) + ")"


def program(*lines: str, workspace: str = "Workspace.from_config()") -> str:
    """The lines, preceded by the imports they need and by the workspace when they use `ws`."""
    body = "\n".join(lines)
    if "ws" in undefined_names(body):
        body = f"ws = {workspace}\n{body}"
    free = undefined_names(body)
    names = [name for name in import_module("mldeploy_jupyter").__all__ if name in free]
    head = [line for name, line in _IMPORTS.items() if name in free]
    head += [f"from mldeploy_jupyter import {', '.join(names)}"] if names else []
    return "\n".join([*head, "", body] if head else [body])


def service_program(name: str, *lines: str) -> str:
    """A program whose lines work on `service`."""
    return program(f"service = Webservice(ws, {name!r})", *lines)


def undefined_names(body: str) -> set[str]:
    """The names that the source uses but neither assigns nor imports."""
    used: set[str] = set()
    defined: set[str] = set()
    for node in ast.walk(ast.parse(body)):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else defined).add(node.id)
        elif isinstance(node, ast.alias):
            defined.add((node.asname or node.name).partition(".")[0])
    return used - defined


def command_program(result: Result, context: Context, args: Args) -> str:
    """The Python of a command's result as a program: with the workspace, service, model, run and `InferenceConfig`
    that it uses. Python that is a program already is returned unchanged."""
    body = result.python.replace("=***", "='***'")  # a hidden key must still be a string
    workspace = "Workspace.from_config()"
    if args.path:
        folder = str(context.workspace(args.path).folder.root.parent)
        workspace = f"Workspace.get(path={folder!r})"
        body = body.replace("Workspace.from_config()", workspace)
    if body.startswith(("from ", "import ")):
        return body
    lines, free = [], undefined_names(body)
    if "inference_config" in free:
        lines.append(f"inference_config = {inference_config(args, context.defaults)}")
    if "service" in free:
        lines.append(f"service = Webservice(ws, {args.name!r})")
    if "model" in free:
        model = result.data.get("modelId") or result.data.get("id")
        lines.append(f"model = Model(ws, id={model!r})")
    if "run" in free:
        lines.append(f"run = Run(ws, {getattr(args, 'run_id', None)!r})")
    return program(*lines, body, workspace=workspace)


def inference_config(args: Args, defaults: Mapping[str, Any]) -> str:
    """The `InferenceConfig` of a command's options and the session's script; "" when they name none."""
    given = {name: getattr(args, name, None) for name in INFERENCE_SETTINGS}
    if not given["entry_script"] and not args.inference_config:
        given["entry_script"] = defaults.get("entry_script")
    if given["base_image_registry"]:
        given["base_image_registry"] = Code(f"ContainerRegistry({given['base_image_registry']!r})")
    if getattr(args, "environment_name", None):
        version = f", {args.environment_version!r}" if args.environment_version else ""
        given["environment"] = Code(f"Environment.get(ws, {args.environment_name!r}{version})")
    elif getattr(args, "environment_directory", None):
        given["environment"] = Code(f"Environment.load_from_directory({args.environment_directory!r})")
    given = {name: value for name, value in given.items() if value is not None}
    if args.inference_config:
        return call("InferenceConfig.from_file", repr(args.inference_config), **given)
    return call("InferenceConfig", **given) if given else ""


def deployment_config(args: Args) -> str:
    """The deploy configuration of a command's options, with keys hidden; "" when the options name none."""
    from mldeploy_jupyter.commands.options.settings import make_deploy_config

    config = make_deploy_config(args)
    return repr(config).replace("=***", "='***'") if config is not None else ""
