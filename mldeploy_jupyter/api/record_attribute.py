"""A read-only attribute whose value comes from the object's record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Never, Self, TypeVar, overload

Record = TypeVar("Record")
Value = TypeVar("Value")


class RecordAttribute(Generic[Record, Value]):
    """Calls `read` with the object's `record` each time the attribute is read.

    In place of a property: `files = ModelAttribute(lambda record: sorted(record.files), "Names of the files.")`.
    """

    def __init__(self, read: Callable[[Record], Value], doc: str | None = None) -> None:
        self._read = read
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None) -> Value: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else self._read(instance.record)

    def __set__(self, instance: object, value: Never) -> None:
        raise AttributeError(f"attribute {self._name!r} of {type(instance).__name__!r} object cannot be assigned")
