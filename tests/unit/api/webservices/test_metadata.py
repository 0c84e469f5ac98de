"""Tags, properties and description."""

from __future__ import annotations

from typing import Any

import pytest

from mldeploy_jupyter.api.webservices import (
    Webservice,
)
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import MldeployError, UserErrorException


def test_metadata_alone_needs_no_deployment(ws: Workspace) -> None:
    service = Webservice(ws, "on-aci")
    service.update(tags={"a": "b"}, properties={"p": "q"})
    service.add_properties({"r": "s"})
    assert (service.tags, service.properties) == ({"a": "b"}, {"p": "q", "r": "s"})
    for change in (service.add_properties, lambda properties: service.update(properties=properties)):
        change({"p": "q"})
        with pytest.raises(UserErrorException, match="the property p of on-aci is 'q' already"):
            change({"p": "x", "new": 1})
    service.add_tags({"c": "d", "ca": "e"})
    service.remove_tags(["c", "not there"])
    assert (service.tags, service.properties) == ({"a": "b", "ca": "e"}, {"p": "q", "r": "s"})


@pytest.mark.parametrize(
    ("method", "arguments", "match"),
    [
        ("update", {"tags": ["a"]}, "it must be a dict, not list"),
        ("update", {"tags": "abc"}, "it must be a dict, not str"),
        ("update", {"properties": {1: 2}}, "keys must be strings"),
        ("update", {"description": 5}, "it must be a string, not int"),
        ("add_tags", {"tags": {"k": object()}}, "cannot be kept"),
        ("add_properties", {"properties": ["p"]}, "it must be a dict, not list"),
        ("remove_tags", {"tags": "abc"}, "it must be a list of keys"),
        ("remove_tags", {"tags": None}, "it must be a list of keys"),
        ("remove_tags", {"tags": [1]}, "it must be a list of keys"),
    ],
)
def test_metadata_that_cannot_be_stored_changes_nothing(
    ws: Workspace, method: str, arguments: dict[str, Any], match: str
) -> None:
    service = Webservice(ws, "on-aci")
    service.add_tags({"a": "b"})
    with pytest.raises(MldeployError, match=match):
        getattr(service, method)(**arguments)
    assert (service.tags, service.properties, service.description) == ({"a": "b"}, {}, None)
