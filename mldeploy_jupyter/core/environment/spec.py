"""What a Python environment is made from, as plain data: the Python version, PyPI requirements, conda packages.

`from_conda_file` and `from_requirements_file` read the files that people have. Bad input raises `ConfigError`
with the file and line. Making the environment is the work of the room `environments`.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.environment.requirements_file import parse_requirements
from mldeploy_jupyter.core.errors import ConfigError
from mldeploy_jupyter.core.records import JsonRecord

DEFAULT_CHANNELS = ["conda-forge"]

CONDA_KEYS = ("name", "channels", "dependencies", "variables", "prefix", "platforms", "constraints")


@dataclass(frozen=True)
class EnvironmentSpec(JsonRecord):
    """A Python environment, asked for.

    `python`: "3.11" (any 3.11), "3.11.7" (just that), ">=3.11,<3.13", or None: the version of the kernel.
    `pip` holds one requirement a string (PEP 508, perhaps followed by its `--hash=` options); `pip_options` the
    options of the requirements file that steer the search (`--extra-index-url`, `--find-links`, ...), which are
    used but never written into a lock; `constraints` limit versions without asking for a package.
    `conda` holds match specs other than python and pip, searched in `channels` (default: conda-forge).
    `interpreter`: the absolute path of a Python that is used as it is; nothing is installed then.
    """

    name: str = ""
    version: str | None = None
    python: str | None = None
    pip: list[str] = field(default_factory=list)
    pip_options: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    conda: list[str] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)
    environment_variables: dict[str, str] = field(default_factory=dict)
    interpreter: str | None = None

    def digest(self) -> str:
        """SHA-256 of what decides the installed packages: not the name, the variables or the order of the packages."""
        data = {
            "python": self.python,
            "pip": sorted(set(self.pip)),
            "pip_options": self.pip_options,
            "constraints": sorted(set(self.constraints)),
            "conda": sorted(set(self.conda)),
            "channels": self.channels if self.conda or self.python else [],
            "interpreter": self.interpreter,
        }
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def parse_python(text: str, where: str = "") -> str:
    """A Python version as asked for, in one spelling: "3.11", "3.11.7" or PEP 440 ranges such as ">=3.10,<3.13".

    Takes conda's forms too (`=3.11`, `==3.11`, `3.11.*`, `3.11=build`). Raises `ConfigError`.
    """
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    asked = text.strip()
    plain = asked.lstrip("= ").split("=")[0].strip() if not re.search(r"[<>!~,]", asked) else asked
    plain = plain.removesuffix(".*")
    if re.fullmatch(r"\d+(\.\d+){0,2}", plain):
        return plain
    try:
        return str(SpecifierSet(plain.replace(" ", "")))
    except InvalidSpecifier:
        raise ConfigError(
            f"the Python version {asked!r} is not understood",
            why='a version is "3.11", "3.11.7" or a range such as ">=3.11,<3.13"',
            hint="write python=3.11 in the conda file, or set_python_version('3.11')",
            where=where,
        ) from None


def python_accepts(python: str | None, version: str) -> bool:
    """Whether the full version `version` ("3.11.7") is one that `python` asks for."""
    from packaging.specifiers import SpecifierSet

    if python is None:
        return True
    if re.fullmatch(r"\d+(\.\d+)*", python):
        wanted = python.split(".")
        return version.split(".")[: len(wanted)] == wanted
    return SpecifierSet(python).contains(version, prereleases=True)


def from_conda(data: Any, *, folder: Path, where: str = "the conda file", name: str = "") -> EnvironmentSpec:
    """The spec of a conda environment file's content. Paths in its `pip:` part are relative to `folder`.

    `name` replaces the file's own name. `constraints:` is ours: a list as in a pip constraints file. Unknown
    keys and wrong types raise `ConfigError` with their place.
    """
    if not isinstance(data, dict):
        raise _wrong(where, "the whole file", "a mapping with `dependencies`", data)
    _check_keys(data, where)
    channels = _strings(data.get("channels"), "channels", where)
    variables = data.get("variables") or {}
    if not isinstance(variables, dict):
        raise _wrong(where, "variables", "a mapping", variables)
    dependencies = data.get("dependencies")
    if dependencies is None:
        dependencies = []
    if not isinstance(dependencies, list):
        raise _wrong(where, "dependencies", "a list", dependencies)
    python: str | None = None
    conda: list[str] = []
    pip_lines: list[str] = []
    for index, item in enumerate(dependencies):
        place = f"dependencies[{index}]"
        if isinstance(item, dict):
            if set(item) != {"pip"}:
                raise _wrong(where, place, "a package, or `pip:` with a list", item)
            pip_lines += _strings(item["pip"], f"{place}.pip", where)
        elif not isinstance(item, str):
            raise _wrong(where, place, "a package, or `pip:` with a list", item)
        elif _conda_name(item) == "python":
            asked = re.sub(r"^(\S+::)?python", "", item.strip()).strip()
            python = parse_python(asked, f"{where}, {place}") if asked else python
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


def load_conda_file(path: Path) -> Any:
    """The content of a YAML file. One that cannot be read, or is not YAML, raises `ConfigError` with its line."""
    import yaml

    text = read_text(path, "conda file")
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
    return {} if data is None else data


def from_conda_file(path: Path | str, *, name: str = "") -> EnvironmentSpec:
    """`from_conda` of a YAML file. Raises `ConfigError`."""
    path = Path(path)
    return from_conda(load_conda_file(path), folder=path.absolute().parent, where=path.name, name=name)


def from_requirements_file(path: Path | str, *, name: str = "") -> EnvironmentSpec:
    """The spec of a pip requirements file: `-r`, `-c`, hashes and index options included. Raises `ConfigError`."""
    path = Path(path)
    text = read_text(path, "requirements file")
    parsed = parse_requirements(text, folder=path.absolute().parent, where=path.name)
    return EnvironmentSpec(
        name=name, pip=parsed.requirements, pip_options=parsed.options, constraints=parsed.constraints
    )


def read_text(path: Path, kind: str) -> str:
    """The text of a file that the user named, or `ConfigError` saying why it cannot be read."""
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"there is no {kind} at {path}",
            why=f"looked in the folder {path.absolute().parent}",
            hint="give the path of an existing file",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the {kind} {path} cannot be read", why=str(error), hint="give a readable UTF-8 text file"
        ) from None


def _conda_name(item: str) -> str:
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


def _strings(value: Any, place: str, where: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(where, place, "a list of strings", value)
    return list(value)


def _wrong(where: str, place: str, expected: str, value: Any) -> ConfigError:
    return ConfigError(
        f"{place} has the wrong type",
        why=f"expected {expected}, found {type(value).__name__} {value!r:.60}",
        hint=f"correct {place} in {where}",
        where=where,
    )
