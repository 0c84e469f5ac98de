"""What tracing needs joins an environment that is built, and none that is used as it is."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.core.configs import DeployConfig
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.deployment.plan import _with_tracing
from mldeploy_jupyter.serving.requirements import TRACING

BUILT = EnvironmentSpec(pip=["numpy"])


@pytest.mark.parametrize(
    ("spec", "tracing", "expected"),
    [
        (BUILT, "otlp", ["numpy", *TRACING]),
        (BUILT, "console", ["numpy", *TRACING]),
        (BUILT, "off", ["numpy"]),
        (BUILT, None, ["numpy"]),
        (EnvironmentSpec(interpreter="/usr/bin/python3"), "otlp", []),
    ],
)
def test_tracing_adds_packages_to_a_built_environment(spec: EnvironmentSpec, tracing: Any, expected: list[str]) -> None:
    made = _with_tracing(spec, DeployConfig(passed={"tracing": tracing} if tracing else {}))
    assert made is not None and made.pip == expected


def test_tracing_needs_no_packages_without_an_environment() -> None:
    assert _with_tracing(None, DeployConfig(passed={"tracing": "otlp"})) is None


def test_the_tracing_extra_lists_the_same_packages() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert project["optional-dependencies"]["tracing"] == TRACING
