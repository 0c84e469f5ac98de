"""The key under which the cache keeps a spec's lock."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.environments.resolve import lock_key, read_lock


def test_the_name_of_a_spec_does_not_change_its_key() -> None:
    key = lock_key(EnvironmentSpec(pip=["six"]), "/nowhere/python", [])
    assert lock_key(EnvironmentSpec(name="n", pip=["six"]), "/nowhere/python", []) == key


def test_other_server_requirements_change_the_key() -> None:
    """After an upgrade of this package no older lock is used."""
    key = lock_key(EnvironmentSpec(pip=["six"]), "/nowhere/python", ["uvicorn>=1"])
    assert lock_key(EnvironmentSpec(pip=["six"]), "/nowhere/python", ["uvicorn>=1000"]) != key


@pytest.mark.parametrize("content", ["", "{", "[1]", "{}", '{"text": 5, "python_version": [], "dropped": 1}'])
def test_a_damaged_lock_counts_as_missing(tmp_path: Path, content: str) -> None:
    (tmp_path / "lock.json").write_text(content)
    assert read_lock(tmp_path / "lock.json") is None and read_lock(tmp_path / "missing.json") is None
