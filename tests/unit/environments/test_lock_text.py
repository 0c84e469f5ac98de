"""A lock is text that is written and read here alone."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.environments.lock_text import (
    CondaPin,
    conda_pins,
    lock_header,
    locked_python,
    pip_names,
    requirement_name,
)

LOCK = (
    lock_header("3.12.4")
    + "# conda zlib=1.3.1=hb9d3cd8_2 linux-64 sha256:ab12\n"
    + "Foo_Bar==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\nsix==1.17.0 ; sys_platform == 'linux'\n"
)


def test_python_conda_packages_and_pypi_packages_are_read_from_a_lock() -> None:
    assert locked_python(LOCK) == "3.12.4"
    assert conda_pins(LOCK) == [CondaPin("zlib", "1.3.1", "hb9d3cd8_2", "linux-64", "ab12")]
    assert pip_names(LOCK) == ["foo-bar", "six"]


@pytest.mark.parametrize("text", ["", "six==1.0\n", "# mldeploy environment lock 1\nsix==1.0\n"])
def test_other_text_is_not_a_lock(text: str) -> None:
    with pytest.raises(EnvironmentBuildError, match="cannot be read"):
        locked_python(text)


@pytest.mark.parametrize("text", ["Six", "six>=1", "six[extra]==1 ; python_version>'3'", "six @ file:///six", " six "])
def test_the_name_in_a_requirement_is_canonical(text: str) -> None:
    assert requirement_name(text) == "six"
