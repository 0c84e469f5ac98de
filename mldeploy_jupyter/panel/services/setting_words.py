"""The values of settings in words, as a panel shows them and a history compares them."""

from __future__ import annotations

from typing import Any

from mldeploy_jupyter.core.configs.fields import Field
from mldeploy_jupyter.core.journal.wording import format_duration


def describe_setting(field: Field, value: Any) -> str:
    """A value for people: `on`, `60.0 s`, `2 GB`, `3 variables`. Never the value of a secret or of a variable."""
    if field.secret and value:
        return "set"
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None or value in ("", [], {}):
        return "none"
    if isinstance(value, dict):
        return f"{len(value)} variable{'' if len(value) == 1 else 's'}" if field.name == "environment_variables" else (
            ", ".join(f"{key}={item}" for key, item in value.items())
        )  # fmt: skip
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if value == 0 and "0: " in field.doc:  # such as "0: no limit."
        return field.doc.rpartition("0: ")[2].rstrip(".")
    if field.unit in ("ms", "s") and isinstance(value, int | float):
        return format_duration(value / 1000 if field.unit == "ms" else value)
    return f"{value:,} {field.unit}".rstrip() if isinstance(value, int | float) else str(value)
