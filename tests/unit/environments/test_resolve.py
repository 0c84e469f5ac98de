"""The key under which the cache keeps a spec's lock."""

from __future__ import annotations

from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.environments.resolve import lock_key


def test_the_name_of_a_spec_does_not_change_its_key() -> None:
    key = lock_key(EnvironmentSpec(pip=["six"]), "/nowhere/python", [])
    assert lock_key(EnvironmentSpec(name="n", pip=["six"]), "/nowhere/python", []) == key


def test_other_server_requirements_change_the_key() -> None:
    """After an upgrade of this package no older lock is used."""
    key = lock_key(EnvironmentSpec(pip=["six"]), "/nowhere/python", ["uvicorn>=1"])
    assert lock_key(EnvironmentSpec(pip=["six"]), "/nowhere/python", ["uvicorn>=1000"]) != key
