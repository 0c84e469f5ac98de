"""Reads what `conda list --export` prints: one `name=version=build` a line."""

from __future__ import annotations

import re
from typing import Any

from mldeploy_jupyter.core.errors import ConfigError

_LINE = re.compile(r"([\w.-]+)=([^=\s]+)=([^=\s]+)")


def read_conda_list(text: str, where: str) -> tuple[dict[str, Any], dict[str, int]] | None:
    """The content as that of a conda file, and the number of each line; None for any other text.

    Builds are left out: they belong to one system and one channel, which the list does not name.

    Raises `ConfigError` for what `conda list --explicit` prints.
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if lines and lines[0][1] == "@EXPLICIT":
        raise ConfigError(
            f"{where} is a list of files for one system",
            why="conda list --explicit writes the addresses of packages, not their names",
            hint="export the environment with conda env export --no-builds",
            where=f"{where}, line {lines[0][0]}",
        )
    found = [(number, match) for number, line in lines if (match := _LINE.fullmatch(line))]
    if not lines or len(found) != len(lines):
        return None
    conda: list[Any] = []
    pip: list[str] = []
    numbers: dict[str, int] = {}
    for number, match in found:
        of_pip = match[3].startswith("pypi")
        item = f"{match[1]}=={match[2]}"
        (pip if of_pip else conda).append(item)
        numbers[item] = number
    return {"dependencies": [*conda, *([{"pip": pip}] if pip else [])]}, numbers
