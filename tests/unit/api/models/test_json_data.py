"""Frameworks, data sets and samples of a model."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mldeploy_jupyter.api.models.json_data import check_framework, dataset_details
from mldeploy_jupyter.core.errors import WebserviceException


def test_a_framework_needs_no_version() -> None:
    check_framework(None, None)
    check_framework("Onnx", None)
    for framework, version in ((None, "1"), ("sklearn", None)):
        with pytest.raises(WebserviceException):
            check_framework(framework, version)


def test_data_sets_are_kept_by_id_name_or_text() -> None:
    by_id, by_name = SimpleNamespace(id="i1", name="n1"), SimpleNamespace(id=None, name="n2")
    found = dataset_details([("training", by_id), ("training", by_name), ("test", "d3")], by_id, None)
    assert found == {"datasets": {"training": ["i1", "n2"], "test": ["d3"]}, "sample_input_dataset": "i1"}
    assert dataset_details(None, None, None) == {}


@pytest.mark.parametrize("datasets", [5, "training", ["x"], [("a", "b", "c")], [(1, "b")]])
def test_anything_but_pairs_of_scenario_and_data_set_is_refused(datasets: Any) -> None:
    with pytest.raises(WebserviceException, match="datasets"):
        dataset_details(datasets, None, None)
