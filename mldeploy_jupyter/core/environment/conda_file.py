"""Reads environment files of conda."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.environment.requirements_file import parse_requirements
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec, parse_python
from mldeploy_jupyter.core.errors import ConfigError
from mldeploy_jupyter.core.files import read_user_text

CONDA_KEYS = ("name", "channels", "dependencies", "variables", "prefix", "platforms", "constraints")


def parse_conda(data: Any, *, folder: Path, where: str = "the conda file", name: str = "") -> EnvironmentSpec:
    """The spec for the content of a conda environment file. Paths in its `pip:` part are relative to `folder`.

    `name` replaces the name in the file. `constraints:` is an extension: a list as in a pip constraints file.

    Raises:
        ConfigError: a key is unknown or a value has the wrong type; the error names its path.
    """
    if not isinstance(data, dict):
        raise _type_error(where, "the whole file", "a mapping with `dependencies`", data)
    _check_keys(data, where)
    channels = _strings(data.get("channels"), "channels", where)
    variables = data.get("variables") or {}
    if not isinstance(variables, dict):
        raise _type_error(where, "variables", "a mapping", variables)
    dependencies = data.get("dependencies")
    if dependencies is None:
        dependencies = []
    if not isinstance(dependencies, list):
        raise _type_error(where, "dependencies", "a list", dependencies)
    python: str | None = None
    conda: list[str] = []
    pip_lines: list[str] = []
    for index, item in enumerate(dependencies):
        key = f"dependencies[{index}]"
        if isinstance(item, dict):
            if set(item) != {"pip"}:
                raise _type_error(where, key, "a package, or `pip:` with a list", item)
            pip_lines += _strings(item["pip"], f"{key}.pip", where)
        elif not isinstance(item, str):
            raise _type_error(where, key, "a package, or `pip:` with a list", item)
        elif _conda_name(item) == "python":
            asked = re.sub(r"^(\S+::)?python", "", item.strip()).strip()
            python = parse_python(asked, f"{where}, {key}") if asked else python
        elif _conda_name(item) != "pip":
            conda.append(re.sub(r"\s+", " ", item.strip()))
    parsed = parse_requirements("\n".join(pip_lines), folder=folder, where=f"{where}, pip")
    limits = parse_requirements(
        "\n".join(_strings(data.get("constraints"), "constraints", where)),
        folder=folder,
        where=f"{where}, constraints",
    )
    return EnvironmentSpec(
        name=name or str(data.get("name") or ""),
        python=python,
        pip=parsed.requirements,
        pip_options=parsed.options,
        constraints=parsed.constraints + limits.requirements,
        conda=conda,
        channels=[channel for channel in channels if channel != "nodefaults"],
        environment_variables={str(key): str(value) for key, value in variables.items()},
    )


def load_yaml(path: Path) -> Any:
    """The content of a YAML file. Raises `ConfigError`, with the line, when it cannot be read or is not YAML."""
    import yaml

    text = read_user_text(path, "conda file")
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigError(
            f"the conda file {path} is not valid YAML",
            why=str(getattr(error, "problem", None) or error),
            hint="see the indentation of that line and the one above",
            where=f"{path.name}, line {mark.line + 1}" if mark else path.name,
        ) from None
    except (ValueError, RecursionError) as error:  # a date that does not exist, or thousands of brackets
        raise ConfigError(
            f"the conda file {path} cannot be read",
            why="it is nested too deeply" if isinstance(error, RecursionError) else str(error),
            hint=f"correct {path.name}: conda env export --from-history writes one to begin with",
        ) from None
    return {} if data is None else data


def read_conda_file(path: Path | str, *, name: str = "") -> EnvironmentSpec:
    """The spec of a conda environment file: see `parse_conda`. Raises `ConfigError`."""
    path = Path(path)
    return parse_conda(load_yaml(path), folder=path.absolute().parent, where=path.name, name=name)


def _conda_name(item: str) -> str:
    """The package name of a conda match spec."""
    return re.split(r"[\s=<>!~\[]", item.strip().split("::")[-1], maxsplit=1)[0].lower()


def _check_keys(data: dict[Any, Any], where: str) -> None:
    for key in data:
        if key not in CONDA_KEYS:
            close = get_close_matches(str(key), CONDA_KEYS, n=1)
            raise ConfigError(
                f"unknown key {str(key)!r} in {where}",
                why=f"the keys of a conda file are {', '.join(CONDA_KEYS)}",
                hint=f"did you mean {close[0]!r}?" if close else f"remove {str(key)!r}",
            )


def _strings(value: Any, key: str, where: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _type_error(where, key, "a list of strings", value)
    return list(value)


def _type_error(where: str, key: str, expected: str, value: Any) -> ConfigError:
    return ConfigError(
        f"{key} has the wrong type",
        why=f"expected {expected}, found {type(value).__name__} {value!r:.60}",
        hint=f"correct {key} in {where}",
        where=where,
    )
