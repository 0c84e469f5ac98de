"""What every parameter type has in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class ValidationError(ValueError):
    """A value does not fit. `where` is its place in the body, such as `data[3].age`."""

    def __init__(self, where: str, message: str, hint: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where
        self.text = message
        self.hint = hint


class AbstractParameterType:
    """A type that is described by a sample. v1's subclasses define `deserialize_input`, `input_to_swagger`."""

    has_sample = True

    def __init__(self, sample_input: Any) -> None:
        if sample_input is None:
            raise ValueError("a sample is required: None describes nothing")
        self.sample_input = sample_input
        self.sample_data_type = type(sample_input)

    def parse(self, value: Any, where: str) -> Any:
        """JSON data as a value of this type. Raises `ValidationError`; never changes `value`."""
        try:
            return self.deserialize_input(value)
        except ValidationError:
            raise
        except Exception as error:
            raise ValidationError(where, f"{type(error).__name__}: {error}") from error

    def parse_bulk(self, value: Any, numbers: bool) -> Any:
        """As `parse`, without a place and without a call for each value; None for whatever is unusual.

        `numbers`: the caller knows that the data has no texts, keys and booleans.
        """
        return None

    def accepts_result(self, value: Any) -> bool:
        """Whether a value of the script's own surely fits as a result; False when only its JSON form will tell."""
        return False

    def dump(self) -> Any:
        """The sample as JSON data."""
        return self.sample_input

    def schema(self) -> dict[str, Any]:
        """JSON Schema of this type, without the sample."""
        return {key: value for key, value in self.input_to_swagger().items() if key != "example"}

    def only_integers(self) -> bool:
        """Whether the sample has whole numbers only, in a place where fractions would be refused."""
        return False

    def integer_columns(self) -> list[str]:
        """The columns of a table for which that holds, when it does not hold for all."""
        return []

    def has_rows(self) -> bool:
        """Whether values are rows, which several requests' could be joined of (`serving/scoring/rows.py`)."""
        return False

    def concatenates(self) -> bool:
        """Whether `quick` makes of lists put behind each other what it makes of each, put behind each other."""
        return False

    def deserialize_input(self, input_data: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines neither parse() nor deserialize_input()")

    def input_to_swagger(self) -> dict[str, Any]:
        return {"example": self.dump()}

    def supported_versions(self) -> list[str]:
        return ["2.0", "3.0", "3.1"]


class OwnParameterType(AbstractParameterType):
    """Base of our types: v1's two methods come from `parse` and `schema`.

    `parse` is the quick way where it goes, else the careful one, which knows the place.
    """

    def deserialize_input(self, input_data: Any) -> Any:
        return self.parse(input_data, "")

    def input_to_swagger(self) -> dict[str, Any]:
        return {**self.schema(), "example": self.dump()}

    def parse(self, value: Any, where: str) -> Any:
        result = self.parse_bulk(value, False)
        return self.parse_items(value, where) if result is None else result

    def parse_items(self, value: Any, where: str) -> Any:
        """Raises `ValidationError` with the place."""
        raise NotImplementedError

    def schema(self) -> dict[str, Any]:
        raise NotImplementedError


def short_repr(value: Any) -> str:
    """A short form of a value for a message."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def json_type(value: Any) -> str:
    """JSON's word for a value's type."""
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


@dataclass(frozen=True)
class HintNode:
    """A hint understood. `parse(value, where)` gives the value or raises `ValidationError`; `schema` describes it.

    `rows`: its values are rows that can be joined. `quick` is as in `AbstractParameterType`. `exact`: values of just
    this JSON type are taken as they are. `holds` is as in `AbstractParameterType`.
    """

    parse: Callable[[Any, str], Any]
    schema: dict[str, Any]
    has_rows: bool = False
    parse_bulk: Callable[[Any, bool], Any] | None = None
    exact: type | None = None
    accepts_result: Callable[[Any], bool] | None = None


class UnknownHint(Exception):
    """A hint that is not understood."""
