"""`input_schema` and `output_schema`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mldeploy_jupyter.serving.schema.base import ValidationError
from mldeploy_jupyter.serving.schema.decorators import declared_of, input_schema, output_schema
from mldeploy_jupyter.serving.schema.numpy_type import NumpyParameterType
from mldeploy_jupyter.serving.schema.standard_type import StandardPythonParameterType


def test_what_is_declared_belongs_to_the_function_alone() -> None:
    def make() -> Any:
        @input_schema("a", NumpyParameterType(np.array([1])))
        @input_schema("b", StandardPythonParameterType("x"), optional=True)
        @output_schema(StandardPythonParameterType(1))
        def run(a: Any, b: str = "y") -> Any:
            return [a, b]

        return run

    first, second = make(), make()
    inputs, output, undecorated = declared_of(second)
    assert list(inputs) == ["a", "b"] and inputs["b"].optional and output is not None
    assert undecorated is not second
    assert first.__name__ == "run"
    array, b = first([5, 6])  # a direct call, in a notebook
    np.testing.assert_array_equal(array, [5, 6])
    assert b == "y"
    with pytest.raises(ValidationError, match=r"a\[0\]: 1.7 is not a whole number"):
        first([1.7])
    already = np.array([9])
    assert first(already)[0] is already


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="must be a parameter type, not ndarray"):
        input_schema("a", np.array([1]))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="the name of a parameter"):
        input_schema(NumpyParameterType(np.array([1])), "a")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected a parameter type"):
        output_schema(1)  # type: ignore[arg-type]
