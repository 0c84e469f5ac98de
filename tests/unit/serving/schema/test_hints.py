"""Type hints as parameter types: the values that they accept, and the place of those that they refuse."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import typing
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict

import numpy as np
import numpy.typing as npt
import orjson
import pandas as pd
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mldeploy_jupyter.serving.schema.base import UnknownHint, ValidationError
from mldeploy_jupyter.serving.schema.hints import type_from_hint
from mldeploy_jupyter.serving.schema.numpy_type import NumpyParameterType
from mldeploy_jupyter.serving.scoring.script import Script


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Point(NamedTuple):
    x: float
    y: float = 0.0


class Options(TypedDict):
    top: int
    label: NotRequired[str]


@dataclasses.dataclass
class Address:
    city: str
    zip: str | None = None


@dataclasses.dataclass
class Person:
    name: str
    age: int
    home: Address
    tags: list[str] = dataclasses.field(default_factory=list)
    checked: bool = dataclasses.field(default=False, init=False)

    def __post_init__(self) -> None:
        if self.age < 0:
            raise ValueError("age is below 0")


@dataclasses.dataclass
class Tree:
    value: int
    below: list[Tree] = dataclasses.field(default_factory=list)


class House(pydantic.BaseModel):
    rooms: int
    area: float = pydantic.Field(gt=0)
    built: dt.date | None = None
    owners: list[Address] = []


class Strict(pydantic.BaseModel):
    model_config = {"strict": True}
    n: int
    day: dt.date


def parse_as(hint: Any, value: Any) -> Any:
    kind = type_from_hint(hint)
    assert kind is not None
    return kind.parse(orjson.loads(orjson.dumps(value)), "data")


HOME = {"city": "Oslo"}
ANN = {"name": "Ann", "age": 41, "home": HOME}


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (int, 2, 2),
        (int, 2.0, 2),
        (float, 2, 2.0),
        (bool, True, True),
        (str, "x", "x"),
        (bytes, "aGk=", b"hi"),
        (list[float], [1, 2.5], [1.0, 2.5]),
        (list[int], [], []),
        (list, [1, "a", None], [1, "a", None]),
        (list[list[int]], [[1], [2, 3]], [[1], [2, 3]]),
        (tuple[int, str], [1, "a"], (1, "a")),
        (tuple[int, ...], [1, 2], (1, 2)),
        (set[str], ["a", "a"], {"a"}),
        (frozenset[int], [1], frozenset({1})),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (dict[int, str], {"7": "a", "-1": "b"}, {7: "a", -1: "b"}),
        (dict, {"a": [1]}, {"a": [1]}),
        (typing.Sequence[int], [1], [1]),
        (typing.Mapping[str, float], {"a": 1}, {"a": 1.0}),
        (typing.Optional[int], None, None),  # noqa: UP045
        (int | None, 3, 3),
        (np.ndarray | None, None, None),
        (npt.NDArray[np.float32] | str | None, None, None),
        (np.float32 | None, None, None),
        (np.datetime64 | None, None, None),
        (pd.DataFrame | None, None, None),
        (float | int, 3, 3),
        (int | float, 3.5, 3.5),
        (str | list[str], ["a"], ["a"]),
        (dt.datetime | str, "2020-01-02T03:04:05", dt.datetime(2020, 1, 2, 3, 4, 5)),
        (dt.datetime, "2020-01-02T03:04:05.123456000", dt.datetime(2020, 1, 2, 3, 4, 5, 123456)),
        (dt.date, "2020-01-02", dt.date(2020, 1, 2)),
        (Literal["a", 1, None], 1, 1),
        (Colour, "red", Colour.RED),
        (Level, 2, Level.HIGH),
        (Point, {"x": 1}, Point(1.0, 0.0)),
        (Point, [1, 2], Point(1.0, 2.0)),
        (Options, {"top": 3}, {"top": 3}),
        (Person, ANN, Person("Ann", 41, Address("Oslo"))),
        (list[Person], [ANN], [Person("Ann", 41, Address("Oslo"))]),
        (Tree, {"value": 1, "below": [{"value": 2}]}, Tree(1, [Tree(2)])),
        (House, {"rooms": 3, "area": 1}, House(rooms=3, area=1)),
        (dict[str, House], {"h": {"rooms": 3, "area": 1, "built": "2020-01-02"}}, None),
        (Strict, {"n": 1, "day": "2020-01-02"}, Strict(n=1, day=dt.date(2020, 1, 2))),
        (Annotated[int, pydantic.Field(ge=1)], 1, 1),
        (Annotated[int, "a remark"], 1, 1),
        (typing.NewType("Id", int), 5, 5),
        (np.float32, 0.5, np.float32(0.5)),
        (np.int8, 5, np.int8(5)),
    ],
    ids=str,
)
def test_values_of_a_hint_are_accepted(hint: Any, value: Any, expected: Any) -> None:
    result = parse_as(hint, value)
    if expected is None and value is not None:
        assert result["h"].built == dt.date(2020, 1, 2)
    else:
        assert result == expected and type(result) is type(expected)


@pytest.mark.parametrize(
    ("hint", "value", "where", "words"),
    [
        (int, 1.7, "data", "1.7 is not a whole number"),
        (int, True, "data", "got a boolean"),
        (int, "1", "data", "got a string"),
        (float, None, "data", "got null"),
        (str, 5, "data", "expected a string"),
        (list[float], [1, "x"], "data[1]", "expected a number"),
        (list[list[int]], [[1], [2, 3.5]], "data[1][1]", "3.5 is not a whole number"),
        (tuple[int, str], [1], "data", "expected 2 values, got 1"),
        (set[str], "abc", "data", "expected a list"),
        (set, [[1]], "data", "must be plain values"),
        (dict[str, int], {"a": 1, "b": None}, "data.b", "got null"),
        (dict[int, int], {"x": 1}, "data", "the key 'x' is not a whole number"),
        (typing.Optional[int], "x", "data", "expected a whole number"),  # noqa: UP045
        (list[int] | dict[str, int], {"a": "x"}, "data.a", "expected a whole number"),
        (Literal["a", 1], True, "data", "expected one of 'a', 1, got True"),
        (Colour, "green", "data", "expected one of 'red', 'blue'"),
        (Point, {"y": 1}, "data.x", "missing"),
        (Point, [1, "2"], "data[1]", "expected a number"),
        (Options, {"top": 1, "more": 2}, "data.more", "no such field"),
        (Person, {**ANN, "home": {"city": 5}}, "data.home.city", "expected a string"),
        (Person, {"name": "Ann", "age": 4}, "data.home", "missing"),
        (Person, {**ANN, "checked": True}, "data.checked", "no such field"),
        (Person, {**ANN, "age": -1}, "data", "age is below 0"),
        (list[Person], [ANN, {**ANN, "age": 1.7}], "data[1].age", "1.7 is not a whole number"),
        (Tree, {"value": 1, "below": [{"value": "x"}]}, "data.below[0].value", "expected a whole number"),
        (House, {"rooms": 1.7, "area": 1}, "data.rooms", "fractional part"),
        (House, {"rooms": 1, "area": -1}, "data.area", "greater than 0"),
        (list[House], [{"rooms": 1, "area": 1, "owners": [{}]}], "data[0].owners[0].city", "required"),
        (Strict, {"n": "1", "day": "2020-01-02"}, "data.n", "valid integer"),
        (Annotated[int, pydantic.Field(ge=1)], 0, "data", "greater than or equal to 1"),
        (dt.datetime, "2020-01-02T03:04:05.1234567Z", "data", "cannot be counted in us without losing precision"),
        (list[dt.time], ["03:04:05,1234561"], "data[0]", "cannot be counted in us without losing precision"),
        (np.int8, 200, "data", "out of the range of int8"),
        (npt.NDArray[np.int32], [[1, 2], [3, 1.7]], "data[1][1]", "1.7 is not a whole number"),
        (npt.NDArray[np.datetime64], ["soon"], "data[0]", "not a date or time"),
        (npt.NDArray[np.float32], [1e39], "data[0]", "out of the range of float32"),
        (np.ndarray, [[1, 2], [3]], "data[1]", "expected 2 values, got 1"),
        (np.ndarray, [1, [2]], "data[1]", "got a list"),
        (np.ndarray, [1, "2"], "data[1]", "expected a number"),
        (np.ndarray, [True], "data[0]", "expected a number"),
        (np.ndarray, {"a": 1}, "data", "expected a number"),
        (pd.DataFrame, [{"a": 1}, {"b": 2}], "data[1]", "no 'a'"),
        (pd.DataFrame, [{"a": 1}, {"a": 2, "b": 2}], "data[1]", "unknown 'b'"),
        (pd.DataFrame, [{"a": 1}, {"a": "x"}], "data[1].a", "got a string, where the column has a number before"),
        (pd.DataFrame, [{"a": 0.5}, {"a": 2**53 + 1}], "data[1].a", "without losing digits"),
        (pd.DataFrame, {"columns": ["a"], "data": [[1], [1, 2]]}, "data.data[1]", "a list of 1 values"),
        (pd.DataFrame, {"a": [1]}, "data", "expected columns and data"),
        (pd.Series, [1, None, True], "data[2]", "got a boolean"),
        (Annotated[np.ndarray, NumpyParameterType(np.zeros((1, 2)))], [[1]], "data[0]", "expected 2 values"),
    ],
    ids=str,
)
def test_other_values_are_refused_with_their_place(hint: Any, value: Any, where: str, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_as(hint, value)
    assert caught.value.where == where
    assert words in str(caught.value)


@pytest.mark.parametrize("hint", [complex, list[complex], dict[float, int], npt.NDArray[np.complex128], Script, "x"])
def test_a_hint_without_a_form_in_json_is_unknown(hint: Any) -> None:
    with pytest.raises(UnknownHint):
        type_from_hint(hint)


HINTS = [
    np.ndarray,
    npt.NDArray[np.int8],
    npt.NDArray[np.str_],
    npt.NDArray[np.datetime64],
    pd.DataFrame,
    pd.Series,
    list[Person],
    Tree,
    House,
    Point,
    dict[int, Colour | None],
    set[int] | tuple[float, ...],
]
LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=3)
KEYS = st.text(max_size=2) | st.sampled_from(["columns", "data", "index", "name", "age", "home", "value", "below", "x"])


@given(
    st.recursive(
        LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=15
    )
)
def test_any_value_fits_or_has_an_error_with_its_place(value: Any) -> None:
    try:
        value = orjson.loads(orjson.dumps(value))
    except ValueError:  # half a surrogate pair
        return
    for hint in HINTS:
        kind = type_from_hint(hint)
        assert kind is not None
        try:
            kind.parse(value, "data")
        except ValidationError as error:
            assert error.where.startswith("data")


def test_an_optional_array_is_converted_in_bulk() -> None:
    kind, rows = type_from_hint(np.ndarray | None), [[1, 2.5], [None, 3]]
    assert kind is not None and kind.parse_bulk(None, False) is None
    np.testing.assert_array_equal(kind.parse_bulk(rows, True), [[1, 2.5], [np.nan, 3]])


@dataclasses.dataclass
class Order:
    bill: Address
    ship: Address | None = None
    others: list[Address] = dataclasses.field(default_factory=list)


def test_a_class_that_is_mentioned_twice_is_described_twice() -> None:
    properties = type_from_hint(Order).schema()["properties"]
    fields = type_from_hint(Address).schema()["properties"]
    assert properties["bill"]["properties"] == fields
    assert properties["ship"]["anyOf"][0]["properties"] == fields
    assert properties["others"]["items"]["properties"] == fields


def test_classes_that_mention_each_other_often_are_not_written_out_without_end() -> None:
    made: Any = Address
    for level in range(40):
        made = dataclasses.make_dataclass(f"Level{level}", [("left", made), ("right", made), ("third", made)])
    assert len(orjson.dumps(type_from_hint(made).schema())) < 1_000_000
