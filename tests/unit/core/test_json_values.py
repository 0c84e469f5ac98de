"""Values of a notebook as JSON: missing values are null, nothing is lost, the rest is refused with its place."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import json
import uuid
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pydantic
import pytest

from mldeploy_jupyter.core.json_values import NotWritable, to_json

try:
    import polars as pl
    import pyarrow as pa
except ModuleNotFoundError:
    pl = pa = None

needs_libraries = pytest.mark.skipif(pl is None, reason="polars or pyarrow is missing: pip install polars pyarrow")


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Person:
    name: str
    born: datetime.date | None = None


class Point(NamedTuple):
    x: float
    y: float


class Item(pydantic.BaseModel):
    name: str
    price: decimal.Decimal = pydantic.Field(alias="Price")


DAY = datetime.date(2024, 2, 29)
TIME = datetime.datetime(2024, 2, 29, 12, 30, 0, 250000)
ID = uuid.UUID("12345678123456781234567812345678")

VALUES: dict[str, tuple[Any, Any]] = {
    "nan": (float("nan"), None),
    "NaT": (pd.NaT, None),
    "NA": (pd.NA, None),
    "numpy NaT": (np.datetime64("NaT", "s"), None),
    "float16": (np.float16(1.5), 1.5),
    "float16 nan": (np.float16("nan"), None),
    "float32": (np.float32(0.1), 0.10000000149011612),
    "float64": (np.float64(0.1), 0.1),
    "longdouble": (np.longdouble(0.5), 0.5),
    "int8": (np.int8(-3), -3),
    "uint64": (np.uint64(2**64 - 1), 2**64 - 1),
    "large int": (2**80, 2**80),
    "bool": (np.bool_(True), True),
    "str": (np.str_("a"), "a"),
    "0-d": (np.array(1.5), 1.5),
    "array": (np.array([[1.0, np.nan]]), [[1.0, None]]),
    "float16 array": (np.array([1.5, 2.5], dtype="f2"), [1.5, 2.5]),
    "big-endian": (np.array([1, 2], dtype=">i4"), [1, 2]),
    "dates": (np.array(["2024-02-29", "NaT"], dtype="M8[D]"), ["2024-02-29", None]),
    "nanoseconds": (np.datetime64("2024-02-29T01:02:03.000000004", "ns"), "2024-02-29T01:02:03.000000004"),
    "durations": (np.array([90, -1], dtype="m8[s]"), ["P0DT0H1M30S", "-P0DT0H0M1S"]),
    "duration ns": (np.timedelta64(1_500_000_000, "ns"), "P0DT0H0M1.5S"),
    "masked": (np.ma.array([1.0, 2.0], mask=[False, True]), [1.0, None]),
    "structured": (np.array([(1, "a")], dtype=[("n", "i4"), ("s", "U1")]), [{"n": 1, "s": "a"}]),
    "objects": (np.array([pd.NA, DAY], dtype=object), [None, "2024-02-29"]),
    "date": (DAY, "2024-02-29"),
    "datetime": (TIME, "2024-02-29T12:30:00.250000"),
    "aware": (TIME.replace(tzinfo=datetime.UTC), "2024-02-29T12:30:00.250000+00:00"),
    "time": (datetime.time(1, 2), "01:02:00"),
    "timedelta": (datetime.timedelta(days=1, hours=2, microseconds=500), "P1DT2H0M0.0005S"),
    "Timestamp": (pd.Timestamp("2024-02-29T12:00:00.000000001"), "2024-02-29T12:00:00.000000001"),
    "Timedelta": (pd.Timedelta(90, "s"), "P0DT0H1M30S"),
    "Period": (pd.Period("2024-02", "M"), "2024-02"),
    "Decimal": (decimal.Decimal("1.10"), 1.1),
    "whole Decimal": (decimal.Decimal("12345678901234567890"), 12345678901234567890),
    "Decimal NaN": (decimal.Decimal("NaN"), None),
    "UUID": (ID, str(ID)),
    "Path": (PurePosixPath("a/b"), "a/b"),
    "bytes": ([b"abc"], ["YWJj"]),
    "Enum": (Colour.RED, "red"),
    "IntEnum": (Level.LOW, 1),
    "dataclass": (Person("Ann", DAY), {"name": "Ann", "born": "2024-02-29"}),
    "NamedTuple": (Point(1.0, float("nan")), [1.0, None]),
    "pydantic": (Item(name="a", Price=decimal.Decimal("1.5")), {"name": "a", "Price": "1.5"}),
    "set": ({1}, [1]),
    "frozenset": (frozenset({"a"}), ["a"]),
    "deque": (collections.deque([1, 2]), [1, 2]),
    "range": (range(3), [0, 1, 2]),
    "keys": ({"a": 1}.keys(), ["a"]),
    "OrderedDict": (collections.OrderedDict(a=1), {"a": 1}),
    "number keys": ({2: 1.5, np.int64(3): float("nan")}, {"2": 1.5, "3": None}),
    "enum keys": ({Colour.RED: 1}, {"red": 1}),
    "Series": (pd.Series([1.5, None]), [1.5, None]),
    "NaT in a Series": (pd.Series([pd.Timestamp("2024-01-01"), pd.NaT]), ["2024-01-01T00:00:00", None]),
    "Index": (pd.Index([1, 2]), [1, 2]),
    "Categorical": (pd.Categorical(["a", None]), ["a", None]),
    "extension array": (pd.array([1, None], dtype="Int8"), [1, None]),
    "nested": ({"a": [{"b": pd.NaT}, (np.float32(1), {2})]}, {"a": [{"b": None}, [1.0, [2]]]}),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_and_its_json(name: str) -> None:
    value, expected = VALUES[name]
    assert json.loads(to_json(value)) == expected
    assert json.loads(to_json({"data": [value]})) == {"data": [expected]}


FRAMES: dict[str, Any] = {
    "numpy": lambda: pd.DataFrame({"n": [1, 2], "f": [1.5, None], "s": ["a", None], "t": pd.to_datetime([DAY, None])}),
    "nullable": lambda: pd.DataFrame(
        {"n": [1, 2], "f": [1.5, None], "s": ["a", None], "t": pd.to_datetime([DAY, None])}
    ).convert_dtypes(),
    "category": lambda: pd.DataFrame(
        {
            "n": pd.Categorical([1, 2]),
            "f": pd.arrays.SparseArray([1.5, np.nan]),
            "s": pd.Categorical(["a", None]),
            "t": pd.Series([pd.Timestamp(DAY), pd.NaT], dtype=object),
        }
    ),
}

OTHER_FRAMES: dict[str, Any] = {
    "pyarrow dtypes": lambda: pd.DataFrame(
        {"n": [1, 2], "f": [1.5, None], "s": ["a", None], "t": pd.to_datetime([DAY, None])}
    ).convert_dtypes(dtype_backend="pyarrow"),
    "polars": lambda: pl.DataFrame(
        {"n": [1, 2], "f": [1.5, None], "s": ["a", None], "t": [datetime.datetime(2024, 2, 29), None]}
    ),
    "pyarrow table": lambda: pa.table(
        {"n": [1, 2], "f": [1.5, None], "s": ["a", None], "t": [datetime.datetime(2024, 2, 29), None]}
    ),
    "record batch": lambda: pa.record_batch(
        {"n": [1, 2], "f": [1.5, None], "s": ["a", None], "t": [datetime.datetime(2024, 2, 29), None]}
    ),
}


@pytest.mark.parametrize("library", [*FRAMES, *(pytest.param(name, marks=needs_libraries) for name in OTHER_FRAMES)])
def test_a_table_of_any_library_is_a_list_of_its_rows(library: str) -> None:
    assert json.loads(to_json({"data": (FRAMES | OTHER_FRAMES)[library]()})) == {
        "data": [
            {"n": 1, "f": 1.5, "s": "a", "t": "2024-02-29T00:00:00"},
            {"n": 2, "f": None, "s": None, "t": None},
        ]
    }


@needs_libraries
def test_columns_and_scalars_of_polars_and_pyarrow() -> None:
    for value, expected in (
        (pl.Series([1, None]), [1, None]),
        (pl.Series([decimal.Decimal("1.5")]), [1.5]),
        (pl.Series([datetime.timedelta(seconds=90)]), ["P0DT0H1M30S"]),
        (pa.array([1.5, None]), [1.5, None]),
        (pa.chunked_array([[1], [2]]), [1, 2]),
        (pa.scalar(3), 3),
        (pa.scalar(None, pa.int64()), None),
    ):
        assert json.loads(to_json({"data": [value]})) == {"data": [expected]}
    for value, words in (
        (pa.Table.from_arrays([pa.array([1])] * 2, ["x", "x"]), "two columns named 'x'"),
        (pl.LazyFrame({"a": [1]}), "a LazyFrame has no rows yet"),
    ):
        with pytest.raises(NotWritable, match=words):
            to_json(value)


def test_labels_that_are_no_texts_are_written_as_the_server_reads_them() -> None:
    frame = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")]))
    assert json.loads(to_json(frame)) == [{"('a', 'x')": 1, "('a', 'y')": 2}]
    assert json.loads(to_json(pd.DataFrame([[1, 2]]))) == [{"0": 1, "1": 2}]


def loop() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


REFUSED: dict[str, tuple[Any, str]] = {
    "infinity": ({"a": [1.0, float("inf")]}, "a[1]: it is inf, and JSON has no infinity"),
    "numpy infinity": ({"a": np.array([np.inf])}, "a[0]: it is inf"),
    "complex": ({"a": 1j}, "a: complex cannot be written as JSON"),
    "complex array": (np.array([1j]), "complex numbers have no form in JSON"),
    "digits": ({"a": decimal.Decimal("0.1234567890123456789")}, "a: Decimal 0.1234567890123456789 has more digits"),
    "long digits": ({"a": decimal.Decimal("1E+999999")}, "a: Decimal 1E+999999 has more digits"),
    "long double": ({"a": np.longdouble(1) / 3}, "a: a longdouble has more digits"),
    "generator": ({"a": (i for i in [1])}, "a: a generator cannot be written as JSON"),
    "function": ({"a": len}, "a: builtin_function_or_method cannot be written"),
    "object": ({"a": [object()]}, "a[0]: object cannot be written"),
    "interval": ({"a": pd.Interval(1, 2)}, "a: Interval cannot be written"),
    "tuple key": ({"a": {(1, 2): 1}}, "a: a key of type tuple cannot be written"),
    "same keys": ({"a": {1: "x", "1": float("nan")}}, "a: two keys are '1' in JSON"),
    "same columns": ({"a": pd.DataFrame([[1, 2]], columns=["x", "x"])}, "a: the table has two columns named 'x'"),
    "columns as text": (pd.DataFrame([[1, 2]], columns=[1, "1"]), "the table has two columns named '1'"),
    "loop": (loop(), "contains itself"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_json_cannot_keep_is_refused_with_its_place(name: str) -> None:
    value, words = REFUSED[name]
    if name == "long double" and np.finfo(np.longdouble).bits == 64:
        pytest.skip("long doubles are doubles here")
    with pytest.raises(NotWritable) as caught:
        to_json(value)
    assert words.replace("longdouble", str(np.dtype(np.longdouble))) in str(caught.value)
