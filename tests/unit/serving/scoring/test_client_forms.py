"""Schemas that failed in generators of clients, and the forms that they read. The meaning is the same."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import numpy as np
import pydantic
import pytest

from mldeploy_jupyter.serving.scoring.client_forms import drop_repeated_titles, join_null
from mldeploy_jupyter.serving.scoring.openapi import describe_service, request_of
from mldeploy_jupyter.serving.settings import Settings
from tests.unit.serving.scripts import script_of

NULL = {"type": "null"}


@pytest.mark.parametrize(
    ("schema", "joined"),
    [
        ({"anyOf": [{"type": "number", "format": "double"}, NULL], "title": "N"},
         {"type": ["number", "null"], "format": "double", "title": "N"}),
        ({"type": "array", "items": {"anyOf": [NULL, {"type": "string"}]}},
         {"type": "array", "items": {"type": ["string", "null"]}}),
        ({"anyOf": [{"anyOf": [{"type": "number"}, NULL]}, NULL]}, {"type": ["number", "null"]}),
        ({"properties": {"anyOf": {"anyOf": [{"type": "integer"}, NULL]}}},
         {"properties": {"anyOf": {"type": ["integer", "null"]}}}),
    ],
)  # fmt: skip
def test_null_joins_the_type_of_a_scalar(schema: Any, joined: Any) -> None:
    given = json.dumps(schema)
    assert join_null(schema) == joined and json.dumps(schema) == given


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": [{"type": "object"}, NULL]},
        {"anyOf": [{"type": "array", "items": {}}, NULL]},
        {"anyOf": [{"type": "string", "enum": ["a"]}, NULL]},
        {"anyOf": [{"type": "string"}, {"type": "integer"}, NULL]},
        {"anyOf": [NULL, NULL]},
        {"anyOf": [{}, NULL]},
        {"anyOf": [{"type": "null", "title": "T"}, NULL]},
        {"items": True, "additionalProperties": False},
    ],
)
def test_other_choices_stay(schema: Any) -> None:
    assert join_null(schema) == schema


class Item(pydantic.BaseModel):
    id: int
    price: float | None = None
    parent: dict[str, Any] | None = None
    tags: list[str] | None = None


def related(item: Item, values: np.ndarray, top: int | None = None) -> list[Item]:
    return [item]


def schemas_of(node: Any) -> Any:
    """Every dict in the document: the schemas, and more."""
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from schemas_of(inner)


@pytest.mark.parametrize("version", ["2.0", "3.0", "3.1"])
def test_every_array_has_items_and_no_default_is_null_where_generators_refuse_it(version: str) -> None:
    document = describe_service(script_of(related), Settings(), version)
    found = [node for node in schemas_of(document) if "array" in str(node.get("type"))]
    assert found and all("items" in node for node in found)
    if version != "3.1":
        assert all(node.get("default", 0) is not None for node in schemas_of(document))


@pytest.mark.parametrize("version", ["2.0", "3.0", "3.1"])
def test_a_class_has_its_title_once(version: str) -> None:
    document = describe_service(script_of(related), Settings(), version)
    titles = [node["title"] for node in schemas_of(document) if "properties" in node and "title" in node]
    assert titles == ["Item"]
    taken = {"title": "ServiceInput", "properties": {"title": {"title": "X", "properties": {}}}}
    assert drop_repeated_titles(taken, {"ServiceInput"}) == {"properties": taken["properties"]}


def test_the_joined_schema_takes_and_refuses_the_same() -> None:
    schema = request_of(script_of(related))[0]
    base: dict[str, Any] = {"item": {"id": 1}, "values": [1.5, [2]]}
    for top in (None, 1, "x", [1], {}):
        for price in (None, 1.5, "x"):
            body = {**base, "top": top, "item": {"id": 1, "price": price}}
            accepts = [jsonschema.Draft202012Validator(one).is_valid(body) for one in (schema, join_null(schema))]
            assert accepts[0] == accepts[1], body
