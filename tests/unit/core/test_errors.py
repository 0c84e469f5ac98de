"""`MldeployError.message`: v1's attribute, one clean line."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.core.errors import ConfigError, MldeployError, ModelNotFoundException, WebserviceNotFound


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MldeployError("no port", why="8890 is taken", hint="choose another"), "no port: 8890 is taken"),
        (MldeployError("no port", hint="choose another"), "no port"),
        (MldeployError("No port.", why="8890 is taken"), "No port: 8890 is taken"),
        (ConfigError("2 values", why="a is 1\n       b is 2"), "2 values: a is 1; b is 2"),
        (ModelNotFoundException("no model", why="none is there"), "ModelNotFound: no model: none is there"),
        (WebserviceNotFound("no service"), "WebserviceNotFound: no service"),
    ],
)
def test_the_message_is_one_line(error: MldeployError, message: str) -> None:
    assert error.message == message
