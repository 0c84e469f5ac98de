"""Samples of pandas, in every orient: the values that they accept, and the place of those that they refuse."""

from __future__ import annotations

import copy
import json
from typing import Annotated, Any

import pandas as pd
import pytest

from mldeploy_jupyter.serving.schema.base import ValidationError
from mldeploy_jupyter.serving.schema.hints import type_from_hint
from mldeploy_jupyter.serving.schema.pandas_orients import ORIENTS
from mldeploy_jupyter.serving.schema.pandas_type import PandasParameterType

SAMPLE = pd.DataFrame({"age": [30, 40], "weight": [70.5, 80.0], "name": ["ann", "bob"], "member": [True, False]})
ROWS = [{"age": 1, "weight": 2, "name": "x", "member": True}, {"age": 3, "weight": 4.5, "name": "y", "member": False}]


def parse(value: Any, orient: str = "records", sample: pd.DataFrame = SAMPLE, **options: Any) -> pd.DataFrame:
    return PandasParameterType(sample, orient=orient, **options).parse(value, "data")


def error_for(value: Any, orient: str = "records", sample: pd.DataFrame = SAMPLE, **options: Any) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        parse(value, orient, sample, **options)
    return caught.value


@pytest.mark.parametrize("orient", ORIENTS)
def test_a_sample_survives_a_round_trip_in_each_orient(orient: str) -> None:
    kind = PandasParameterType(SAMPLE, orient=orient)
    body = kind.dump()
    before = copy.deepcopy(body)
    frame = kind.parse(body, "data")
    assert body == before
    pd.testing.assert_frame_equal(frame.reset_index(drop=True), SAMPLE)


def test_columns_come_in_the_order_of_the_sample() -> None:
    frame = parse([dict(reversed(row.items())) for row in ROWS])
    assert list(frame.columns) == list(SAMPLE.columns)
    assert (frame.dtypes == SAMPLE.dtypes).all()
    assert frame["weight"].tolist() == [2.0, 4.5]
    split = parse({"columns": ["name", "member", "age", "weight"], "data": [["x", True, 1, 2.5]]}, "split")
    assert split.iloc[0].tolist() == [1, 2.5, "x", True]


@pytest.mark.parametrize(
    ("orient", "value", "where", "words"),
    [
        ("records", [ROWS[0], {**ROWS[1], "age": 1.7}], "data[1].age", "1.7 is not a whole number"),
        ("records", [{**ROWS[0], "age": None}], "data[0].age", "got null"),
        ("records", [{**ROWS[0], "name": [5]}], "data[0].name", "expected a string"),
        ("records", [{**ROWS[0], "member": 1}], "data[0].member", "expected true or false"),
        ("records", [{"Age": 1, "weight": 2, "name": "x", "member": True}], "data[0]", "no 'age'; unknown 'Age'"),
        ("records", [{"age": 1}], "data[0]", "no 'weight', 'name', 'member'"),
        ("records", ["x"], "data[0]", "expected an object with the columns, got a string"),
        ("records", {"columns": [], "data": []}, "data", "expected a list of objects"),
        ("values", [[1, 2.0, "x"]], "data[0]", "expected 4 values, got 3"),
        ("values", [[1, 2.0, "x", True], [1.5, 2.0, "x", True]], "data[1][0]", "1.5 is not a whole number"),
        ("split", {"columns": ["age"], "data": [[1]]}, "data.columns", "no 'weight', 'name', 'member'"),
        ("split", {"columns": ["age", "age"], "data": []}, "data.columns", "different column names"),
        ("split", {"columns": list(SAMPLE), "index": [1, 2], "data": [[1, 2, "x", True]]}, "data.index", "1 row names"),
        ("split", {"data": []}, "data", "'columns' is missing"),
        ("split", ROWS, "data", "expected an object, got a list"),
        ("index", {"r1": {**ROWS[0], "age": "1"}}, "data.r1.age", "expected a whole number"),
        ("columns", {**{n: {"a": 1} for n in SAMPLE}, "age": {"a": 1, "b": 2}}, "data.member.a", "expected true"),
        ("columns", {"age": {"a": 1}}, "data", "no 'weight'"),
        (
            "table",
            {"data": [{**ROWS[0], "index": 0, "age": 0.5}]},
            "data[0].age".replace("data", "data.data", 1),
            "0.5",
        ),
        ("table", {"schema": {}}, "data", "'data' is missing"),
    ],
)
def test_other_values_are_refused_with_their_place(orient: str, value: Any, where: str, words: str) -> None:
    error = error_for(value, orient)
    assert error.where == where
    assert words in str(error)


PAIR = pd.DataFrame({"a": [1.5], "b": ["x"]})


def test_a_column_of_text_takes_numbers_as_in_v1_unless_it_is_strict() -> None:
    rows = [{"text": 5, "any": 2.5}, {"text": None, "any": True}, {"text": "x", "any": "y"}]
    sample = pd.DataFrame({"text": pd.Series(["a"], dtype="string"), "any": pd.Series(["b"], dtype=object)})
    frame = parse(rows, sample=sample)
    assert frame["any"].tolist() == [2.5, True, "y"] and frame["text"].tolist()[::2] == ["5", "x"]
    assert error_for(rows, sample=sample, strict=True).where == "data[0].text"


@pytest.mark.parametrize(
    ("orient", "value", "expected"),
    [
        ("records", {"a": [1, 2], "b": ["y", "z"]}, [[1.0, "y"], [2.0, "z"]]),
        ("records", {"a": {"0": 1}, "b": {"0": "z"}}, [[1.0, "z"]]),
        ("records", [{"a": 1, "b": "y"}, {"a": 2}, {"b": "z"}], [[1.0, "y"], [2.0, None], [None, "z"]]),
        ("columns", {"b": ["y"], "a": [1]}, [[1.0, "y"]]),
        ("columns", {"a": {"0": 1}, "b": {"0": "y", "1": "z"}}, [[1.0, "y"], [None, "z"]]),
        ("index", {"r": {"a": 1}, "s": {"a": 2, "b": "y"}}, [[1.0, None], [2.0, "y"]]),
        ("table", {"data": [{"index": 0, "b": "y"}, {"index": 1, "a": 2}]}, [[None, "y"], [2.0, None]]),
    ],
    ids=range(7),
)
def test_by_default_a_table_is_as_lax_as_in_v1(orient: str, value: Any, expected: Any) -> None:
    before = copy.deepcopy(value)
    frame = parse(value, orient, PAIR)
    assert value == before and list(frame.columns) == ["a", "b"] and frame["a"].dtype == "float64"
    rows = [[None if pd.isna(cell) else cell for cell in row] for row in frame.to_numpy().tolist()]
    assert rows == expected
    assert error_for(value, orient, PAIR, strict=True).where


@pytest.mark.parametrize(
    ("value", "where", "words"),
    [
        ({"a": [1, 2], "b": ["y"]}, "data.b", "expected 2 values"),
        ({"a": [1], "c": ["y"]}, "data", "no 'b'; unknown 'c'"),
        ({"a": ["x"], "b": ["y"]}, "data.a[0]", "expected a number"),
        ({"a": 1, "b": "y"}, "data.a", "expected an object of values by row"),
        ([{"a": 1}, {"a": 2}], "data[0]", "no 'b'"),
        ([{"a": 1, "b": "x"}, {"a": 2, "c": 3}], "data[1]", "unknown 'c'"),
        ({"columns": ["a", "b"], "data": [[1, "x"]]}, "data", "expected a list of objects"),
    ],
    ids=range(7),
)
def test_a_lax_table_has_the_samples_columns(value: Any, where: str, words: str) -> None:
    error = error_for(value, "records", PAIR)
    assert error.where == where and words in str(error)


def test_dates_have_any_form_unless_strict() -> None:
    sample = pd.DataFrame({"when": pd.to_datetime(["2020-01-02"])})
    found = parse([{"when": "01/03/2020"}, {"when": "Jan 2 2020 3pm"}], sample=sample)
    assert found["when"].tolist() == [pd.Timestamp(2020, 1, 3), pd.Timestamp(2020, 1, 2, 15)]
    assert "ISO 8601" in str(error_for([{"when": "01/03/2020"}], sample=sample, strict=True))
    hinted = type_from_hint(Annotated[pd.DataFrame, PandasParameterType(sample)])
    with pytest.raises(ValidationError):
        hinted.parse([{"when": "01/03/2020"}], "data")
    for bad in ("now", "today", "soon", "5"):
        assert error_for([{"when": bad}], sample=sample).where == "data[0].when"


def test_apply_column_names_renames_by_position() -> None:
    def named(value: Any, orient: str = "records") -> Any:
        return parse(value, orient, PAIR, apply_column_names=True).to_dict("list")

    assert named([{"p": 1, "q": "y"}, {"p": 2, "q": "z"}]) == {"a": [1.0, 2.0], "b": ["y", "z"]}
    assert named([{"b": "y", "a": 1}]) == {"a": [1.0], "b": ["y"]}
    assert named({"columns": ["p", "q"], "data": [[1, "y"]]}, "split") == {"a": [1.0], "b": ["y"]}
    assert named({"p": {"0": 1}, "q": {"0": "y"}}, "columns") == {"a": [1.0], "b": ["y"]}
    assert error_for([{"p": 1}], sample=PAIR, apply_column_names=True).text == "expected 2 columns, got 1: p"
    assert error_for([{"p": "x", "q": "y"}], sample=PAIR, apply_column_names=True).where == "data[0].p"


def test_the_hint_names_another_orient() -> None:
    assert "orient='split'" in error_for({"columns": ["age"], "data": [[1]]}).hint
    assert "orient='records'" in error_for(ROWS, "split").hint


@pytest.mark.parametrize(
    ("series", "good", "bad"),
    [
        (pd.Series([1, None], dtype="Int64"), [2, None], 1.5),
        (pd.Series([1.5], dtype="Float64"), [None, 2], "x"),
        (pd.Series([True], dtype="boolean"), [None, False], 0),
        (pd.Series(["a", "b"], dtype="category"), ["b", None], "c"),
        (pd.Series(["a"], dtype="string"), ["b", None], [1]),
        (pd.to_datetime(pd.Series(["2020-01-01"])), ["2021-05-06T07:08:09", None], "soon"),
        (pd.to_datetime(pd.Series(["2020-01-01"])).dt.tz_localize("Europe/Berlin"), ["2021-05-06T07:08:09Z"], 5),
        (pd.to_timedelta(pd.Series(["1 days"])), ["P1DT2H", None], "later"),
        (pd.Series([1, "a"], dtype=object), [{"any": 1}, None], None),
    ],
    ids=lambda value: str(getattr(value, "dtype", "")),
)
def test_extension_dtypes_are_kept(series: pd.Series, good: list, bad: Any) -> None:
    sample = pd.DataFrame({"c": series})
    frame = parse([{"c": value} for value in good], sample=sample)
    assert frame["c"].dtype == series.dtype
    assert frame["c"].isna().tolist() == [value is None for value in good]
    if bad is not None:
        assert error_for([{"c": bad}], sample=sample).where == "data[0].c"


def test_a_time_with_a_zone_is_the_same_moment_in_the_samples_zone() -> None:
    sample = pd.DataFrame({"t": pd.to_datetime(pd.Series(["2020-01-01"])).dt.tz_localize("Europe/Berlin")})
    frame = parse([{"t": "2021-07-01T10:00:00Z"}], sample=sample)
    assert frame["t"][0] == pd.Timestamp("2021-07-01T12:00:00", tz="Europe/Berlin")


def test_lossy_accepts_conversions_that_lose_something() -> None:
    sample = pd.DataFrame({"n": [1], "x": [1.5], "c": pd.Series(["u"], dtype="category"), "i": pd.array([1])})
    frame = parse(
        [{"n": 1.7, "x": "2.5", "c": "v", "i": None}, {"n": 2, "x": 1, "c": "u", "i": 3.9}], lossy=True, sample=sample
    )
    assert frame["n"].tolist() == [1, 2] and frame["x"].tolist() == [2.5, 1.0]
    assert frame["c"].isna().tolist() == [True, False] and frame["i"].tolist() == [pd.NA, 3]
    assert (frame.dtypes == sample.dtypes).all()
    assert error_for([{"n": None, "x": 1, "c": "u", "i": 1}], lossy=True, sample=sample).where == "data[0].n"
    assert error_for([{"n": 1}], lossy=True, sample=sample).where == "data[0]"


@pytest.mark.parametrize("orient", ["index", "columns"])
def test_a_sample_with_duplicate_names_is_refused(orient: str) -> None:
    with pytest.raises(ValueError, match="two columns of the same name"):
        PandasParameterType(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(ValueError, match="row names are all different"):
        PandasParameterType(pd.DataFrame({"a": [1, 2]}, index=["r", "r"]), orient=orient)


def test_no_rows_are_a_frame_without_rows() -> None:
    frame = parse([])
    assert frame.shape == (0, 4)
    assert (frame.dtypes == SAMPLE.dtypes).all()


def test_without_enforcement_columns_and_types_come_from_the_data() -> None:
    frame = parse([{"age": 1.5, "extra": "x"}], enforce_shape=False, enforce_column_type=False)
    assert frame.to_dict("records") == [{"age": 1.5, "extra": "x"}]
    assert error_for([{"age": 1.5}], enforce_shape=False).where == "data[0].age"


def test_a_wrong_sample_or_orient_is_refused() -> None:
    with pytest.raises(TypeError, match="not dict"):
        PandasParameterType({"a": [1]})
    with pytest.raises(ValueError, match="orient must be one of records"):
        PandasParameterType(SAMPLE, orient="rows")


@pytest.mark.parametrize(
    ("series", "bad"),
    [
        (pd.Series(["2020-01-01"], dtype="M8[s]"), "2020-01-01T00:00:00.5"),
        (pd.Series(["2020-01-01"], dtype="M8[ns]"), "9999-01-01"),
        (pd.Series(["2020-01-01"], dtype="M8[s]").dt.tz_localize("UTC"), "2020-01-01T00:00:00.5Z"),
        (pd.to_timedelta(pd.Series(["1 days"])).astype("m8[s]"), "PT0.5S"),
        (pd.to_datetime(pd.Series(["2020-01-01"])), "now"),
        (pd.to_datetime(pd.Series(["2020-01-01"])), ""),
        (pd.Series([1, 2], dtype="category"), True),
    ],
    ids=range(7),
)
def test_times_and_categories_lose_nothing(series: pd.Series, bad: Any) -> None:
    assert error_for([{"c": bad}], sample=pd.DataFrame({"c": series})).where == "data[0].c"
    if bad not in ("now", "", "9999-01-01", True):
        assert parse([{"c": bad}], sample=pd.DataFrame({"c": series}), lossy=True)["c"].dtype == series.dtype


def test_rows_may_be_lists_as_in_v1() -> None:
    param_type = PandasParameterType(pd.DataFrame({"a": [1.5], "b": ["x"]}))
    found = param_type.parse([[1, "y"], {"b": "z", "a": 2}], "data")
    assert found.to_dict("records") == [{"a": 1.0, "b": "y"}, {"a": 2.0, "b": "z"}]
    for rows, message in (
        ([[1, "y"], [2]], r"data\[1\]: expected 2 values, got 1"),
        ([["y", 2]], r"data\[0\]\[0\]: expected a number"),
    ):
        with pytest.raises(ValidationError, match=message):
            param_type.parse(rows, "data")


@pytest.mark.filterwarnings("ignore:.*epoch")
@pytest.mark.parametrize("column", [pd.to_datetime(["2024-01-01"]), pd.to_timedelta(["1h"])])
def test_numbers_that_pandas_writes_for_times_are_refused_with_the_way_out(column: Any) -> None:
    frame = pd.DataFrame({"t": column})
    param_type = PandasParameterType(frame)
    with pytest.raises(ValidationError) as caught:
        param_type.parse(json.loads(frame.to_json(orient="records", date_format="epoch")), "data")
    assert 'date_format="iso"' in caught.value.hint and caught.value.where == "data[0].t"
    again = param_type.parse(json.loads(frame.to_json(orient="records", date_format="iso")), "data")
    assert again["t"].tolist() == frame["t"].tolist()
