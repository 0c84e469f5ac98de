"""The signature and the docstring of a target's `deploy_configuration`, generated from its fields."""

from __future__ import annotations

import inspect
import textwrap
from typing import Any

from mldeploy_jupyter.core.configs.config_spec import ConfigSpec
from mldeploy_jupyter.core.configs.fields import Field, format_bound

ANNOTATIONS: dict[str, Any] = {
    "boolean": bool | None,
    "integer": int | None,
    "number": float | None,
    "string": str | None,
    "path": str | None,
    "mapping": dict[str, Any] | None,
    "strings": list[str] | None,
}


def signature_of(spec: ConfigSpec, returns: Any = inspect.Signature.empty) -> inspect.Signature:
    """The signature, in v1's positional order. Every default is None, which means not passed."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(f.name, kind, default=None, annotation=ANNOTATIONS[f.kind]) for f in spec.fields]
    return inspect.Signature(parameters, return_annotation=returns)


def docstring_of(spec: ConfigSpec) -> str:
    """The docstring: the meaning, unit, default and bounds of every setting."""
    lines = [
        f"Settings for {spec.service_class}. Nothing is filled in here: a setting left out gets the target's default.",
        "",
        "All values that cannot be used are named in one `ConfigError`.",
        "",
        "Parameters",
        "----------",
    ]
    for field in spec.fields:
        lines.append(f"{field.name} : {_type_of(field)}{_default_of(field)}")
        lines.extend(
            textwrap.wrap(
                f"{field.doc} {bounds_of(field)}".strip(), 100, initial_indent="    ", subsequent_indent="    "
            )
        )
    return "\n".join(lines)


def bounds_of(field: Field) -> str:
    """The bounds of a setting as a sentence; "" if it has none."""
    if field.above is not None:
        return f"Greater than {format_bound(field.above)}."
    if field.minimum is not None and field.maximum is not None:
        return f"{format_bound(field.minimum)} to {format_bound(field.maximum)}."
    if field.minimum is not None:
        return f"At least {format_bound(field.minimum)}."
    return ""


def _type_of(field: Field) -> str:
    names = {"boolean": "bool", "integer": "int", "number": "float", "string": "str", "path": "str", "mapping": "dict"}
    return names.get(field.kind, "list of str")


def _default_of(field: Field) -> str:
    return "" if field.default is None or field.default in ({}, []) else f", default {field.default!r}"
