"""`StandardPythonParameterType`: plain Python values, lists and dicts, nested as the sample is."""

from __future__ import annotations

import math
from typing import Any

from .base import AbstractParameterType, BuiltinParameterType, ValidationError, json_type, short_repr
from .scalars import SCALARS, parse_loose_time


class StandardPythonParameterType(BuiltinParameterType):
    """A value built like `sample_input`.

    A sample may have int, float, str, bool, bytes (base64), date, datetime and time (ISO 8601), list, tuple, set, dict,
    and other parameter types inside lists and dicts; None there is any value.

    As in v1, a dict may lack keys of the sample's, and its values and the items of a list are converted where they fit
    and otherwise stay as they are; values of other parameter types must fit. Dates and times may have any form that
    `dateutil` reads, where it is installed. With `strict`, a dict must have at least the sample's keys, with values
    like them, each item of a list must be like one of the sample's items, and dates are ISO 8601; a type hint is strict
    unless `strict=False` is given. Raises `TypeError` for other samples.
    """

    def __init__(self, sample_input: Any, strict: bool | None = None) -> None:
        super().__init__(_with_text_keys(sample_input))
        _check_sample(self.sample_input)
        self.strict = strict

    def parse_items(self, value: Any, where: str) -> Any:
        return _parse(self.sample_input, value, where, not self.strict)

    def convert_argument(self, value: Any, where: str) -> Any:
        return _convert_nested(self.sample_input, super().convert_argument(value, where), where)

    def dump(self) -> Any:
        return _dump(self.sample_input)

    def schema(self) -> dict[str, Any]:
        return _schema(self.sample_input, not self.strict)

    def only_integers(self) -> bool:
        return _only_integers(self.sample_input, not self.strict)

    def has_rows(self) -> bool:
        return isinstance(self.sample_input, list)


def _parse(sample: Any, value: Any, where: str, lax: bool) -> Any:
    if isinstance(sample, AbstractParameterType):
        return sample.parse(value, where)
    if sample is None:
        return value
    if isinstance(sample, dict):
        return _parse_dict(sample, value, where, lax)
    if isinstance(sample, tuple):
        items = _check_list(value, where)
        if len(items) != len(sample):
            if lax and not _has_parameter_type(sample):
                return items
            raise ValidationError(where, f"expected {len(sample)} values, got {len(items)}")
        parse_value = _parse_if_it_fits if lax else _parse
        pairs = zip(sample, items, strict=True)
        return tuple(parse_value(part, item, f"{where}[{index}]", lax) for index, (part, item) in enumerate(pairs))
    if isinstance(sample, (list, set, frozenset)):
        alternatives = _distinct(sample)
        if (
            type(sample) is list
            and type(value) is list
            and set(map(type, value)) <= _EXACT & set(map(type, alternatives))
        ):
            return value  # no item needs a conversion
        items = [
            _parse_any(alternatives, item, f"{where}[{index}]", lax)
            for index, item in enumerate(_check_list(value, where))
        ]
        return items if isinstance(sample, list) else type(sample)(items)
    try:
        return SCALARS[type(sample)].parse(value, where)
    except ValidationError:
        found = parse_loose_time(type(sample), value) if lax else None
        if found is None:
            raise
        return found


def _parse_dict(sample: dict[str, Any], value: Any, where: str, lax: bool) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValidationError(where, f"expected an object, got {json_type(value)}")
    for key in () if lax else sample:
        if key not in value:
            raise ValidationError(where, f"{key!r} is missing", f"The keys are: {', '.join(map(str, sample))}.")
    parse_value = _parse_if_it_fits if lax else _parse
    return {
        key: parse_value(sample[key], item, f"{where}.{key}" if where else key, lax) if key in sample else item
        for key, item in value.items()
    }


def _parse_if_it_fits(sample: Any, value: Any, where: str, lax: bool) -> Any:
    try:
        return _parse(sample, value, where, lax)
    except ValidationError:
        if _has_parameter_type(sample):
            raise
        return value


def _has_parameter_type(sample: Any) -> bool:
    items = sample.values() if isinstance(sample, dict) else sample if isinstance(sample, (list, tuple)) else ()
    return isinstance(sample, AbstractParameterType) or any(map(_has_parameter_type, items))


def _convert_nested(sample: Any, value: Any, where: str) -> Any:
    """The argument of a direct call, with those parts converted that have a parameter type of their own."""
    if isinstance(sample, AbstractParameterType):
        return sample.convert_argument(value, where)
    if isinstance(sample, dict) and isinstance(value, dict):
        return {
            key: _convert_nested(sample[key], item, f"{where}.{key}") if key in sample else item
            for key, item in value.items()
        }
    if isinstance(sample, (list, tuple)) and isinstance(value, (list, tuple)):
        typed = next((item for item in sample if _has_parameter_type(item)), None)
        if typed is not None:
            return type(value)(_convert_nested(typed, item, f"{where}[{index}]") for index, item in enumerate(value))
    return value


def _parse_any(alternatives: list[Any], value: Any, where: str, lax: bool) -> Any:
    """`value` as the first of the sample's items that it fits; with an empty sample, or if `lax`, else as it is."""
    if not alternatives:
        return value
    first: ValidationError | None = None
    for alternative in alternatives:
        try:
            return _parse(alternative, value, where, lax)
        except ValidationError as error:
            first = first or error
    assert first is not None
    if lax and not any(map(_has_parameter_type, alternatives)):
        return value
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


def _with_text_keys(sample: Any) -> Any:
    """The sample with numbers among its keys as JSON has them."""
    if isinstance(sample, dict):
        return {str(key) if type(key) is int else key: _with_text_keys(item) for key, item in sample.items()}
    return [_with_text_keys(item) for item in sample] if type(sample) is list else sample


def _check_sample(sample: Any) -> None:
    if isinstance(sample, AbstractParameterType):
        return
    if isinstance(sample, dict):
        bad = [key for key in sample if not isinstance(key, str)]
        if bad:
            raise TypeError(f"a sample's keys must be strings or whole numbers, not {short_repr(bad[0])}")
        for item in sample.values():
            _check_sample(item)
    elif isinstance(sample, (list, tuple, set, frozenset)):
        for item in sample:
            _check_sample(item)
    elif sample is not None and type(sample) not in SCALARS:
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
    return None if sample is None else SCALARS[type(sample)].dump(sample)


def _schema(sample: Any, lax: bool) -> dict[str, Any]:
    if isinstance(sample, AbstractParameterType):
        return sample.schema()
    if isinstance(sample, dict):
        properties = {key: _schema(item, lax) for key, item in sample.items()}
        required = {"required": list(properties)} if properties and not lax else {}
        return {"type": "object", "properties": properties, **required}
    if isinstance(sample, tuple):
        size = {"minItems": len(sample), "maxItems": len(sample)}
        return {"type": "array", "prefixItems": [_schema(item, lax) for item in sample], "items": {}, **size}
    if isinstance(sample, (list, set, frozenset)):
        kinds: list[dict[str, Any]] = []
        for item in _distinct(sample):
            if (schema := _schema(item, lax)) not in kinds:
                kinds.append(schema)
        return {"type": "array", "items": kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {}}
    return {} if sample is None else dict(SCALARS[type(sample)].schema)


def _only_integers(sample: Any, lax: bool) -> bool:
    if isinstance(sample, AbstractParameterType):
        return sample.only_integers()
    if isinstance(sample, dict):
        checked = [item for item in sample.values() if not lax or _has_parameter_type(item)]
        return any(_only_integers(item, lax) for item in checked)
    if isinstance(sample, (list, tuple)):
        if lax and not _has_parameter_type(sample):
            return False
        return bool(sample) and all(_only_integers(item, lax) for item in sample)
    return type(sample) is int


_EXACT = {int, float, str, bool}  # JSON values of these types need no conversion
