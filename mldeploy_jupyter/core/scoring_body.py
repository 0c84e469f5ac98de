"""Inputs of `service.run`, `%score` and `mldeploy service run` as request bodies, by the service's OpenAPI document.

One rule for hints and samples: where a service takes a JSON object, anything but an object is the value of its one
parameter: the only required one, or the only one. Tables take the form of that parameter: records, another orient, or
rows of an array. What the document does not tell is sent as it is, and the service says what it expects.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mldeploy_jupyter.core import tables
from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.core.json_values import NotWritable, to_json

_TYPES_HINT = "send lists, dicts, numbers, strings, numpy arrays or DataFrames; or bytes, which go as they are"


def needs_document(value: Any) -> bool:
    """Whether the body of `value` depends on what the service takes."""
    if isinstance(value, (str, bytes)):
        return _is_json_without_object(value)
    if isinstance(value, Mapping):
        return any(_is_table_like(item) for item in value.values())
    return True


def make_body(value: Any, document: dict[str, Any] | None) -> bytes:
    """The request's body. `document` is the service's OpenAPI document, or None where nothing is known of it.

    `str` and `bytes` are sent as they are, unless they are JSON and must be wrapped. Raises `UserErrorException` for
    what has no form in JSON.
    """
    parameters = _parameters(document)
    name = _lone_parameter(document, parameters)
    if isinstance(value, (str, bytes)):
        body = value.encode() if isinstance(value, str) else value
        return b"{%s: %s}" % (json.dumps(name).encode(), body) if name and _is_json_without_object(value) else body
    try:
        if isinstance(value, Mapping):
            given: Any = {key: _in_form(item, parameters.get(key), key) for key, item in value.items()}
        elif name:
            given = {name: _in_form(value, parameters[name], name)}
        else:
            given = value
        return to_json(given).encode()
    except NotWritable as error:
        raise UserErrorException(
            "the input cannot be written as JSON", why=str(error), hint=error.hint or _TYPES_HINT
        ) from None


def find_example(document: Any) -> Any:
    """The example of a body in the service's OpenAPI document; None when there is none."""
    for name in ("paths", "/score", "post", "requestBody", "content", "application/json", "example"):
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _parameters(document: dict[str, Any] | None) -> dict[str, Any]:
    """The JSON Schema of each parameter of `run()`; empty when the service takes the body itself."""
    found = request_schema(document).get("properties")
    return found if isinstance(found, dict) else {}


def _lone_parameter(document: dict[str, Any] | None, parameters: dict[str, Any]) -> str:
    required = request_schema(document).get("required") or list(parameters)
    return str(required[0]) if len(required) == 1 and required[0] in parameters else ""


def request_schema(document: dict[str, Any] | None) -> dict[str, Any]:
    """The JSON Schema of a request's body in the service's OpenAPI document; empty where there is none."""
    found: Any = document
    for key in ("paths", "/score", "post", "requestBody", "content", "application/json", "schema"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _is_json_without_object(text: str | bytes) -> bool:
    head = text.lstrip()[:1]
    if head not in ("[", '"', b"[", b'"') and not (
        head.isdigit() or head in ("-", "t", "f", "n", b"-", b"t", b"f", b"n")
    ):
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _is_table_like(value: Any) -> bool:
    return tables.is_table(value) or tables.is_series(value) or type(value).__module__ == "numpy"


def _in_form(value: Any, schema: Any, name: str) -> Any:
    """A table, a row or an array in the form that the parameter's schema asks for; other values as they are."""
    form = str(schema.get("x-format", "")) if isinstance(schema, dict) else ""
    try:
        if form.startswith("pandas.DataFrame"):
            return _as_frame(value, schema, form.partition(":")[2], name)
        if form.startswith("numpy.ndarray"):
            return _as_array(value, schema)
    except tables.NotATable as error:
        raise NotWritable(name, str(error), error.hint) from None
    return value


def _as_frame(value: Any, schema: dict[str, Any], orient: str, name: str) -> Any:
    table = tables.read_table(value)
    if table is None and tables.is_series(value):
        if not tables.is_row(value):
            hint = "send series.to_frame() for one column, or frame.iloc[[0]] for one row"
            raise NotWritable(name, "the service takes a DataFrame, and a Series is one column or one row", hint)
        table = tables.Table([str(label) for label in value.index], [[cell] for cell in value.tolist()], [0])
        tables.check_names(table.names)
    if table is None and type(value).__module__ == "numpy" and getattr(value, "ndim", 0) == 2 and not value.dtype.names:
        if orient == "values":
            return value
        columns = _columns(schema)
        if not columns:
            hint = "send pd.DataFrame(array, columns=[...])"
            raise NotWritable(name, "the service takes a DataFrame, and an array has no names of columns", hint)
        if len(columns) != value.shape[1]:
            text = f"the service takes {len(columns)} columns ({', '.join(columns)}), the array has {value.shape[1]}"
            raise NotWritable(name, text, "send a DataFrame, whose columns have names")
        table = tables.Table(columns, [value[:, at].tolist() for at in range(len(columns))], list(range(len(value))))
    return value if table is None else table.to_orient(orient or "records")


def _as_array(value: Any, schema: dict[str, Any]) -> Any:
    table = tables.read_table(value)
    if table is not None:
        items = schema.get("items")
        is_structured = isinstance(items, dict) and "properties" in items
        return table.records() if is_structured else table.rows()
    if tables.is_series(value):
        items = schema.get("items")
        has_rows = isinstance(items, dict) and items.get("type") == "array"
        return [value.tolist()] if has_rows else value.tolist()
    return value


def _columns(schema: Any) -> list[str]:
    """The names of the columns in the schema of a table, whatever its orient; empty when it has none."""
    if not isinstance(schema, dict):
        return []
    items = schema.get("items") or schema.get("additionalProperties")
    if isinstance(items, dict) and isinstance(items.get("properties"), dict):
        return list(items["properties"])
    properties = schema.get("properties")
    if isinstance(properties, dict) and isinstance(properties.get("data"), dict) and "data" in schema["required"]:
        return _columns(properties["data"])
    return list(properties) if isinstance(properties, dict) else []
