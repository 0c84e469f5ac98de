"""The filters of `Webservice.list`."""

from __future__ import annotations

from typing import Any

import pytest

from mldeploy_jupyter.api.webservices import Webservice
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.core.records import RevisionRecord


def test_tags_are_filtered_as_in_model_list(ws: Workspace) -> None:
    ws.folder.open_store().update_service("on-aci", tags={"t": "1", "n": 0.9})
    for tags in (["t"], [["t", 1]], {"t": 1}, [("n", "0.9"), "t"]):
        assert [service.name for service in Webservice.list(ws, tags=tags)] == ["on-aci"]
    assert Webservice.list(ws, tags={"t": "2"}) == []


def test_models_compute_types_and_properties_are_filtered(ws: Workspace) -> None:
    def names(**filters: Any) -> list[str]:
        return [service.name for service in Webservice.list(ws, **filters)]

    assert names(model_id="m:1") == names(compute_type="aci") == ["on-aci"]
    assert len(names(model_name="m")) == 4 and names(model_name="m:1") == []
    assert names(model_id="m:1", compute_type="AKS") == names(image_name="any") == names(properties=["p"]) == []
    with pytest.raises(UserErrorException, match="'VM' is not a compute type"):
        names(compute_type="VM")


def test_images_are_filtered(ws: Workspace) -> None:
    image = {"image": "localhost:5000/team/churn:2", "image_id": "sha256:1", "image_digest": "sha256:2"}
    ws.folder.open_store().add_revision(RevisionRecord(service="on-local", outcome="live", **image))
    ws.folder.open_store().update_service("on-local", revision=2)

    def names(**filters: str) -> list[str]:
        return [service.name for service in Webservice.list(ws, **filters)]

    for name in ("localhost:5000/team/churn:2", "localhost:5000/team/churn"):
        assert names(image_name=name, image_id="sha256:1", image_digest="sha256:2") == ["on-local"]
    assert names(image_name="localhost") == names(image_name="churn") == names(image_id="sha256:2") == []
