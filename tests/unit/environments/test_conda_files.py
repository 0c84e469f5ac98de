"""Conda files as people have them: each is read, or refused with a reason and the way on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.core.environment.conda_file import read_conda_file
from mldeploy_jupyter.core.errors import ConfigError, EnvironmentBuildError
from mldeploy_jupyter.environments.pythons import refuse_below_floor
from mldeploy_jupyter.environments.server_packages import explain_left_out, split_provided

FOLDER = Path(__file__).parent / "conda_files"


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.iterdir()))
def test_a_conda_file_is_read_or_refused_with_a_reason(name: str, snapshot: object) -> None:
    found: Any
    try:
        spec = read_conda_file(FOLDER / name)
        refuse_below_floor(spec.python, where=spec.places.get("python", name))
        installed, dropped = split_provided(spec.pip)
        found = {key: value for key, value in spec.to_dict().items() if value}
        found |= {"installed": installed, "left out": explain_left_out(dropped)} if dropped else {}
    except (ConfigError, EnvironmentBuildError) as error:
        found = str(error)
    assert _without_folder(found) == snapshot


def _without_folder(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: _without_folder(value) for key, value in found.items()}
    if isinstance(found, list):
        return [_without_folder(value) for value in found]
    return found.replace(str(FOLDER), "FOLDER") if isinstance(found, str) else found
