"""`SparkParameterType`: rows as a Spark data frame with the sample's schema. Needs pyspark in the script.

Values are converted and checked here, because Spark names no place in its errors, turns numbers into strings and
large numbers into infinity, accepts no integer for a double, and reads no dates.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import json
import math
from typing import Any

from .base import BuiltinParameterType, ValidationError, json_type, short_repr
from .scalars import SCALARS, to_float, to_int

_INTEGERS = {"byte": 8, "short": 16, "integer": 32, "long": 64}  # bits
_FLOATS = {"float": 3.4028234663852886e38, "double": float("inf")}  # the largest value
_PLAIN = {
    "string": str,
    "boolean": bool,
    "binary": bytes,
    "date": datetime.date,
    "timestamp": datetime.datetime,
    "timestamp_ntz": datetime.datetime,
}

_PRECISE = decimal.Context(prec=500)  # digits; enough for any decimal that Spark has (38)


class SparkParameterType(BuiltinParameterType):
    """A Spark data frame from a list of objects, one a row, with the columns of `sample_input`.

    `apply_sample_schema` imposes the sample's types and refuses what would lose something; without it Spark infers
    them. Raises `TypeError` when the sample is not a Spark data frame, or of a type that JSON has no form for.
    """

    def __init__(self, sample_input: Any, apply_sample_schema: bool = True) -> None:
        if not (type(sample_input).__module__.startswith("pyspark.") and hasattr(sample_input, "sparkSession")):
            raise TypeError(f"the sample must be a Spark DataFrame, not {type(sample_input).__name__}")
        super().__init__(sample_input)
        self.apply_sample_schema = apply_sample_schema
        # Read once: each access is a call into the JVM.
        self._fields = json.loads(sample_input.schema.json())["fields"]
        for field in self._fields:
            _schema(field["type"], field["nullable"])
        self._dumped: list[Any] | None = None

    def parse_items(self, value: Any, where: str) -> Any:
        if not isinstance(value, list):
            raise ValidationError(where, f"expected a list of objects, one a row, got {json_type(value)}")
        rows = [
            _to_struct(self._fields, row, f"{where}[{number}]", self.apply_sample_schema)
            for number, row in enumerate(value)
        ]
        session = self.sample_input.sparkSession
        if self.apply_sample_schema or not rows:
            return session.createDataFrame(rows, schema=self.sample_input.schema, verifySchema=False)
        try:
            return session.createDataFrame(value)
        except (TypeError, ValueError) as error:
            raise ValidationError(where, str(error)) from error

    def dump(self) -> Any:
        if self._dumped is None:
            rows = self.sample_input.collect()
            self._dumped = [
                {field["name"]: _to_json(cell) for field, cell in zip(self._fields, row, strict=True)} for row in rows
            ]
        return self._dumped

    def schema(self) -> dict[str, Any]:
        row = _schema({"type": "struct", "fields": self._fields}, False)
        return {"type": "array", "items": row, "x-format": "pyspark.sql.DataFrame"}

    def only_integers(self) -> bool:
        return bool(self._fields) and len(self.integer_columns()) == len(self._fields)

    def integer_columns(self) -> list[str]:
        return [field["name"] for field in self._fields if self.apply_sample_schema and _is_integer(field["type"])]


def _is_integer(kind: Any) -> bool:
    return isinstance(kind, str) and kind in _INTEGERS


def _to_struct(fields: list[dict[str, Any]], value: Any, where: str, typed: bool = True) -> tuple[Any, ...]:
    names = [field["name"] for field in fields]
    if not isinstance(value, dict):
        raise ValidationError(where, f"expected an object with the columns, got {json_type(value)}")
    wrong = [("no", name) for name in names if name not in value] or [
        ("unknown", name) for name in value if name not in names
    ]
    if wrong:
        hint = f"The columns are: {', '.join(names)}."
        raise ValidationError(where, f"wrong columns: {wrong[0][0]} {wrong[0][1]!r}", hint)
    if not typed:
        return ()
    return tuple(
        _to_cell(field["type"], field["nullable"], value[name], f"{where}.{name}")
        for name, field in zip(names, fields, strict=True)
    )


def _to_cell(kind: Any, nullable: bool, value: Any, where: str) -> Any:
    """A JSON value as a value of a Spark type. `kind` is the type as `DataType.jsonValue()` writes it."""
    if value is None:
        if nullable:
            return None
        raise ValidationError(where, "got null, and the column takes none")
    if isinstance(kind, dict):
        return _to_nested(kind, value, where)
    if kind in _INTEGERS:
        bits = _INTEGERS[kind]
        return to_int(value, where, kind, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if kind in _FLOATS:
        return to_float(value, where, kind, _FLOATS[kind])
    if kind in _PLAIN:
        found = SCALARS[_PLAIN[kind]].parse(value, where)
        if kind == "timestamp_ntz" and found.tzinfo is not None:
            raise ValidationError(where, f"{short_repr(value)} has a time zone, and the column has none")
        return found
    return _to_decimal(kind, value, where)


def _to_nested(kind: dict[str, Any], value: Any, where: str) -> Any:
    if kind["type"] == "struct":
        return _to_struct(kind["fields"], value, where)
    if kind["type"] == "array":
        if not isinstance(value, list):
            raise ValidationError(where, f"expected a list, got {json_type(value)}")
        inner, nullable = kind["elementType"], kind["containsNull"]
        return [_to_cell(inner, nullable, item, f"{where}[{index}]") for index, item in enumerate(value)]
    if not isinstance(value, dict):
        raise ValidationError(where, f"expected an object, got {json_type(value)}")
    inner, nullable = kind["valueType"], kind["valueContainsNull"]
    return {key: _to_cell(inner, nullable, item, f"{where}.{key}") for key, item in value.items()}


def _to_decimal(kind: str, value: Any, where: str) -> decimal.Decimal:
    precision, scale = _precision_and_scale(kind)
    if type(value) not in (int, float, str):
        raise ValidationError(where, f"expected a number ({kind}), got {json_type(value)}")
    try:
        found = decimal.Decimal(str(value))
        fits = found.is_finite() and found == found.quantize(decimal.Decimal(1).scaleb(-scale), context=_PRECISE)
    except decimal.InvalidOperation:
        raise ValidationError(where, f"{short_repr(value)} is not a number") from None
    if not fits or abs(found) >= decimal.Decimal(10) ** (precision - scale):
        raise ValidationError(where, f"{short_repr(value)} cannot be a {kind} without losing digits")
    return found


def _precision_and_scale(kind: str) -> tuple[int, int]:
    precision, _, scale = kind.removeprefix("decimal(").removesuffix(")").partition(",")
    return int(precision), int(scale)


def _schema(kind: Any, nullable: bool) -> dict[str, Any]:
    """JSON Schema of a Spark type. Raises `TypeError` for a type without a form in JSON."""
    if isinstance(kind, str) and kind.startswith("decimal("):
        return {"anyOf": [{"type": "number"}, {"type": "string"}, *([{"type": "null"}] if nullable else [])]}
    found = _nested_schema(kind) if isinstance(kind, dict) else _simple_schema(kind)
    if found is None:
        raise TypeError(f"a column of Spark's type {kind} has no form in JSON")
    return {**found, "type": [found["type"], "null"]} if nullable else found


def _nested_schema(kind: dict[str, Any]) -> dict[str, Any] | None:
    if kind["type"] == "struct":
        cells = {field["name"]: _schema(field["type"], field["nullable"]) for field in kind["fields"]}
        return {"type": "object", "properties": cells, "required": list(cells)}
    if kind["type"] == "array":
        return {"type": "array", "items": _schema(kind["elementType"], kind["containsNull"])}
    if kind["type"] == "map" and kind["keyType"] == "string":
        return {"type": "object", "additionalProperties": _schema(kind["valueType"], kind["valueContainsNull"])}
    return None


def _simple_schema(kind: Any) -> dict[str, Any] | None:
    if kind in _INTEGERS:
        return {"type": "integer", "format": "int64" if kind == "long" else "int32"}
    if kind in _FLOATS:
        return {"type": "number", "format": kind}
    return dict(SCALARS[_PLAIN[kind]].schema) if kind in _PLAIN else None


def _to_json(value: Any) -> Any:
    """A cell of a Spark row as JSON data."""
    if hasattr(value, "asDict"):
        return {name: _to_json(cell) for name, cell in value.asDict().items()}
    if isinstance(value, (list, tuple)):
        return [_to_json(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _to_json(item) for key, item in value.items()}
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value
