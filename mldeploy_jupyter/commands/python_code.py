"""The Python that a command stands for, whole: with its imports and what it works on, so that it runs as printed."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from mldeploy_jupyter.commands.grammar import Args, Context, Result

# Options of %deploy and %update that are parameters of InferenceConfig.
INFERENCE = (
    "entry_script",
    "source_directory",
    "conda_file",
    "requirements_file",
    "runtime",
    "extra_docker_file_steps",
    "base_image",
    "cuda_version",
    "enable_gpu",
)


def call(function: str, *args: str, **kwargs: Any) -> str:
    """A call over several lines once it is long. `args` and strings of `Code` are Python already; None is left out."""
    words = [*args, *(f"{name}={value!r}" for name, value in kwargs.items() if value is not None)]
    line = f"{function}({', '.join(words)})"
    return line if len(line) <= 88 else f"{function}(\n" + "".join(f"    {word},\n" for word in words) + ")"


class Code(str):
    """A piece of Python that prints as itself."""

    def __repr__(self) -> str:
        return str(self)


def program(*lines: str, imports: tuple[str, ...] = (), workspace: str = "Workspace.from_config()") -> str:
    """The lines with the imports they need and the workspace. `imports` are further whole lines."""
    from importlib import import_module

    body = "\n".join(lines)
    if "ws" in undefined(body):
        body = f"ws = {workspace}\n{body}"
    free = undefined(body)
    names = [name for name in import_module("mldeploy_jupyter").__all__ if name in free]
    head = [*imports, *(line for name, line in _IMPORTS.items() if name in free and line not in imports)]
    head += [f"from mldeploy_jupyter import {', '.join(names)}"] if names else []
    return "\n".join([*head, "", body] if head else [body])


_IMPORTS = {"read_inference_config": "from mldeploy_jupyter.core.configs import read_inference_config"}


def undefined(body: str) -> set[str]:
    """The names that the lines use and do not assign or import."""
    used: set[str] = set()
    made: set[str] = set()
    for node in ast.walk(ast.parse(body)):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else made).add(node.id)
        elif isinstance(node, ast.alias):
            made.add((node.asname or node.name).partition(".")[0])
    return used - made


def whole(result: Result, context: Context, args: Args) -> str:
    """The Python of a command's result with what it works on: the workspace, the service, the model, the run and the
    `InferenceConfig`. What is a whole program already stays as it is."""
    body = result.python.replace("=***", "='***'")  # a key that is not shown is a text still
    named = "Workspace.from_config()"
    if args.path:
        folder = str(context.workspace(args.path).folder.root.parent)
        named = f"Workspace.get(path={folder!r})"
        body = body.replace("Workspace.from_config()", named)
    if body.startswith(("from ", "import ")):
        return body
    lines, free = [], undefined(body)
    if "inference_config" in free:
        lines.append(f"inference_config = {inference_config(args, context.defaults)}")
    if "service" in free:
        lines.append(f"service = Webservice(ws, {args.name!r})")
    if "model" in free:
        model = result.data.get("modelId") or result.data.get("id")
        lines.append(f"model = Model(ws, id={model!r})")
    if "run" in free:
        lines.append(f"run = Run(ws, {getattr(args, 'run_id', None)!r})")
    return program(*lines, body, workspace=named)


def service_of(name: str, *lines: str) -> str:
    """Lines that work on `service`."""
    return program(f"service = Webservice(ws, {name!r})", *lines)


def inference_config(args: Args, defaults: Mapping[str, Any]) -> str:
    """The `InferenceConfig` of a command's options and the session's script; "" when they name none."""
    given = {name: getattr(args, name, None) for name in INFERENCE}
    if not given["entry_script"] and not args.inference_config:
        given["entry_script"] = defaults.get("entry_script")
    if getattr(args, "environment_name", None):
        version = f", {args.environment_version!r}" if args.environment_version else ""
        given["environment"] = Code(f"Environment.get(ws, {args.environment_name!r}{version})")
    elif getattr(args, "environment_directory", None):
        given["environment"] = Code(f"Environment.load_from_directory({args.environment_directory!r})")
    given = {name: value for name, value in given.items() if value is not None}
    if args.inference_config:
        words = [f"**read_inference_config({args.inference_config!r})"]
        return call("InferenceConfig", *words, **given)
    return call("InferenceConfig", **given) if given else ""


def deployment_config(args: Args) -> str:
    """The deploy configuration of a command's options; "" when they name none. Keys are not printed."""
    from mldeploy_jupyter.commands.options import deploy_config_of

    config = deploy_config_of(args)
    return repr(config).replace("=***", "='***'") if config is not None else ""
