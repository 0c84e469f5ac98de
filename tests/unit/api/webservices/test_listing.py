"""The filters of `Webservice.list`."""

from __future__ import annotations

from mldeploy_jupyter.api.webservices import (
    Webservice,
)
from mldeploy_jupyter.api.workspace import Workspace


def test_tags_are_filtered_as_in_model_list(ws: Workspace) -> None:
    ws.folder.open_store().update_service("on-aci", tags={"t": "1", "n": 0.9})
    for tags in (["t"], [["t", 1]], {"t": 1}, [("n", "0.9"), "t"]):
        assert [service.name for service in Webservice.list(ws, tags=tags)] == ["on-aci"]
    assert Webservice.list(ws, tags={"t": "2"}) == []
