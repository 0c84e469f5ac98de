"""One line of a requirements file: a name with versions, an address, a wheel on this machine, a checkout."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mldeploy_jupyter.core.environment.distributions import imported_as
from mldeploy_jupyter.core.errors import ConfigError

REPOSITORY = re.compile(r"(git|hg|svn|bzr)\+")


def parse_requirement(line: str, folder: Path, where: str) -> tuple[str, str]:
    """The requirement that a line asks for, as PEP 508 and followed by its hashes, and the option of pip it needs.

    A wheel of this machine is a pin with a `--find-links`, so that a lock names no path; "" means no option. An address
    without a name gets that of its file or repository.

    Raises `ConfigError` as `parse_requirements` does; the hint has the line to write, where it can be known.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    text, *hashes = re.split(r"\s+--hash[= ]", line)
    text = text.strip()
    if re.match(rf"{REPOSITORY.pattern}|https?://", text):
        text = _name_address(text, where)
    if _is_path(text):
        return _local_wheel(text, folder, where)
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        raise _not_understood(text, where) from None
    _refuse_name(requirement.name, text, where)
    if requirement.url and requirement.url.startswith("file:"):
        return _built_locally(requirement.name, requirement.url, where)
    if requirement.url:
        refuse_password(requirement.url, where)
    return " ".join([str(requirement), *(f"--hash={value.strip()}" for value in hashes)]), ""


def parse_editable(value: str, where: str) -> str:
    """The requirement for `-e git+https://...@COMMIT#egg=NAME`, as pip freeze writes a checkout.

    Raises `ConfigError` for a folder.
    """
    if not REPOSITORY.match(value):
        raise _local_project(value, where)
    return value


def refuse_password(url: str, where: str) -> None:
    """Raises `ConfigError` for a URL with a password, unless it is `${NAME}`, which pip reads from the environment."""
    login = urlsplit(url).netloc.rpartition("@")[0]
    user, _, password = login.partition(":")
    secret = password or (user if user not in ("git",) else "")
    if secret and not re.fullmatch(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}", secret):
        raise ConfigError(
            "an address carries a password",
            why="the environment is stored in the workspace and in journals, which must not contain passwords",
            hint="write ${NAME} in its place and set the environment variable NAME, or use ~/.netrc",
            where=where,
        )


def _name_address(text: str, where: str) -> str:
    """An address as PEP 508: with the name of its `#egg=`, wheel, source archive or repository.

    A repository's name is a guess; uv names the right one where the package has another.
    """
    address, marker, condition = text.partition(" ;")
    url, _, fragment = address.strip().partition("#")
    refuse_password(url, where)
    if short := re.match(r"git\+(\w+@[\w.-]+):(?!/)(.+)", url):  # git's own spelling, which pip does not take
        url = f"git+ssh://{short[1]}/{short[2]}"
    parts = dict(part.partition("=")[::2] for part in fragment.split("&"))
    name = parts.pop("egg", "") or _name_in_address(url)
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*(\[[^\]]*\])?", name):
        raise ConfigError(
            f"the address {url} does not say which package it is",
            why="pip needs the package's name, and the address names no wheel, archive or repository",
            hint=f"write NAME @ {address.strip()}",
            where=where,
        )
    rest = "&".join(f"{key}={value}" for key, value in parts.items() if key)
    return f"{name} @ {url}" + (f"#{rest}" if rest else "") + (f" {marker}{condition}" if marker else "")


def _name_in_address(url: str) -> str:
    """The name of the wheel, source archive or repository at an address; "" where it cannot be known."""
    from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

    path = unquote(urlsplit(url).path)
    file = path.rstrip("/").rpartition("/")[2]
    # Of a forge, whose archives are below the repository.
    archive = re.match(r".*/(?!-/)([^/]+)/(?:-/)?(?:archive|zipball|tarball)/", path)
    try:
        if file.endswith(".whl"):
            return parse_wheel_filename(file)[0]
        if REPOSITORY.match(url):
            return file.partition("@")[0].removesuffix(".git")
        return archive[1] if archive else parse_sdist_filename(file)[0]
    except (InvalidWheelFilename, InvalidSdistFilename):
        return ""


def _is_path(text: str) -> bool:
    if "@" in text and ("://" in text or "@ file:" in text):
        return False
    return text.startswith((".", "/", "~", "file:")) or "/" in text or text.endswith(".whl")


def _file_path(text: str, folder: Path) -> Path:
    """The path of a file named by its path or by a `file:` address; a relative one is in `folder`."""
    if text.startswith("file:"):
        text = unquote(re.sub(r"^file:(//(localhost)?(?=/)|//)?", "", text.partition("#")[0]))
    return (folder / Path(text).expanduser()).absolute()


def _local_wheel(text: str, folder: Path, where: str) -> tuple[str, str]:
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    path = _file_path(text, folder)
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
    return f"{name}=={version}", f"--find-links={path.parent}"


def _built_locally(name: str, url: str, where: str) -> tuple[str, str]:
    """The requirement for `NAME @ file://...`, which pip freeze writes for what came from a folder, as with conda.

    That is the wheel, where it is there; else the version, which the name of a wheel tells, or the installed package.
    """
    path = _file_path(url, Path())
    if path.suffix == ".whl":
        if path.is_file():
            return _local_wheel(url, Path(), where)
        if match := re.match(r"[^-]+-([^-]+)-", path.name):
            return f"{name}=={match[1]}", ""
    version, source = _installed(name)
    if version and source == url.partition("#")[0]:  # it is this environment that was written down
        return f"{name}=={version}", ""
    exact = f"write {name}=={version}, the version that is installed here" if version else f"write {name}==VERSION"
    raise ConfigError(
        f"{name} points to a folder in which it was built, {url}",
        why="a service must not depend on a folder that can change or move",
        hint=f"{exact}; pip list --format=freeze writes a whole environment so",
        where=where,
    )


def _installed(name: str) -> tuple[str, str]:
    """The version of an installed distribution and the address it came from; "" where it is unknown."""
    try:
        found = metadata.distribution(name)
        origin = json.loads(found.read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return "", ""
    return found.version, str(origin.get("url", "")) if isinstance(origin, dict) else ""


def _refuse_name(name: str, line: str, where: str) -> None:
    """Raises `ConfigError` for a name that PyPI has no usable package of: an import's, a conda package's, Python's."""
    if name.lower() == "python":
        raise ConfigError(
            "Python is not a package on PyPI",
            why="pip requirements cannot choose the Python of an environment",
            hint="write it into the `dependencies:` of a conda file, such as python=3.11, and remove this line",
            where=where,
        )
    if name.lower() == "pytorch":
        raise ConfigError(
            "there is no package pytorch",
            why="PyTorch is called pytorch in conda and torch on PyPI",
            hint=f"write {line.replace(name, 'torch', 1)}",
            where=where,
        )
    # `sklearn` alone is known: its only versions, 0.0, stand for scikit-learn.
    known = name.lower() == "sklearn" and re.fullmatch(r"\s*(==\s*0\.0[\w.]*)?\s*", line.partition(";")[0][len(name) :])
    if name.lower() not in ("sklearn", "cv2", "pil", "skimage") or known:
        return
    distribution = imported_as(name)
    raise ConfigError(
        f"there is no package {name}",
        why=f"{name} is the name of an import; its package is {distribution}",
        hint=f"write {line.replace(name, distribution, 1)}",
        where=where,
    )


def _not_understood(text: str, where: str) -> ConfigError:
    from packaging.requirements import InvalidRequirement, Requirement

    why, hint = "it is not a name with versions (PEP 508)", 'write it as "name", "name==1.2" or "name>=1.2,<2"'
    for corrected, reason in _corrections(text):
        try:
            Requirement(corrected)
        except InvalidRequirement:
            continue
        why, hint = reason, f"write {corrected}"
        break
    if re.fullmatch(r"Package\s+Version(\s.*)?|-+\s+-+.*", text):
        why, hint = (
            "it is the heading of a table, which pip list prints",
            "write the file with pip list --format=freeze",
        )
    elif re.fullmatch(r"[\w.-]+=[^=]+=[^=]+", text):
        hint += "; a whole file of conda list --export is a conda file: --conda-file, conda_file=..."
    return ConfigError(f"the requirement {text!r} is not understood", why=why, hint=hint, where=where)


def _corrections(text: str) -> Iterator[tuple[str, str]]:
    """What a line may have meant, likely first, with the reason why it is not understood."""
    if match := re.fullmatch(r"([\w.-]+(?:\[[^\]]*\])?)\s*=\s*([^=<>\s]+)(=\S+)?", text):
        yield f"{match[1]}=={match[2]}", "conda writes one =, PyPI two"
    yield re.sub(r"=([<>])", r"\1=", text), "the = of a comparison comes last"
    yield re.sub(r"([<>]=?\s*[\d.]+?)\.\*", r"\1", text), ".* belongs to == and != only"
    if match := re.fullmatch(r"([\w.-]+)\s+(\d[\w.+!]*)", text):
        yield f"{match[1]}=={match[2]}", "name and version are joined by a comparison, such as =="
    yield text.strip("\"' ,"), "it has quotes or commas at its ends"


def _local_project(text: str, where: str) -> ConfigError:
    return ConfigError(
        f"the local project {text} cannot be part of an environment",
        why="a service must not depend on a folder that can change or move",
        hint="put the code in source_directory, or build a wheel of it (uv build) and name the .whl file",
        where=where,
    )
