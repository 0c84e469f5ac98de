"""Environments that begin with an image: what a container target will build from, kept as data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.errors import UserErrorException

if TYPE_CHECKING:
    from mldeploy_jupyter.api.environments.environment import Environment


def with_packages(
    name: str, conda_specification: str | Path | None, pip_requirements: str | Path | None
) -> Environment:
    """An environment with the packages of at most one of the two files. Raises `UserErrorException` for both."""
    from mldeploy_jupyter.api.environments.environment import Environment

    if conda_specification is not None and pip_requirements is not None:
        raise UserErrorException(
            "conda_specification and pip_requirements are both given",
            why="an environment has one list of packages",
            hint="name the PyPI packages under `pip:` of the conda file",
        )
    if conda_specification is not None:
        return Environment.from_conda_specification(name, conda_specification)
    if pip_requirements is not None:
        return Environment.from_pip_requirements(name, pip_requirements)
    return Environment(name)


def dockerfile_text(dockerfile: str | Path) -> str:
    """The text of a Dockerfile, from its path or given as it is. Raises `UserErrorException`."""
    text = str(dockerfile)
    if "\n" not in text and not text.lstrip().upper().startswith("FROM "):
        path = Path(text).expanduser()
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserErrorException(
                f"the Dockerfile {path} cannot be read",
                why=(getattr(error, "strerror", None) or str(error)).lower(),
                hint='pass its path, or its text: "FROM python:3.12\\nRUN ..."',
            ) from None
    if not any(line.strip().upper().startswith("FROM ") for line in text.splitlines()):
        raise UserErrorException(
            "the Dockerfile has no FROM line",
            why="an image starts from another one",
            hint='begin it with a line such as "FROM python:3.12"',
        )
    return text


def context_folder(context: Any) -> str:
    """The absolute folder of a build context: a path, or v1's object with `location`. Raises `UserErrorException`."""
    place = getattr(context, "location", context)
    folder = Path(os.path.abspath(os.path.expanduser(str(place))))
    name = getattr(context, "dockerfile_path", None) or "Dockerfile"
    if not (folder / name).is_file():
        raise UserErrorException(
            f"there is no {name} in {folder}",
            why="a build context is a folder with a Dockerfile",
            hint="pass the folder that holds it",
        )
    return str(folder)
