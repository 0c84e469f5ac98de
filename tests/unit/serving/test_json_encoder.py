"""Results as strict JSON."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import uuid
from collections import OrderedDict, namedtuple
from typing import Any, Literal, NamedTuple, TypedDict

import jsonschema
import numpy as np
import orjson
import pandas as pd
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mldeploy_jupyter.serving.json_encoder import NotJson, encode, to_plain
from mldeploy_jupyter.serving.schema.hints import type_from_hint
from mldeploy_jupyter.serving.scoring.results import encode_result, output_mismatch
from tests.unit.serving.scripts import script_of

Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (1, 1),
        ("ü\n", "ü\n"),
        ([1, (2, 3)], [1, [2, 3]]),
        (Pair(1, 2), [1, 2]),
        (OrderedDict(a=1), {"a": 1}),
        ({2: "a", None: "b", True: "c"}, {"2": "a", "true": "c", "null": "b"}),
        (2**80, 2**80),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.array(3), 3),
        (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        (np.array(["a"]), ["a"]),
        (np.array([1.5, 2.0], dtype="f4"), [1.5, 2.0]),
        ({"p": np.array([0.5])}, {"p": [0.5]}),
        ([np.datetime64("2020-01-02")], ["2020-01-02"]),
        (np.float64(2.5), 2.5),
        (np.array([(1, 2.5)], dtype=[("a", int), ("b", float)]), [{"a": 1, "b": 2.5}]),
        (np.array([None, "x"], dtype=object), [None, "x"]),
        (pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
        (pd.Series([1.5, 2.5]), [1.5, 2.5]),
        (pd.Index(["a"]), ["a"]),
        (pd.NaT, None),
        (pd.NA, None),
        (pd.Timestamp("2020-01-02"), "2020-01-02T00:00:00"),
        (pd.Timedelta("1D"), "P1DT0H0M0S"),
        (dt.date(2020, 1, 2), "2020-01-02"),
        (pd.Series(["a", "b"], dtype="category"), ["a", "b"]),
        (pd.array([1, None], dtype="Int64"), [1, None]),
        (-0.0, -0.0),
        (np.array([True, False]), [True, False]),
        ({np.int64(3): 1}, {"3": 1}),
        (float("1e308"), 1e308),
        (np.longdouble(0.5), 0.5),
        (np.array([0.5], dtype="longdouble"), [0.5]),
        (np.array(0.5, dtype="longdouble"), 0.5),
        ({"a": [np.longdouble(0.5)]}, {"a": [0.5]}),
        (pd.DataFrame({"a": np.array([0.5], dtype="longdouble")}), [{"a": 0.5}]),
    ],
)
def test_results_are_written_as_json(value: Any, expected: Any) -> None:
    assert json.loads(encode(value)) == expected


@pytest.mark.parametrize(
    ("value", "where", "words"),
    [
        (float("nan"), "", "NaN"),
        ([1, float("inf")], "[1]", "infinity"),
        ({"a": [{"score": float("nan")}]}, "a[0].score", "NaN"),
        ([{}, {}, {"score": np.float64("nan")}], "[2].score", "NaN"),
        (np.array([[1.0, np.nan]]), "[0][1]", "NaN"),
        (pd.DataFrame({"x": [1.0, np.inf]}), "[1].x", "infinity"),
        (np.longdouble("1e4000"), "", "infinity"),
        ([np.array([1, np.longdouble("1e4000")])], "[0][1]", "infinity"),
        (pd.DataFrame([[1, 2]], columns=["x", "x"]), "", "two columns named 'x'"),
        ({"a": pd.DataFrame([[1, 2]], columns=[1, "1"])}, "a", "two columns named '1'"),
        ({"a": {1: "x", "1": "y"}}, "a", "two keys are '1' in JSON"),
        ({"g": (n for n in [1])}, "g", "type generator"),
        ([object()], "[0]", "type object"),
        ({(1, 2): 3}, "", "key of type tuple"),
        ([1j], "[0]", "type complex"),
        ([np.complex128(1)], "[0]", "complex128"),
        ([Exception], "[0]", "type type"),
    ],
)
def test_a_value_without_a_form_in_json_is_refused_with_its_place(value: Any, where: str, words: str) -> None:
    with pytest.raises(NotJson) as caught:
        encode(value)
    assert caught.value.where == where
    assert words in str(caught.value)
    assert caught.value.hint


def test_a_result_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(NotJson, match="contains itself"):
        encode(loop)


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT


@given(st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner)))
def test_plain_values_survive_a_round_trip(value: Any) -> None:
    assert json.loads(encode(value)) == value


def test_a_uuid_is_refused_although_orjson_writes_it() -> None:
    with pytest.raises(NotJson, match=r"uuid\.UUID"):
        encode({"id": uuid.uuid4()})


VALUES = (
    st.integers(-(2**63), 2**64 - 1)
    | st.none()
    | st.booleans()
    | TEXT
    | st.floats()
    | st.just("null")
    | st.builds(np.float64, st.floats())
    | st.builds(np.array, st.lists(st.floats() | st.integers(-9, 9), max_size=4))
    | st.builds(lambda x: np.array(x, dtype="f4"), st.lists(st.floats(width=32), max_size=3))
    | st.sampled_from(
        [uuid.UUID(int=1), dt.date(2020, 1, 2), np.array(["a"]), np.datetime64("2020"), pd.NaT, Pair(1, 2)]
    )
)


@given(
    st.recursive(
        VALUES, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner) | st.tuples(inner, inner), max_leaves=12
    )
)
def test_orjson_alone_writes_what_the_slow_way_does(value: Any) -> None:
    try:
        expected: Any = orjson.dumps(to_plain(value, "", 0))
    except NotJson as error:
        expected = (error.where, error.text)
    try:
        found: Any = encode(value)
    except NotJson as error:
        found = (error.where, error.text)
    assert found == expected


@given(
    st.lists(st.floats(allow_infinity=False), max_size=5), st.sampled_from(["a", 1, ("a", "b"), "nul"]), st.booleans()
)
def test_frames_are_written_as_their_records(cells: list[float], name: Any, mixed: bool) -> None:
    frame = pd.DataFrame({name: cells, "text": ["null"] * len(cells)})
    if mixed:
        frame["more"] = pd.Series([1] * len(cells), dtype=object)
    try:
        records = frame.to_dict(orient="records")
        rows = [{str(key): None if cell != cell else cell for key, cell in row.items()} for row in records]
        expected: Any = orjson.dumps(to_plain(rows, "", 0))
    except NotJson as error:
        expected = (error.where, error.text)
    try:
        found: Any = encode(frame)
    except NotJson as error:
        found = (error.where, error.text)
    assert found == expected


class Colour(enum.Enum):
    RED = "red"


class Word(str, enum.Enum):  # noqa: UP042  the older form, whose str() is not its value
    YES = "yes"


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Place:
    name: str
    position: tuple[float, float] | None = None


class Point(NamedTuple):
    x: float
    y: float = 0.0


class Movie(TypedDict):
    title: str


class Item(pydantic.BaseModel):
    name: str
    day: dt.date = pydantic.Field(alias="Day")


# A hint, a value that it accepts, and its JSON, which the hint reads as the value again.
HINTED: list[tuple[Any, Any, Any]] = [
    (int, 1, 1),
    (float, 1.5, 1.5),
    (bool, True, True),
    (str, "a", "a"),
    (bytes, b"abc", "YWJj"),
    (list[bytes], [b"abc"], ["YWJj"]),
    (dt.datetime, dt.datetime(2024, 1, 2, 3, 4), "2024-01-02T03:04:00"),
    (dt.date, dt.date(2024, 1, 2), "2024-01-02"),
    (dt.time, dt.time(3, 4), "03:04:00"),
    (list[dt.date], [dt.date(2024, 1, 2)], ["2024-01-02"]),
    (tuple[int, str], (1, "a"), [1, "a"]),
    (set[int], {1}, [1]),
    (frozenset[str], frozenset({"a"}), ["a"]),
    (dict[str, set[int]], {"a": {1}}, {"a": [1]}),
    (dict[int, str], {1: "a"}, {"1": "a"}),
    (int | None, None, None),
    (Literal["a", "b"], "b", "b"),
    (Colour, Colour.RED, "red"),
    (Word, Word.YES, "yes"),
    (Level, Level.LOW, 1),
    (list[Word], [Word.YES], ["yes"]),
    (Place, Place("Oslo", (1.0, 2.0)), {"name": "Oslo", "position": [1.0, 2.0]}),
    (list[Place], [Place("Oslo")], [{"name": "Oslo", "position": None}]),
    (Point, Point(1.5), [1.5, 0.0]),
    (Movie, Movie(title="M"), {"title": "M"}),
    (Item, Item(name="a", Day=dt.date(2024, 1, 2)), {"name": "a", "Day": "2024-01-02"}),
    (list[Item], [Item(name="a", Day=dt.date(2024, 1, 2))], [{"name": "a", "Day": "2024-01-02"}]),
    (np.ndarray, np.array([[1.5]]), [[1.5]]),
    (np.float32, np.float32(1.5), 1.5),
    (np.datetime64, np.datetime64("2024-01-02T03:04:05.000000"), "2024-01-02T03:04:05.000000"),
    (pd.DataFrame, pd.DataFrame({"a": [1.5, np.nan], "b": ["x", "y"]}), [{"a": 1.5, "b": "x"}, {"a": None, "b": "y"}]),
    (pd.Series, pd.Series([1.5, np.nan]), [1.5, None]),
]


@pytest.mark.parametrize(("hint", "value", "expected"), HINTED, ids=[str(case[0]) for case in HINTED])
def test_what_a_hint_accepts_is_encoded_and_read_again(hint: Any, value: Any, expected: Any) -> None:
    written = encode_result(value).body if value is not None else b"null"
    assert orjson.loads(written) == expected
    param_type = type_from_hint(hint)
    assert param_type is not None
    again = param_type.parse(orjson.loads(written), "data")
    assert str(again) == str(value) and type(again) is type(value)
    jsonschema.validate(orjson.loads(written), param_type.schema())

    def run(data: Any) -> Any: ...

    run.__annotations__["return"] = hint
    if value is not None:
        assert output_mismatch(script_of(run), value) is None


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"n": [1.5, np.nan], "s": ["a", None], "t": [pd.Timestamp("2024-01-01"), pd.NaT]}),
        pd.DataFrame({"n": [1.5, None], "s": ["a", np.nan], "t": [pd.Timestamp("2024-01-01"), None]}, dtype=object),
        pd.DataFrame({"n": [1.5, None], "s": ["a", None], "t": [pd.Timestamp("2024-01-01"), None]}).convert_dtypes(),
        pd.DataFrame({"n": [1.5, None], "s": pd.Categorical(["a", None]), "t": [pd.Timestamp("2024-01-01"), pd.NA]}),
    ],
    ids=range(4),
)
def test_missing_values_in_a_frame_are_null(frame: pd.DataFrame) -> None:
    rows = [{"n": 1.5, "s": "a", "t": "2024-01-01T00:00:00"}, {"n": None, "s": None, "t": None}]
    assert orjson.loads(encode(frame)) == rows
    assert orjson.loads(encode({"rows": frame, "n": frame["n"]})) == {"rows": rows, "n": [1.5, None]}


def test_labels_of_columns_are_written_as_they_are_read() -> None:
    columns = pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")])
    assert orjson.loads(encode(pd.DataFrame([[1, 2]], columns=columns))) == [{"('a', 'x')": 1, "('a', 'y')": 2}]
    assert orjson.loads(encode(pd.DataFrame([[1, None]]))) == [{"0": 1, "1": None}]


def test_bytes_are_base64_where_the_script_declares_what_it_returns() -> None:
    assert encode_result(b"abc").body == b'"YWJj"'
    with pytest.raises(NotJson) as caught:
        encode_result(b"abc", is_declared=False)
    assert "AMLResponse(data, 200)" in caught.value.hint
