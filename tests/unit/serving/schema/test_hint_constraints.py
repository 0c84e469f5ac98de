"""Constraints of `annotated_types` are checked with the place, whether or not anything has imported pydantic."""

from __future__ import annotations

import datetime
import subprocess
import sys
from typing import Annotated, Any

import annotated_types as at
import numpy as np
import pytest

from mldeploy_jupyter.serving.schema.base import ValidationError
from mldeploy_jupyter.serving.schema.hints import type_from_hint

NOON = "2024-01-02T12:00:00"


def parse(hint: Any, value: Any) -> Any:
    param_type = type_from_hint(hint)
    assert param_type is not None
    return param_type.parse(value, "data")


@pytest.mark.parametrize(
    ("hint", "good", "bad", "message", "schema"),
    [
        (Annotated[int, at.Gt(0)], 1, 0, "expected greater than 0, got 0", {"exclusiveMinimum": 0}),
        (Annotated[int, at.Ge(0)], 0, -1, "expected at least 0, got -1", {"minimum": 0}),
        (Annotated[float, at.Lt(1)], 0.5, 1.0, "expected less than 1, got 1.0", {"exclusiveMaximum": 1}),
        (Annotated[float, at.Le(1)], 1, 1.5, "expected at most 1, got 1.5", {"maximum": 1}),
        (Annotated[int, at.MultipleOf(3)], 6, 7, "expected a multiple of 3, got 7", {"multipleOf": 3}),
        (Annotated[int, at.Interval(ge=1, lt=3)], 2, 3, "expected less than 3, got 3", {"minimum": 1}),
        (Annotated[str, at.MinLen(2)], "ab", "a", "expected a length of at least 2, got 1", {"minLength": 2}),
        (Annotated[list[int], at.MaxLen(1)], [1], [1, 2], "expected a length of at most 1, got 2", {"maxItems": 1}),
        (Annotated[list[int], at.Len(1, 2)], [1], [], "expected a length of at least 1, got 0", {"minItems": 1}),
        (at.LowerCase[str], "a", "A", "'A' does not satisfy islower", {}),
        (Annotated[datetime.datetime, at.Timezone(...)], NOON + "Z", NOON, "expected a time zone, got none", {}),
        (Annotated[datetime.datetime, at.Timezone(None)], NOON, NOON + "Z", "expected no time zone, got UTC", {}),
        (Annotated[int, "a note", at.Gt(0)], 1, 0, "expected greater than 0, got 0", {}),
        (Annotated[np.ndarray, at.MinLen(1)], [[1.0]], [], "expected a length of at least 1, got 0", {}),
    ],
    ids=range(14),
)
def test_a_constraint_is_checked_and_described(
    hint: Any, good: Any, bad: Any, message: str, schema: dict[str, Any]
) -> None:
    expected = datetime.datetime.fromisoformat(good) if good in (NOON, NOON + "Z") else good
    np.testing.assert_array_equal(parse(hint, good), expected)
    with pytest.raises(ValidationError) as caught:
        parse(hint, bad)
    assert str(caught.value) == f"data: {message}"
    param_type = type_from_hint(hint)
    assert param_type is not None and schema.items() <= param_type.schema().items()


def test_a_constraint_of_an_item_has_the_place_of_the_item() -> None:
    for hint, value, where in (
        (list[Annotated[int, at.Gt(0)]], [1, 0], "data[1]"),
        (dict[str, Annotated[int, at.Gt(0)]], {"a": 0}, "data.a"),
        (Annotated[int, at.Gt(0)] | None, 0, "data"),
    ):
        with pytest.raises(ValidationError) as caught:
            parse(hint, value)
        assert caught.value.where == where
    with pytest.raises(ValidationError, match="expected a whole number"):
        parse(Annotated[int, at.Gt(0)], "x")


def test_it_is_checked_where_nothing_has_imported_pydantic() -> None:
    program = (
        "import sys; import annotated_types as at; from typing import Annotated;"
        "from mldeploy_jupyter.serving.schema.hints import type_from_hint;"
        "found = type_from_hint(Annotated[int, at.Gt(0)]); assert 'pydantic' not in sys.modules\n"
        "try: found.parse(0, 'data')\nexcept ValueError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout == "data: expected greater than 0, got 0\n", done.stderr
