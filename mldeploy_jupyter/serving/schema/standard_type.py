"""`StandardPythonParameterType`: plain Python values, lists and dicts, nested as the sample is."""

from __future__ import annotations

import math
from typing import Any

from .base import AbstractParameterType, BuiltinParameterType, ValidationError, json_type, short_repr
from .scalars import SCALARS


class StandardPythonParameterType(BuiltinParameterType):
    """A value built like `sample_input`.

    A sample may have int, float, str, bool, bytes (base64), date, datetime and time (ISO 8601), list, tuple, set, dict,
    and other parameter types inside lists and dicts. Each item of a list must be like one of the sample's items; a
    dict must have at least the sample's keys. Raises `TypeError` for other samples.
    """

    def __init__(self, sample_input: Any) -> None:
        super().__init__(sample_input)
        _check_sample(sample_input)

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
        items = _check_list(value, where)
        if len(items) != len(sample):
            raise ValidationError(where, f"expected {len(sample)} values, got {len(items)}")
        pairs = zip(sample, items, strict=True)
        return tuple(_parse(part, item, f"{where}[{index}]") for index, (part, item) in enumerate(pairs))
    if isinstance(sample, (list, set, frozenset)):
        alternatives = _distinct(sample)
        if (
            type(sample) is list
            and type(value) is list
            and set(map(type, value)) <= _EXACT & set(map(type, alternatives))
        ):
            return value  # no item needs a conversion
        items = [
            _parse_any(alternatives, item, f"{where}[{index}]") for index, item in enumerate(_check_list(value, where))
        ]
        return items if isinstance(sample, list) else type(sample)(items)
    return SCALARS[type(sample)].parse(value, where)


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


def _parse_any(alternatives: list[Any], value: Any, where: str) -> Any:
    """`value` as the first of the sample's items that it fits; with an empty sample, as it is."""
    if not alternatives:
        return value
    first: ValidationError | None = None
    for alternative in alternatives:
        try:
            return _parse(alternative, value, where)
        except ValidationError as error:
            first = first or error
    assert first is not None
    raise first


def _check_list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValidationError(where, f"expected a list, got {json_type(value)}")
    return value


def _distinct(sample: Any) -> list[Any]:
    """The sample's items, one of each scalar type; integers before floats, which would take integers too."""
    found: list[Any] = []
    for item in sample:
        if not any(type(item) is type(other) and type(item) in SCALARS for other in found):
            found.append(item)
    return sorted(found, key=lambda item: type(item) is float)


def _check_sample(sample: Any) -> None:
    if isinstance(sample, AbstractParameterType):
        return
    if isinstance(sample, dict):
        bad = [key for key in sample if not isinstance(key, str)]
        if bad:
            raise TypeError(f"a sample's keys must be strings, not {short_repr(bad[0])}")
        for item in sample.values():
            _check_sample(item)
    elif isinstance(sample, (list, tuple, set, frozenset)):
        for item in sample:
            _check_sample(item)
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
    return SCALARS[type(sample)].dump(sample)


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
    return dict(SCALARS[type(sample)].schema)


def _only_integers(sample: Any) -> bool:
    if isinstance(sample, AbstractParameterType):
        return sample.only_integers()
    if isinstance(sample, dict):
        return bool(sample) and any(_only_integers(item) for item in sample.values())
    if isinstance(sample, (list, tuple)):
        return bool(sample) and all(_only_integers(item) for item in sample)
    return type(sample) is int


_EXACT = {int, float, str, bool}  # JSON values of these types need no conversion
