"""Bodies as arguments of `run()`: whatever a client sends, it fits or is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mldeploy_jupyter.serving.schema.decorators import input_schema
from mldeploy_jupyter.serving.schema.numpy_type import NumpyParameterType
from mldeploy_jupyter.serving.schema.pandas_type import PandasParameterType
from mldeploy_jupyter.serving.schema.standard_type import StandardPythonParameterType
from mldeploy_jupyter.serving.scoring.arguments import parse_arguments
from mldeploy_jupyter.serving.scoring.messages import Refused, Request
from tests.unit.serving.scoring.test_json_body import json_texts
from tests.unit.serving.scripts import script_of


def param_types() -> dict[str, Any]:
    import pandas as pd

    return {
        "array": NumpyParameterType(np.ones((1, 2))),
        "free array": NumpyParameterType(np.ones((1, 2)), enforce_column_type=False, enforce_shape=False),
        "lossy": NumpyParameterType(np.ones((1, 2), dtype="i4"), lossy=True),
        "frame": PandasParameterType(pd.DataFrame({"a": [1], "b": ["x"]})),
        "free frame": PandasParameterType(pd.DataFrame({"a": [1]}), enforce_column_type=False, enforce_shape=False),
        "plain": StandardPythonParameterType({"a": [1], "b": "x"}),
    }


@pytest.mark.parametrize("name", param_types())
@given(
    body=st.one_of(json_texts(), st.binary(max_size=30).map(lambda data: data.decode("latin-1"))), wrap=st.booleans()
)
def test_any_body_fits_or_is_refused_with_400_or_422(name: str, body: str, wrap: bool) -> None:
    script = script_of(input_schema("data", param_types()[name])(lambda data: 1))
    text = f'{{"data":{body}}}' if wrap else body
    request = Request(headers={"content-type": "application/json"}, body=text.encode("utf-8"))
    try:
        parse_arguments(script, request)
    except Refused as refused:
        assert refused.response.status in (400, 422)
