"""`ResourceConfiguration`: numbers above 0, or None."""

from __future__ import annotations

from mldeploy_jupyter.api.models import ResourceConfiguration

from .conftest import CollectErrors


def test_values_that_are_no_numbers_above_0_are_all_named(collect_errors: CollectErrors, snapshot) -> None:
    cases = {
        "resources": lambda: ResourceConfiguration(gpu=1.5),  # type: ignore[arg-type]
        "resources zero": lambda: ResourceConfiguration(cpu=0),
        "resources everywhere": lambda: ResourceConfiguration(cpu=-1, gpu=-2, memory_in_gb="x"),  # type: ignore[arg-type]
    }
    assert collect_errors(cases) == snapshot


def test_equal_configurations_have_the_same_hash_and_data() -> None:
    one, same = ResourceConfiguration(cpu=1, memory_in_gb=0.5), ResourceConfiguration(1, 0.5)
    assert one == same and hash(one) == hash(same) and one != ResourceConfiguration(2)
    assert one.serialize() == {"cpu": 1, "memory_in_gb": 0.5, "gpu": None}
