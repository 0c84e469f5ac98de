"""Reads requirements files of pip: nested files, constraints, hashes, index options, local wheels."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mldeploy_jupyter.core.environment.requirement_line import parse_editable, parse_requirement, refuse_password
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.core.errors import ConfigError
from mldeploy_jupyter.core.files import decode_text, read_user_text

# Option as written -> its spelling in `Requirements.options` (None: left out, every lock has it), takes a value.
OPTIONS: dict[str, tuple[str | None, bool]] = {
    "-i": ("--index-url", True),
    "--index-url": ("--index-url", True),
    "--extra-index-url": ("--extra-index-url", True),
    "-f": ("--find-links", True),
    "--find-links": ("--find-links", True),
    "--no-index": ("--no-index", False),
    "--pre": ("--pre", False),
    "--trusted-host": ("--trusted-host", True),
    "--only-binary": ("--only-binary", True),
    "--no-binary": ("--no-binary", True),
    "--prefer-binary": (None, False),
    "--require-hashes": (None, False),
    "--use-feature": (None, True),
}


@dataclass
class Requirements:
    """The content of a requirements file.

    `requirements` and `constraints` are PEP 508 strings, followed by their hashes; `options` are pip's "--name=value".
    `places` says of both where they were read, such as "requirements.txt, line 3".
    """

    requirements: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)


def parse_requirements(text: str, *, folder: Path, where: str, numbers: Sequence[int] = ()) -> Requirements:
    """Reads the text of a requirements file. Paths are relative to `folder`; `where` names the file in errors.

    A local wheel becomes a pin and a `--find-links`, so that a lock names no path. `numbers` are those of the lines in
    the file `where`, for text that is a part of it.

    Raises:
        ConfigError: a line is not understood, a file is missing, a requirement is a source folder or an editable
            install, which cannot be pinned, or a URL has a password, which would be stored.
    """
    found = Requirements()
    _read(text, folder, where, found, found.requirements, (), numbers)
    return found


def read_requirements_file(path: Path | str, *, name: str = "") -> EnvironmentSpec:
    """The spec of a pip requirements file, with `-r`, `-c`, hashes and index options. Raises `ConfigError`."""
    path = Path(path)
    text = read_user_text(path, "requirements file")
    parsed = parse_requirements(text, folder=path.absolute().parent, where=path.name)
    return EnvironmentSpec(
        name=name,
        pip=parsed.requirements,
        pip_options=parsed.options,
        constraints=parsed.constraints,
        places=parsed.places,
    )


def _read(
    text: str,
    folder: Path,
    where: str,
    found: Requirements,
    into: list[str],
    open_files: tuple[Path, ...],
    numbers: Sequence[int] = (),
) -> None:
    """Adds the requirements of one file to `into`, its options to `found`. `open_files` are those that include it."""
    for number, line in _logical_lines(text):
        line_where = f"{where}, line {numbers[number - 1] if numbers else number}"
        if re.match(r"-(?!-+\s)", line):
            _option(line, folder, line_where, found, into, open_files)
        else:
            _add(line, folder, line_where, found, into)


def _add(line: str, folder: Path, where: str, found: Requirements, into: list[str]) -> None:
    requirement, option = parse_requirement(line, folder, where)
    if option and option not in found.options:
        found.options.append(option)
    if requirement not in into:
        into.append(requirement)
        found.places.setdefault(requirement, where)


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """The lines with their numbers, continued lines joined, without comments and empty lines."""
    lines: list[tuple[int, str]] = []
    start, joined = 0, ""
    for number, raw in enumerate(text.splitlines(), 1):
        start = start or number
        line = re.sub(r"(^|\s)#.*$", "", raw)
        if line.endswith("\\"):
            joined += line[:-1] + " "
            continue
        if (joined + line).strip():
            lines.append((start, (joined + line).strip()))
        start, joined = 0, ""
    if joined.strip():
        lines.append((start, joined.strip()))
    return lines


def _option(
    line: str, folder: Path, where: str, found: Requirements, into: list[str], open_files: tuple[Path, ...]
) -> None:
    name, _, value = line.partition("=") if line.startswith("--") and "=" in line.split()[0] else line.partition(" ")
    if re.match(r"-[A-Za-z]\S", name):  # -rfile
        name, value = name[:2], name[2:] + value
    value = " ".join(shlex.split(value)) if value.strip() else ""
    if name in ("-r", "--requirement", "-c", "--constraint"):
        if "://" in value:
            raise ConfigError(
                f"the requirements at {re.sub('//[^/]*@', '//', value.split()[0])} are not read",
                why="a file at a URL may have changed when the environment is built again",
                hint=f"download it beside this file, and write {name} FILE",
                where=where,
            )
        path = (folder / value).absolute()
        if path in open_files:
            raise ConfigError(f"{value} includes itself", hint="remove the circle of -r lines", where=where)
        try:
            text = decode_text(path.read_bytes())
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"the file {value} cannot be read", why=str(error), hint="correct the path in that line", where=where
            ) from None
        target = into if name in ("-r", "--requirement") else found.constraints
        _read(text, path.parent, path.name, found, target, (*open_files, path))
        return
    if name in ("-e", "--editable"):
        _add(parse_editable(value, where), folder, where, found, into)
        return
    if name not in OPTIONS:
        raise ConfigError(
            f"the option {name} is not understood",
            why=f"known are -r, -c, {', '.join(OPTIONS)}",
            hint="remove the option from the file",
            where=where,
        )
    option, takes_value = OPTIONS[name]
    if takes_value and not value:
        raise ConfigError(f"the option {name} has no value", hint=f"write {name} VALUE", where=where)
    if option is None:
        return
    if "://" in value:
        refuse_password(value, where)
    elif option == "--find-links":
        value = str((folder / value).absolute())
    entry = f"{option}={value}" if takes_value else option
    if entry not in found.options:
        found.options.append(entry)
