"""Arrays whose dtype and shape come from the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from hypothesis import example, given

from mldeploy_jupyter.serving.schema.base import ValidationError
from mldeploy_jupyter.serving.schema.numpy_type import NumpyParameterType
from tests.unit.serving.schema.test_number_arrays import ANYTHING


@given(value=ANYTHING)
@example(value=[0, 2**63 + 1])  # numpy would make doubles of them
@example(value=[-1, 2**63 + 1])
@example(value=[-1, 2**63])
def test_an_inferred_dtype_changes_no_value(value: Any) -> None:
    value = orjson.loads(orjson.dumps(value))
    kind = NumpyParameterType(np.ones((1, 2)), enforce_column_type=False, enforce_shape=False)
    try:
        result = kind.parse(value, "data")
    except ValidationError as error:
        assert error.where.startswith("data")
    else:
        assert result.tolist() == value or result.size == 0
