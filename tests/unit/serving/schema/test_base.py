"""Parameter types of v1 scripts, which subclass `AbstractParameterType`."""

from __future__ import annotations

from typing import Any

import pytest

from mldeploy_jupyter.serving.schema.base import AbstractParameterType, ValidationError
from mldeploy_jupyter.serving.schema.decorators import input_schema
from tests.unit.serving.scripts import script_of


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


class Opaque(AbstractParameterType):
    def deserialize_input(self, input_data: Any) -> Any:
        return input_data


class WithExample(Opaque):
    def input_to_swagger(self) -> dict[str, Any]:
        return {"type": "integer", "example": 1}


class WithoutExample(Opaque):
    def input_to_swagger(self) -> dict[str, Any]:
        return {"type": "integer"}


def test_the_example_of_a_type_of_the_scripts_own_is_the_sample_that_is_sent() -> None:
    assert (WithExample(object()).dump(), WithExample(object()).has_sample) == (1, True)
    assert WithoutExample(5).dump() == 5
    assert not WithoutExample(object()).has_sample and not Opaque(object()).has_sample
    for kind in (WithoutExample(object()), Opaque(object())):
        script = script_of(input_schema("data", kind)(lambda data: data))
        assert script.sample is None
    assert script_of(input_schema("data", WithExample(object()))(lambda data: data)).sample == {"data": 1}
