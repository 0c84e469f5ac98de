"""The definition of an environment: its digest, its JSON form, Python versions."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.core.environment.spec import EnvironmentSpec, python_accepts


@pytest.mark.parametrize(
    ("asked", "version", "fits"),
    [
        ("3.1", "3.11.2", False),
        ("3.11", "3.11.2", True),
        ("3.11.2", "3.11.20", False),
        (">=3.10", "3.12.0", True),
        (None, "3.12.0", True),
    ],
)
def test_python_accepts(asked: str | None, version: str, fits: bool) -> None:
    assert python_accepts(asked, version) is fits


def test_the_digest_is_of_what_is_installed() -> None:
    one = EnvironmentSpec(name="a", python="3.11", pip=["six", "attrs"], environment_variables={"A": "1"})
    same = EnvironmentSpec(name="b", version="2", python="3.11", pip=["attrs", "six", "six"])
    assert one.digest() == same.digest()
    others = [
        EnvironmentSpec(python="3.12", pip=["six", "attrs"]),
        EnvironmentSpec(python="3.11", pip=["six"]),
        EnvironmentSpec(python="3.11", pip=["six", "attrs"], constraints=["six<2"]),
        EnvironmentSpec(python="3.11", pip=["six", "attrs"], pip_options=["--pre"]),
        EnvironmentSpec(python="3.11", pip=["six", "attrs"], conda=["zlib"]),
        EnvironmentSpec(interpreter="/usr/bin/python3"),
    ]
    assert len({one.digest(), *(other.digest() for other in others)}) == 7


def test_a_spec_goes_through_json() -> None:
    spec = EnvironmentSpec(name="a", python="3.11", pip=["six"], channels=["c"], interpreter="/p")
    assert EnvironmentSpec.from_dict(spec.to_dict() | {"later": 1}) == spec
