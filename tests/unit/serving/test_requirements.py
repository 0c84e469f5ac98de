"""What the server needs of an environment."""

from __future__ import annotations

from packaging.requirements import Requirement

from mldeploy_jupyter.serving.requirements import PROVIDES, PYTHON_FLOOR, REQUIREMENTS


def test_what_the_room_needs_is_written_once() -> None:
    assert PYTHON_FLOOR == (3, 11)
    assert {Requirement(text).name for text in REQUIREMENTS} == {"httptools", "uvloop", "orjson", "werkzeug"}
    assert "azureml-defaults" in PROVIDES
