"""Reads environment files of conda."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.environment.conda_list import read_conda_list
from mldeploy_jupyter.core.environment.match_spec import check_match_spec, package_name, python_version
from mldeploy_jupyter.core.environment.requirements_file import Requirements, parse_requirements
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec, parse_python
from mldeploy_jupyter.core.errors import ConfigError
from mldeploy_jupyter.core.files import read_user_text

CONDA_KEYS = ("name", "channels", "dependencies", "variables", "prefix", "platforms", "constraints")


def parse_conda(
    data: Any, *, folder: Path, where: str = "the conda file", name: str = "", lines: Mapping[str, int] | None = None
) -> EnvironmentSpec:
    """The spec for the content of a conda environment file. Paths in its `pip:` part are relative to `folder`.

    `name` replaces the name in the file. `lines` are the numbers of the lines that packages are in, as `load_yaml`
    returns them. `constraints:` is an extension: a list as in a pip constraints file.

    Raises:
        ConfigError: a key is unknown, a value has the wrong type or a package is not understood; the error names its
            line or path.
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
    lines = lines or {}
    python: str | None = None
    conda: list[str] = []
    pip_lines: list[str] = []
    places: dict[str, str] = {}
    for index, item in enumerate(dependencies):
        key = f"dependencies[{index}]"
        if isinstance(item, dict):
            if set(item) != {"pip"}:
                raise _type_error(where, key, "a package, or `pip:` with a list", item)
            pip_lines += _strings(item["pip"], f"{key}.pip", where)
            continue
        if not isinstance(item, str):
            raise _type_error(where, key, "a package, or `pip:` with a list", item)
        place = f"{where}, line {lines[item]}" if item in lines else f"{where}, {key}"
        package = package_name(item)
        if package == "python":
            asked = python_version(item)
            if asked:
                python, places["python"] = parse_python(asked, place), place
        elif package != "pip":
            conda.append(check_match_spec(item, place))
            places[conda[-1]] = place
    parsed = _parse_pip(pip_lines, folder, where, "pip", lines)
    limits = _parse_pip(_strings(data.get("constraints"), "constraints", where), folder, where, "constraints", lines)
    return EnvironmentSpec(
        name=name or str(data.get("name") or ""),
        python=python,
        pip=parsed.requirements,
        pip_options=parsed.options,
        constraints=parsed.constraints + limits.requirements,
        conda=conda,
        channels=[channel for channel in channels if channel != "nodefaults"],
        environment_variables={str(key): str(value) for key, value in variables.items()},
        places={**limits.places, **parsed.places, **places},
    )


def load_yaml(path: Path) -> tuple[Any, dict[str, int]]:
    """The content of a conda file, and the number of the line that each string of a list is in.

    Also takes what `conda list --export` prints. Raises `ConfigError`, with the line, when it cannot be read or is
    neither.
    """
    import yaml

    text = read_user_text(path, "conda file")
    listed = read_conda_list(text, path.name)
    if listed is not None:
        return listed
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        data = loader.construct_document(node) if node is not None else {}
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
    return ({} if data is None else data), dict(_numbered_strings(node))


def read_conda_file(path: Path | str, *, name: str = "") -> EnvironmentSpec:
    """The spec of a conda environment file: see `parse_conda`. Raises `ConfigError`."""
    path = Path(path)
    data, lines = load_yaml(path)
    return parse_conda(data, folder=path.absolute().parent, where=path.name, name=name, lines=lines)


def _numbered_strings(top: Any) -> Iterator[tuple[str, int]]:
    """The strings in the lists of a YAML document, with the numbers of their lines."""
    waiting, seen = [top], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen or not isinstance(getattr(node, "value", None), list):
            continue
        seen.add(id(node))
        for child in node.value:
            children = child if isinstance(child, tuple) else (child,)  # key and value of a mapping
            waiting += children
            if not isinstance(child, tuple) and isinstance(child.value, str):
                yield child.value, child.start_mark.line + 1


def _parse_pip(items: list[str], folder: Path, where: str, key: str, lines: Mapping[str, int]) -> Requirements:
    """The lines under `pip:` or `constraints:`, each with its place in the file where that is known."""
    text = "\n".join("\n".join(item.splitlines()) for item in items)
    if not all(item in lines for item in items):
        return parse_requirements(text, folder=folder, where=f"{where}, {key}")
    numbers = [lines[item] for item in items for _ in (item.splitlines() or [""])]
    return parse_requirements(text, folder=folder, where=where, numbers=numbers)


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
    hint = f"correct {key} in {where}"
    if isinstance(value, dict) and len(value) == 1:
        ((package, version),) = value.items()
        if isinstance(package, str) and isinstance(version, (str, int, float)) and key != "the whole file":
            exact = version if isinstance(version, str) else "VERSION"  # YAML reads 3.10 as the number 3.1
            hint = f"write - {package}={exact}, with = instead of the colon"
    return ConfigError(
        f"{key} has the wrong type",
        why=f"expected {expected}, found {type(value).__name__} {value!r:.60}",
        hint=hint,
        where=where,
    )
