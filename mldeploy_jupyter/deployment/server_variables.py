"""Environment variables that set v1's scoring server, as settings of ours. What the deploy configuration says wins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mldeploy_jupyter.core.configs.local import LOCAL
from mldeploy_jupyter.core.errors import ConfigError

# Variable -> setting. All of them are whole numbers but the origins, which are separated by commas.
SETTING_OF = {
    "SCORING_TIMEOUT_MS": "scoring_timeout_ms",
    "WORKER_COUNT": "worker_count",
    "AML_CORS_ORIGINS": "cors_origins",
}


def settings_from_variables(variables: Mapping[str, str], passed: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that the variables make, without those that the deploy configuration `passed` has.

    Raises `ConfigError` for a variable whose value is not as its setting must be.
    """
    found: dict[str, Any] = {}
    for variable, setting in SETTING_OF.items():
        text = str(variables.get(variable) or "").strip()
        if not text or passed.get(setting) is not None:
            continue
        if setting == "cors_origins":
            found[setting] = [part.strip() for part in text.split(",") if part.strip()]
            continue
        limits = LOCAL.by_name[setting]
        low, high = limits.minimum or 1, limits.maximum or 10_000
        if not re.fullmatch(r"\d{1,15}", text, re.ASCII) or not low <= int(text) <= high:
            raise ConfigError(
                f"the environment variable {variable} is {text[:40]!r}",
                why=f"it sets {setting}, which is a whole number from {low:.0f} to {high:.0f}",
                hint=f"correct it in environment_variables, or pass {setting}",
            )
        found[setting] = int(text)
    return found
