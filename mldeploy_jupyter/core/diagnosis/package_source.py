"""Where a service's packages come from, and how to add one."""

from __future__ import annotations

import importlib.util
import os
import shlex
import sys
from pathlib import Path
from typing import Any


def package_source(inference: dict[str, Any], python: str = "") -> dict[str, str]:
    """The source of the packages of an inference config's data: its `kind`, and the `name` of a file or interpreter.

    `python` is the interpreter of a service that has no environment of its own; by default this process's.
    """
    environment = inference.get("environment") or {}
    definition = inference.get("environment_definition") or {}
    base = (definition.get("docker") or {}).get("baseImage") or inference.get("base_image")
    interpreter = environment.get("interpreter")
    if interpreter and base:
        return {"kind": "base image", "name": str(base)}
    if interpreter or not environment:
        return {"kind": "interpreter", "name": str(interpreter or python or sys.executable)}
    for kind in ("conda_file", "requirements_file"):
        if inference.get(kind):
            return {"kind": kind, "name": str(inference[kind])}
    return {"kind": "environment", "name": str(definition.get("name") or "")}


def describe_adding(source: dict[str, Any], package: str = "", named: str = "") -> str:
    """How to add a package to the service: a command, or the file that lists its packages.

    Without `package`, the sentence continues after one that speaks of a package whose name is to be looked up. `named`
    follows the package's name.
    """
    kind, name = source.get("kind"), str(source.get("name") or "")
    what = f"{package}{named}" if package else "it"
    if kind == "interpreter":
        installer = "pip" if has_pip(name) else "uv pip"
        return (
            f"install {what} into the service's Python: {shlex.quote(name)} -m {installer} install {package or 'NAME'}"
        )
    if kind == "conda_file":
        return f"add {what} under `pip:` in {short_path(name)}"
    if kind == "requirements_file":
        return f"add {what} to {short_path(name)}"
    if kind == "environment":
        call = f"python.conda_dependencies.add_pip_package({package or 'NAME'!r})"
        return f"add {what} to the environment{f' {name}' if name else ''} in Python: environment.{call}"
    if kind == "base image":
        return f"add {what} to the base image {name}, which has the service's packages"
    command = f"pip install {package or 'NAME'}"
    return (
        f"add {what} to the conda file or the requirements; if the service uses this Python's own packages, {command}"
    )


def has_pip(python: str) -> bool:
    """Whether the interpreter has pip, which environments made by uv lack. True where nothing says it has none."""
    if python == sys.executable:
        return importlib.util.find_spec("pip") is not None
    root = Path(python).parent.parent
    return not (root / "pyvenv.cfg").is_file() or any(root.glob("lib/python*/site-packages/pip"))


def short_path(path: Path | str) -> str:
    """The path relative to the current folder where that is shorter."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)
