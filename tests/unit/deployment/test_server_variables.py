"""Variables of v1's server as settings."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.core.errors import ConfigError
from mldeploy_jupyter.deployment.server_variables import settings_from_variables


def test_variables_stand_in_for_settings_that_were_not_passed() -> None:
    variables = {
        "SCORING_TIMEOUT_MS": "300",
        "WORKER_COUNT": "2",
        "AML_CORS_ORIGINS": "http://a, http://b",
        "OTHER": "x",
    }
    assert settings_from_variables(variables, {}) == {
        "scoring_timeout_ms": 300,
        "worker_count": 2,
        "cors_origins": ["http://a", "http://b"],
    }
    passed = {"scoring_timeout_ms": 60_000, "cors_origins": [], "worker_count": None}
    assert settings_from_variables(variables, passed) == {"worker_count": 2}
    assert settings_from_variables({"WORKER_COUNT": ""}, {}) == {}


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "soon", "999999999999999"])
def test_a_wrong_value_is_refused(value: str) -> None:
    with pytest.raises(ConfigError) as refused:
        settings_from_variables({"SCORING_TIMEOUT_MS": value}, {})
    assert refused.value.what == f"the environment variable SCORING_TIMEOUT_MS is {value!r}"
    assert "from 1 to 86400000" in refused.value.why
