"""Reads, checks and corrects conda's match specs, such as `numpy=1.26.*` or `conda-forge::zlib >=1.2,<2|3`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mldeploy_jupyter.core.errors import ConfigError

_VERSION = r"[\w.!+]+(?:\.\*)?"
_CLAUSE = rf"(?:={{1,2}}|[<>]=?|!=|~=) ?{_VERSION}"

# What needs no check: a name, alone, with a version and a build, or with a range. The solver's parser reads the rest.
_PLAIN = re.compile(rf"(?:[\w./:-]+::)?\w[\w.-]*(?: ?{_CLAUSE}(?:=[\w.*]+|(?:[,|] ?(?:{_CLAUSE}|{_VERSION}))*))?")

# Lines of pip: options, addresses, files, extras, markers.
_OF_PIP = re.compile(r"-|(git|hg|svn|bzr)\+|\w+ ?@ ?\w+[:+]|[./~]|.*\.(whl|tar\.gz|zip)$|[\w.-]+\[[\w, -]+\]|.*;")


def package_name(item: str) -> str:
    """The package that a match spec asks for, in lower case, without its channel."""
    return re.split(r"[\s=<>!~\[(]", item.strip().split("::")[-1], maxsplit=1)[0].lower()


def check_match_spec(item: str, where: str) -> str:
    """`item` with single spaces. Raises `ConfigError` for what is not a match spec; the hint has the line to write."""
    item = re.sub(r"\s+", " ", item.strip())
    if _PLAIN.fullmatch(item):
        return item
    if not item or _OF_PIP.match(item):
        raise ConfigError(
            f"{item!r} is not a conda package",
            why="options, addresses, files, extras and markers are pip's" if item else "it is empty",
            hint='move it into the list under "- pip:"' if item else "remove the line",
            where=where,
        )
    reason = _find_fault(item)
    if reason:
        corrected = next((text for text in _corrections(item) if text != item and not _find_fault(text)), "")
        raise ConfigError(
            f"the conda package {item!r} is not understood",
            why=reason,
            hint=f"write {corrected}" if corrected else 'write it as "name", "name=1.2" or "name>=1.2,<2"',
            where=where,
        )
    return item


def python_version(item: str) -> str:
    """The version in a match spec of `python`, without channel and build; "" for any."""
    asked = re.sub(r"^(\S+::)?python", "", item.strip(), flags=re.IGNORECASE).strip()
    if in_brackets := re.search(r"""version=["']?([^"'\]]+)""", asked):
        asked = in_brackets[1].strip()
    asked = asked.strip("()").strip()
    # A build comes after a version and a space: `3.11.* *_cpython`. A space also separates clauses: `>=3.8, <4`.
    asked = re.sub(r"(?<=[\w*])\s+(?![<>=!~|,])[\w.*]+$", "", asked) if "," not in asked else asked
    return "" if asked.lstrip("= ") in ("", "*") else asked


def _find_fault(item: str) -> str:
    """Why the solver cannot take a match spec; "" where it can."""
    from rattler import MatchSpec
    from rattler.exceptions import InvalidMatchSpecError, InvalidPackageNameError, InvalidVersionSpecError

    try:
        MatchSpec(item, strict=False)
    except (InvalidMatchSpecError, InvalidPackageNameError, InvalidVersionSpecError) as error:
        return str(error).splitlines()[0]
    return ""


def _corrections(item: str) -> Iterator[str]:
    yield re.sub(r"=([<>])", r"\1=", item)
    yield item.replace("===", "==")
    yield item.replace('"', "").replace("'", "")
    yield item.rstrip("=<>!~, ")
    yield re.sub(r"^([\w.-]+)\((.*)\)$", r"\1 \2", item)
