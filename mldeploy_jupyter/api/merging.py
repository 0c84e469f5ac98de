"""Merges requirements of the same package into one line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mldeploy_jupyter.core.errors import ConfigError


def refuse_text(argument: str, lines: Any) -> None:
    """Raises `ConfigError` for one string (its letters would be taken for lines) and for what is no list."""
    if isinstance(lines, str) or not isinstance(lines, Iterable):
        raise ConfigError(f"{argument} is {lines!r}", why="it must be a list", hint=f"pass {argument}=[{lines!r}]")


def merge(requirements: Iterable[str]) -> list[str]:
    """See `CondaDependencies.merge_requirements`. Packages keep their order; different markers stay apart."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    refuse_text("requirements", requirements)
    merged: dict[tuple[str, str, str], Requirement] = {}
    for line in requirements:
        try:
            wanted = Requirement(str(line))
        except InvalidRequirement as error:
            raise ConfigError(
                f"{line!r} is not a requirement",
                why=str(error).splitlines()[0],
                hint="write a package and its limits, such as numpy>=1.26,<3",
            ) from None
        key = (canonicalize_name(wanted.name), str(wanted.marker or ""), wanted.url or "")
        if key in merged:
            merged[key].specifier &= wanted.specifier
            merged[key].extras |= wanted.extras
        else:
            merged[key] = wanted
    return [str(requirement) for requirement in merged.values()]
