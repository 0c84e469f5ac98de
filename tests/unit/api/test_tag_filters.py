"""Filters for tags and properties."""

from __future__ import annotations

from typing import Any

import pytest

from mldeploy_jupyter.api.tag_filters import ANY, describe_filter, matches, parse_filter
from mldeploy_jupyter.core.errors import UserErrorException


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, []),
        ({"a": 1}, [("a", 1)]),
        (["a"], [("a", ANY)]),
        ([["a", "b"], ("c", 1)], [("a", "b"), ("c", 1)]),
    ],
)
def test_every_form_of_v1_is_parsed(given: Any, expected: list[tuple[str, Any]]) -> None:
    assert parse_filter("tags", given) == expected


@pytest.mark.parametrize("given", ["a", 5, [5], [["a", "b", "c"]], [[1, "b"]]])
def test_anything_else_is_refused_by_its_argument(given: Any) -> None:
    with pytest.raises(UserErrorException, match="properties cannot be used as a filter"):
        parse_filter("properties", given)


def test_all_keys_must_be_present_with_their_values() -> None:
    tags = {"stage": "dev", "accuracy": 0.9}
    assert matches(tags, [("stage", ANY), ("accuracy", "0.9")])
    assert not matches(tags, [("stage", "prod")])
    assert not matches(tags, [("stage", ANY), ("owner", ANY)])
    assert matches(tags, [])


def test_a_filter_is_described_for_messages() -> None:
    assert describe_filter([("a", ANY), ("b", "c")]) == "a, b=c"
