"""Parameter types of v1 scripts, which subclass `AbstractParameterType`."""

from __future__ import annotations

from typing import Any

import pytest

from mldeploy_jupyter.serving.schema.base import AbstractParameterType, ValidationError


def test_a_subclass_with_v1s_two_methods_works() -> None:
    class Celsius(AbstractParameterType):
        def deserialize_input(self, input_data: Any) -> Any:
            return float(input_data.removesuffix("C"))

        def input_to_swagger(self) -> dict[str, Any]:
            return {"type": "string", "example": "20C"}

    kind = Celsius("20C")
    assert kind.parse("21C", "t") == 21.0
    assert kind.schema() == {"type": "string"}
    with pytest.raises(ValidationError, match="t: ValueError: could not convert"):
        kind.parse("warm", "t")
