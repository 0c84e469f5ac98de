"""The JSON Schema of `deploymentconfig.json`, generated from the fields.

It covers structure, types, bounds and patterns. Rules that concern several settings or the file system are checked by
`read_deploy_config` only.
"""

from __future__ import annotations

from typing import Any

from mldeploy_jupyter.core.configs.config_spec import ConfigSpec
from mldeploy_jupyter.core.configs.deploy_config import SPECS, find_spec
from mldeploy_jupyter.core.configs.fields import Field

_TYPES = {"boolean": "boolean", "integer": "integer", "number": "number", "string": "string", "path": "string"}


def json_schema(compute_type: str | None = None) -> dict[str, Any]:
    """The schema for one compute type, or for all of them. Raises `ConfigError` for an unknown one."""
    common: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    if compute_type is not None:
        spec = find_spec(compute_type)
        return {**common, "title": f"deploymentconfig.json for {spec.compute_type}", **_object(spec)}
    return {**common, "title": "deploymentconfig.json", "oneOf": [_object(spec) for spec in SPECS.values()]}


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
    """The schema of one setting. null is allowed and means not given."""
    schema: dict[str, Any] = {"description": field.doc}
    if field.kind == "mapping":
        schema.update(type=["object", "null"], additionalProperties={"type": "string"})
    elif field.kind == "strings":
        schema.update(type=["array", "null"], items={"type": "string"})
    else:
        schema["type"] = [_TYPES[field.kind], "null"]
    bounds = {"exclusiveMinimum": field.above, "minimum": field.minimum, "maximum": field.maximum}
    schema.update({key: value for key, value in bounds.items() if value is not None})
    if field.pattern:
        schema["pattern"] = f"^(?:{field.pattern})$"
    elif field.kind == "path":
        schema["minLength"] = 1
    if field.default is not None:
        schema["default"] = field.default
    return schema
