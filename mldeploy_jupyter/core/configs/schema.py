"""The JSON Schema of `deploymentconfig.json`, made from the fields.

It says structure, types, bounds and patterns. Rules across settings (such as a limit below its request, or a
certificate that does not exist) are checked by `read_deploy_config` only.
"""

from __future__ import annotations

from typing import Any

from mldeploy_jupyter.core.configs.config_spec import ConfigSpec
from mldeploy_jupyter.core.configs.deploy_config import SPECS, find_spec
from mldeploy_jupyter.core.configs.fields import Field

_TYPES = {"boolean": "boolean", "integer": "integer", "number": "number", "string": "string", "path": "string"}


def json_schema(compute_type: str | None = None) -> dict[str, Any]:
    """The schema for one compute type, or for all of them. Raises `ConfigError` for an unknown one."""
    head: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    if compute_type is not None:
        spec = find_spec(compute_type)
        return {**head, "title": f"deploymentconfig.json for {spec.compute_type}", **_object(spec)}
    return {**head, "title": "deploymentconfig.json", "oneOf": [_object(spec) for spec in SPECS.values()]}


def _object(spec: ConfigSpec) -> dict[str, Any]:
    word = "".join(f"[{letter.lower()}{letter.upper()}]" for letter in spec.compute_type)
    root: dict[str, Any] = {
        "type": "object",
        "required": ["computeType"],
        "properties": {"computeType": {"type": "string", "pattern": f"^{word}$"}},
        "additionalProperties": False,
    }
    for field in spec.fields:
        if field.file:
            *parents, leaf = field.file.split(".")
            node = root
            for parent in parents:
                node = node["properties"].setdefault(
                    parent, {"type": ["object", "null"], "properties": {}, "additionalProperties": False}
                )
            node["properties"][leaf] = property_schema(field)
    return root


def property_schema(field: Field) -> dict[str, Any]:
    """One setting. null is allowed and means not given."""
    out: dict[str, Any] = {"description": field.doc}
    if field.kind == "mapping":
        out.update(type=["object", "null"], additionalProperties={"type": "string"})
    elif field.kind == "strings":
        out.update(type=["array", "null"], items={"type": "string"})
    else:
        out["type"] = [_TYPES[field.kind], "null"]
    bounds = {"exclusiveMinimum": field.above, "minimum": field.minimum, "maximum": field.maximum}
    out.update({key: value for key, value in bounds.items() if value is not None})
    if field.pattern:
        out["pattern"] = f"^(?:{field.pattern})$"
    elif field.kind == "path":
        out["minLength"] = 1
    if field.default is not None:
        out["default"] = field.default
    return out
