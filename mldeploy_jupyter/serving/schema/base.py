"""What all parameter types share: the type's interface, the error for a value that does not fit, words for messages."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class ValidationError(ValueError):
    """A value does not fit its type. `where` is its place in the body, such as `data[3].age`."""

    def __init__(self, where: str, message: str, hint: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where
        self.text = message
        self.hint = hint


class UnknownHint(Exception):
    """A type hint that the server does not understand. Its text is the hint, and why."""


class AbstractParameterType:
    """A type that is described by a sample. v1's subclasses define `deserialize_input` and `input_to_swagger`.

    Raises `ValueError` when the sample is None.
    """

    # None: as lax as v1 where `@input_schema` names the type, strict elsewhere.
    strict: bool | None = None

    def __init__(self, sample_input: Any) -> None:
        if sample_input is None:
            raise ValueError("a sample is required: None describes nothing")
        self.sample_input = sample_input
        self.sample_data_type = type(sample_input)

    def unless_lax(self) -> AbstractParameterType:
        """The type where it is strict unless it says otherwise: as a type hint, and for what `run()` returns."""
        if self.strict is not None:
            return self
        strict = copy.copy(self)
        strict.make_strict()
        return strict

    def make_strict(self) -> None:
        """Refuses, from now on, what `strict` does not take."""
        self.strict = True

    def parse(self, value: Any, where: str) -> Any:
        """JSON data as a value of this type. Raises `ValidationError`; never changes `value`."""
        try:
            return self.deserialize_input(value)
        except ValidationError:
            raise
        except Exception as error:
            raise ValidationError(where, f"{type(error).__name__}: {error}") from error

    def parse_bulk(self, value: Any, only_numbers: bool) -> Any:
        """`parse` for whole arrays or columns at once; None when anything in `value` is unusual.

        Where it returns a value, `parse` returns the same one. None decides nothing: `parse` must be asked.
        `only_numbers`: the caller knows that `value` is nested lists of numbers and null.
        """
        return None

    def convert_argument(self, value: Any, where: str) -> Any:
        """The argument of a direct call, as in a notebook: `value` itself if it is of this type, else parsed."""
        return value if isinstance(value, self.sample_data_type) else self.parse(_as_json(value), where)

    def accepts_result(self, value: Any) -> bool:
        """Whether a Python value that `run()` returned certainly fits. False when only its JSON form can tell."""
        return False

    @property
    def has_sample(self) -> bool:
        """Whether there is an example of a request. A sample of a type of the script's own may have no form in JSON."""
        try:
            json.dumps(self.dump())
        except (TypeError, ValueError):
            return False
        return True

    def dump(self) -> Any:
        """The sample as JSON data: the `example` of `input_to_swagger()` where a subclass gives one, as in v1."""
        if type(self).input_to_swagger is not AbstractParameterType.input_to_swagger:
            return self.input_to_swagger().get("example", self.sample_input)
        return self.sample_input

    def schema(self) -> dict[str, Any]:
        """JSON Schema of this type, without the sample."""
        return {key: value for key, value in self.input_to_swagger().items() if key != "example"}

    def only_integers(self) -> bool:
        """Whether the sample has only integers in a place where fractions would be refused."""
        return False

    def integer_columns(self) -> list[str]:
        """The columns of a table that have only integers, when not all of its columns do."""
        return []

    def has_rows(self) -> bool:
        """Whether a value consists of rows, so that the rows of several requests may share one call of `run()`."""
        return False

    def concatenates(self) -> bool:
        """Whether lists of rows may be joined before `parse_bulk`, which then returns the rows of both in order."""
        return False

    def deserialize_input(self, input_data: Any) -> Any:
        """v1's `parse`. Raises whatever the subclass raises; `NotImplementedError` when there is none."""
        raise NotImplementedError(f"{type(self).__name__} defines neither parse() nor deserialize_input()")

    def input_to_swagger(self) -> dict[str, Any]:
        """v1's `schema`, with the sample as `example`."""
        return {"example": self.dump()}

    def supported_versions(self) -> list[str]:
        """v1's list of Swagger and OpenAPI versions."""
        return ["2.0", "3.0", "3.1"]


class BuiltinParameterType(AbstractParameterType):
    """Base of the types in this package: v1's two methods follow from `parse` and `schema`.

    `parse` tries `parse_bulk` first, and falls back to `parse_items`, which knows the place of an error.
    """

    has_sample = True

    def deserialize_input(self, input_data: Any) -> Any:
        return self.parse(input_data, "")

    def dump(self) -> Any:
        raise NotImplementedError

    def input_to_swagger(self) -> dict[str, Any]:
        return {**self.schema(), "example": self.dump()}

    def parse(self, value: Any, where: str) -> Any:
        result = self.parse_bulk(value, False)
        return self.parse_items(value, where) if result is None else result

    def float_rows(self) -> Callable[[Any, int], Any] | None:
        """A function that does what `parse_bulk` does for a few rows of floats, with the least work. None: none does.

        It gets the value, and how many decimal points its JSON text has: as many as items means that all are floats.
        It returns None for any other value, valid or not.
        """
        return None

    def parse_items(self, value: Any, where: str) -> Any:
        """JSON data as a value of this type, converted item by item. Raises `ValidationError` with the place."""
        raise NotImplementedError

    def schema(self) -> dict[str, Any]:
        raise NotImplementedError


@dataclass(frozen=True)
class HintNode:
    """A type hint, understood: `list[int]` is a node over the node of `int`.

    `parse(value, where)` returns the converted value or raises `ValidationError`; `schema` is its JSON Schema. `exact`:
    JSON values of exactly this Python type need no conversion. `has_rows`, `parse_bulk` and `accepts_result` are those
    of `AbstractParameterType`.
    """

    parse: Callable[[Any, str], Any]
    schema: dict[str, Any]
    has_rows: bool = False
    parse_bulk: Callable[[Any, bool], Any] | None = None
    exact: type | None = None
    accepts_result: Callable[[Any], bool] | None = None


def _as_json(value: Any) -> Any:
    """The value as JSON would have it: `frame.to_dict()` has column labels of any type as keys, records are tuples."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): _as_json(item) for key, item in value.items()}
    return [_as_json(item) for item in value] if type(value) in (list, tuple) else value


def short_repr(value: Any) -> str:
    """The `repr` of a value for a message, at most 40 characters."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def json_type(value: Any) -> str:
    """JSON's name for a value's type, with an article: "a list"."""
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)
