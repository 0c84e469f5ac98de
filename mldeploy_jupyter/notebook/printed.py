"""The Python that a magic stands for, whole: with its imports and its workspace, so that it runs as printed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mldeploy_jupyter.commands import Args

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


def program(*lines: str, imports: tuple[str, ...] = ()) -> str:
    """The lines with the imports they need. `imports` are further whole lines."""
    import mldeploy_jupyter

    body = "\n".join(lines)
    names = [name for name in mldeploy_jupyter.__all__ if re.search(rf"(?<![\w.\"']){name}\b", body)]
    if "ws" in re.findall(r"\bws\b", body):
        names = sorted({*names, "Workspace"})
        body = f"ws = Workspace.from_config()\n{body}"
    head = [*imports, *([f"from mldeploy_jupyter import {', '.join(names)}"] if names else [])]
    return "\n".join([*head, "", body] if head else [body])


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
    from mldeploy_jupyter.commands.settings import deploy_config_of

    config = deploy_config_of(args)
    return repr(config) if config is not None else ""
