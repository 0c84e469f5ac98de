"""`StandardPythonParameterType`: plain Python values, lists and dicts, nested as the sample is."""

from __future__ import annotations

import base64
import binascii
import datetime
import math
from collections.abc import Callable
from typing import Any

from .base import AbstractParameterType, OwnParameterType, ValidationError, json_type, short_repr
from .scalars import to_bool, to_float, to_int, to_str


class StandardPythonParameterType(OwnParameterType):
    """A value built like `sample_input`: int, float, str, bool, bytes (base64), date, datetime, time (ISO 8601),

    list, tuple, set, dict, and other parameter types inside lists and dicts. A list's items are each like
    one of the sample's items; a dict has at least the sample's keys. Raises `TypeError` for other samples.
    """

    def __init__(self, sample_input: Any) -> None:
        super().__init__(sample_input)
        _check(sample_input)

    def parse_items(self, value: Any, where: str) -> Any:
        return _parse(self.sample_input, value, where)

    def dump(self) -> Any:
        return _dump(self.sample_input)

    def schema(self) -> dict[str, Any]:
        return _schema(self.sample_input)

    def only_integers(self) -> bool:
        return _only_integers(self.sample_input)

    def has_rows(self) -> bool:
        return isinstance(self.sample_input, list)


def _parse(sample: Any, value: Any, where: str) -> Any:
    if isinstance(sample, AbstractParameterType):
        return sample.parse(value, where)
    if isinstance(sample, dict):
        return _parse_dict(sample, value, where)
    if isinstance(sample, tuple):
        items = _items(value, where)
        if len(items) != len(sample):
            raise ValidationError(where, f"expected {len(sample)} values, got {len(items)}")
        pairs = zip(sample, items, strict=True)
        return tuple(_parse(like, item, f"{where}[{index}]") for index, (like, item) in enumerate(pairs))
    if isinstance(sample, (list, set, frozenset)):
        likes = _distinct(sample)
        if type(sample) is list and type(value) is list and set(map(type, value)) <= _EXACT & set(map(type, likes)):
            return value  # each is what it is to be
        items = [_parse_any(likes, item, f"{where}[{index}]") for index, item in enumerate(_items(value, where))]
        return items if isinstance(sample, list) else type(sample)(items)
    return SCALARS[type(sample)][0](value, where)


def _parse_dict(sample: dict[str, Any], value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValidationError(where, f"expected an object, got {json_type(value)}")
    for key in sample:
        if key not in value:
            raise ValidationError(where, f"{key!r} is missing", f"The keys are: {', '.join(map(str, sample))}.")
    return {
        key: _parse(sample[key], item, f"{where}.{key}" if where else key) if key in sample else item
        for key, item in value.items()
    }


def _parse_any(likes: list[Any], value: Any, where: str) -> Any:
    """As the first of the sample's items that fits; with no sample items, anything."""
    if not likes:
        return value
    first: ValidationError | None = None
    for like in likes:
        try:
            return _parse(like, value, where)
        except ValidationError as misfit:
            first = first or misfit
    assert first is not None
    raise first


def _items(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValidationError(where, f"expected a list, got {json_type(value)}")
    return value


def _distinct(sample: Any) -> list[Any]:
    """The sample's items, one of each scalar type: integers before floats, so that each keeps its type."""
    kept: list[Any] = []
    for item in sample:
        if not any(type(item) is type(other) and type(item) in SCALARS for other in kept):
            kept.append(item)
    return sorted(kept, key=lambda item: type(item) is float)


def _check(sample: Any) -> None:
    if isinstance(sample, AbstractParameterType):
        return
    if isinstance(sample, dict):
        bad = [key for key in sample if not isinstance(key, str)]
        if bad:
            raise TypeError(f"a sample's keys must be strings, not {short_repr(bad[0])}")
        for item in sample.values():
            _check(item)
    elif isinstance(sample, (list, tuple, set, frozenset)):
        for item in sample:
            _check(item)
    elif type(sample) not in SCALARS:
        kinds = ", ".join(kind.__name__ for kind in SCALARS)
        raise TypeError(f"a sample may have {kinds}, list, tuple, set and dict, not {type(sample).__name__}")
    elif type(sample) is float and not math.isfinite(sample):
        raise TypeError("a sample may not have NaN or infinity: JSON has no form for them")


def _dump(sample: Any) -> Any:
    if isinstance(sample, AbstractParameterType):
        return sample.dump()
    if isinstance(sample, dict):
        return {key: _dump(item) for key, item in sample.items()}
    if isinstance(sample, (list, tuple, set, frozenset)):
        return [_dump(item) for item in sample]
    return SCALARS[type(sample)][1](sample)


def _schema(sample: Any) -> dict[str, Any]:
    if isinstance(sample, AbstractParameterType):
        return sample.schema()
    if isinstance(sample, dict):
        properties = {key: _schema(item) for key, item in sample.items()}
        return {"type": "object", "properties": properties, **({"required": list(properties)} if properties else {})}
    if isinstance(sample, tuple):
        size = {"minItems": len(sample), "maxItems": len(sample)}
        return {"type": "array", "prefixItems": [_schema(item) for item in sample], "items": {}, **size}
    if isinstance(sample, (list, set, frozenset)):
        kinds: list[dict[str, Any]] = []
        for item in _distinct(sample):
            if (schema := _schema(item)) not in kinds:
                kinds.append(schema)
        return {"type": "array", "items": kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {}}
    return dict(SCALARS[type(sample)][2])


def _only_integers(sample: Any) -> bool:
    if isinstance(sample, AbstractParameterType):
        return sample.only_integers()
    if isinstance(sample, dict):
        return bool(sample) and any(_only_integers(item) for item in sample.values())
    if isinstance(sample, (list, tuple)):
        return bool(sample) and all(_only_integers(item) for item in sample)
    return type(sample) is int


def _bytes(value: Any, where: str) -> bytes:
    try:
        return base64.b64decode(to_str(value, where), validate=True)
    except (binascii.Error, ValueError) as error:
        if isinstance(error, ValidationError):
            raise
        raise ValidationError(where, f"{short_repr(value)} is not base64") from None


def _iso(kind: Any, word: str) -> Callable[[Any, str], Any]:
    def parse(value: Any, where: str) -> Any:
        text = to_str(value, where)
        try:
            return kind.fromisoformat(text)
        except ValueError:
            raise ValidationError(where, f"{short_repr(value)} is not a {word} in ISO 8601") from None

    return parse


def _same(value: Any) -> Any:
    return value


# type -> (from JSON, to JSON, JSON Schema)
SCALARS: dict[type, tuple[Callable[[Any, str], Any], Callable[[Any], Any], dict[str, Any]]] = {
    bool: (to_bool, _same, {"type": "boolean"}),
    int: (lambda v, w: to_int(v, w, "int", -(2**63), 2**64 - 1), _same, {"type": "integer", "format": "int64"}),
    float: (
        lambda v, w: to_float(_no_null(v, w), w, "float"),
        _same,
        {"type": "number", "format": "double"},
    ),
    str: (to_str, _same, {"type": "string"}),
    bytes: (_bytes, lambda data: base64.b64encode(data).decode(), {"type": "string", "contentEncoding": "base64"}),
    datetime.datetime: (
        _iso(datetime.datetime, "date and time"),
        datetime.datetime.isoformat,
        {"type": "string", "format": "date-time"},
    ),
    datetime.date: (_iso(datetime.date, "date"), datetime.date.isoformat, {"type": "string", "format": "date"}),
    datetime.time: (_iso(datetime.time, "time"), datetime.time.isoformat, {"type": "string", "format": "time"}),
}


_EXACT = {int, float, str, bool}


def _no_null(value: Any, where: str) -> Any:
    if value is None:
        raise ValidationError(where, "expected a number (float), got null")
    return value
