"""`JsonRecord`: a dataclass that converts to JSON data and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, fields
from functools import cache, partial
from typing import Any, TypeVar

Record = TypeVar("Record", bound="JsonRecord")


@dataclass(frozen=True)
class JsonRecord:
    """A record that converts to JSON data and back. Unknown keys are dropped, so older programs read newer data."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls: type[Record], data: dict[str, Any]) -> Record:
        known = cls.__dataclass_fields__
        return cls(**{key: value for key, value in data.items() if key in known})

    @classmethod
    def from_stored(cls: type[Record], data: dict[str, Any]) -> Record:
        """`from_dict` for data that may be damaged: a value of another type than its field's becomes the default.

        One bad row must not hide the others, nor keep a service from being stopped or deleted.
        """
        kind: Any = cls
        values = {
            name: value if name in data and isinstance(value := data[name], types) else make_default()
            for name, types, make_default in _stored_fields(kind)
        }
        # Without `__init__`, which sets the fields of a frozen record one by one: lists have thousands of records.
        record = object.__new__(cls)
        vars(record).update(values)
        return record


_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,), "int": (int,), "float": (float, int), "bool": (bool,), "dict": (dict,), "list": (list, tuple),
    "None": (type(None),),
}  # fmt: skip


@cache
def _stored_fields(kind: Any) -> tuple[tuple[str, tuple[type, ...], Callable[[], Any]], ...]:
    """Of each field its name, the types that it may have (`dict[str, Any] | None`), and what makes its default."""
    found: list[tuple[str, tuple[type, ...], Callable[[], Any]]] = []
    for field in fields(kind):
        types = tuple(one for name in str(field.type).split(" | ") for one in _TYPES[name.partition("[")[0]])
        if field.default_factory is not MISSING:
            found.append((field.name, types, field.default_factory))
        else:
            found.append((field.name, types, types[0] if field.default is MISSING else partial(_same, field.default)))
    return tuple(found)


def _same(value: Any) -> Any:
    return value
