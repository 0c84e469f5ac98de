"""Reads requirements files of pip: nested files, constraints, hashes, index options, local wheels."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from mldeploy_jupyter.core.environment.distributions import imported_as
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
}


@dataclass
class Requirements:
    """The content of a requirements file.

    `requirements` and `constraints` are PEP 508 strings, followed by their hashes; `options` are pip's "--name=value".
    """

    requirements: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)


def parse_requirements(text: str, *, folder: Path, where: str) -> Requirements:
    """Reads the text of a requirements file. Paths are relative to `folder`; `where` names the file in errors.

    A local wheel becomes a pin and a `--find-links`, so that a lock names no path.

    Raises:
        ConfigError: a line is not understood, a file is missing, a requirement is a source folder or an editable
            install, which cannot be pinned, or a URL has a password, which would be stored.
    """
    found = Requirements()
    _read(text, folder, where, found, found.requirements, ())
    return found


def read_requirements_file(path: Path | str, *, name: str = "") -> EnvironmentSpec:
    """The spec of a pip requirements file, with `-r`, `-c`, hashes and index options. Raises `ConfigError`."""
    path = Path(path)
    text = read_user_text(path, "requirements file")
    parsed = parse_requirements(text, folder=path.absolute().parent, where=path.name)
    return EnvironmentSpec(
        name=name, pip=parsed.requirements, pip_options=parsed.options, constraints=parsed.constraints
    )


def _read(
    text: str, folder: Path, where: str, found: Requirements, into: list[str], open_files: tuple[Path, ...]
) -> None:
    """Adds the requirements of one file to `into`, its options to `found`. `open_files` are those that include it."""
    for number, line in _logical_lines(text):
        line_where = f"{where}, line {number}"
        if line.startswith("-"):
            _option(line, folder, line_where, found, into, open_files)
        else:
            requirement = _requirement(line, folder, line_where, found)
            if requirement not in into:
                into.append(requirement)


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
        requirement = _requirement(_editable_repository(value, where), folder, where, found)
        if requirement not in into:
            into.append(requirement)
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
        _refuse_password(value, where)
    elif option == "--find-links":
        value = str((folder / value).absolute())
    entry = f"{option}={value}" if takes_value else option
    if entry not in found.options:
        found.options.append(entry)


def _requirement(line: str, folder: Path, where: str, found: Requirements) -> str:
    from packaging.requirements import InvalidRequirement, Requirement

    text, *hashes = re.split(r"\s+--hash[= ]", line)
    text = text.strip()
    if _is_path(text):
        return _local_wheel(text, folder, where, found)
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        one_equals = re.match(r"[\w.-]+\s*=[^=]", text)
        raise ConfigError(
            f"the requirement {text!r} is not understood",
            why="conda writes one =, PyPI two" if one_equals else "it is not a name with versions (PEP 508)",
            hint='write it as "name", "name==1.2" or "name>=1.2,<2"',
            where=where,
        ) from None
    _refuse_import_name(requirement.name, text, where)
    if requirement.url:
        if requirement.url.startswith("file:"):
            raise _built_elsewhere(requirement.name, requirement.url, where)
        _refuse_password(requirement.url, where)
    return " ".join([str(requirement), *(f"--hash={value.strip()}" for value in hashes)])


def _is_path(text: str) -> bool:
    if "@" in text and "://" in text:
        return False
    return text.startswith((".", "/", "~", "file:")) or "/" in text or text.endswith(".whl")


def _local_wheel(text: str, folder: Path, where: str, found: Requirements) -> str:
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    path = (folder / Path(text.removeprefix("file://")).expanduser()).absolute()
    if path.suffix != ".whl":
        raise _local_project(text, where)
    if not path.is_file():
        raise ConfigError(
            f"there is no wheel at {text}", why=f"looked for {path}", hint="correct the path", where=where
        )
    try:
        name, version, _, _ = parse_wheel_filename(path.name)
    except InvalidWheelFilename as error:
        raise ConfigError(
            f"{path.name} is not a wheel", why=str(error), hint="give a built wheel", where=where
        ) from None
    option = f"--find-links={path.parent}"
    if option not in found.options:
        found.options.append(option)
    return f"{name}=={version}"


def _editable_repository(value: str, where: str) -> str:
    """The requirement for `-e git+https://...@COMMIT#egg=NAME`, as pip freeze writes a checkout.

    Raises `ConfigError` for a folder.
    """
    if not re.match(r"(git|hg|svn|bzr)\+", value):
        raise _local_project(value, where)
    url, _, fragment = value.partition("#")
    parts = dict(part.partition("=")[::2] for part in fragment.split("&"))
    name = parts.pop("egg", "")
    if not name:
        raise ConfigError(
            f"the repository {url} has no name",
            why="a package of a repository is installed by name",
            hint=f"write NAME @ {url}",
            where=where,
        )
    rest = "&".join(f"{key}={text}" for key, text in parts.items() if key)
    return f"{name} @ {url}" + (f"#{rest}" if rest else "")


def _built_elsewhere(name: str, url: str, where: str) -> ConfigError:
    # pip freeze writes such lines for packages that conda installed.
    return ConfigError(
        f"{name} points to a folder in which it was built, {url}",
        why="a service must not depend on a folder that can change or move",
        hint=f"write {name}==VERSION; pip list --format=freeze writes a whole environment so",
        where=where,
    )


def _refuse_import_name(name: str, line: str, where: str) -> None:
    """Raises `ConfigError` for the name of an import that PyPI has no usable package of."""
    if name.lower() not in ("sklearn", "cv2", "pil", "skimage"):
        return
    distribution = imported_as(name)
    raise ConfigError(
        f"there is no package {name}",
        why=f"{name} is the name of an import; its package is {distribution}",
        hint=f"write {line.replace(name, distribution, 1)}",
        where=where,
    )


def _local_project(text: str, where: str) -> ConfigError:
    return ConfigError(
        f"the local project {text} cannot be part of an environment",
        why="a service must not depend on a folder that can change or move",
        hint="put the code in source_directory, or build a wheel of it (uv build) and name the .whl file",
        where=where,
    )


def _refuse_password(url: str, where: str) -> None:
    """Raises `ConfigError` for a URL with a password, unless it is `${NAME}`, which pip reads from the environment."""
    login = urlsplit(url).netloc.rpartition("@")[0]
    user, _, password = login.partition(":")
    secret = password or (user if user not in ("git",) else "")
    if secret and not re.fullmatch(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}", secret):
        raise ConfigError(
            "an index address carries a password",
            why="the environment is stored in the workspace and in journals, where a password must not be",
            hint="write ${NAME} in its place and set the environment variable NAME, or use ~/.netrc",
            where=where,
        )
