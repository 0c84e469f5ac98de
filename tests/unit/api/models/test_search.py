"""Finding models by name, version, tags, properties and framework."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.api.models import Model
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import (
    ModelNotFoundException,
)
from mldeploy_jupyter.core.records import ModelRecord

from .conftest import CollectErrors


def test_models_are_found_by_every_criterion(ws: Workspace) -> None:
    for tags in ({"stage": "dev", "n": 1}, {"stage": "prod"}, {"stage": "dev"}):
        Model.register(ws, "m.pkl", "m", tags=tags, properties={"owner": "ann"})
    Model.register(ws, "m.pkl", "other", model_framework="Onnx")
    assert Model(ws, "m").version == 3
    assert Model(ws, "m", version=1).id == Model(ws, id="m:1").id == Model(ws, "m:1").id == "m:1"
    assert Model(ws, "m", id="other:1").name == "other"
    assert Model(ws, "m", tags=[["stage", "prod"]]).version == 2
    for tags in (["n"], [["n", "1"]], [("n", 1)], {"n": 1}, {"stage": "dev", "n": "1"}):
        assert [model.id for model in Model.list(ws, tags=tags)] == ["m:1"]
    assert [model.id for model in Model.list(ws, "m", properties={"owner": "ann"})] == ["m:3", "m:2", "m:1"]
    assert [model.id for model in Model.list(ws, latest=True)] == ["other:1", "m:3"]
    assert [model.id for model in Model.list(ws, model_framework="Onnx")] == ["other:1"]
    assert Model.list(ws, tags=["nope"]) == []


def test_so_many_records_are_read_as_are_wanted(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ws.folder.open_store()
    for number in range(30):
        store.add_model(ModelRecord(f"m{number % 3}"))
    read: list[object] = []
    parse = ModelRecord.from_stored
    monkeypatch.setattr(ModelRecord, "from_stored", lambda data: read.append(data) or parse(data))
    for look, count in (
        (lambda: Model.list(ws, latest=True), 3),
        (lambda: Model.list(ws, "m1"), 10),
        (lambda: Model(ws, "m1"), 1),
        (lambda: Model(ws, "m1:4"), 1),
        (lambda: Model(ws, "m1", version=4, tags=[]), 1),
    ):
        read.clear()
        look()
        assert len(read) == count


def test_errors_list_what_there_is(ws: Workspace, folder: Path, collect_errors: CollectErrors, snapshot) -> None:
    Model.register(ws, "m.pkl", "m")
    Model.register(ws, "m.pkl", "m")
    Model.register(ws, "m.pkl", "full")
    cases = {
        "nothing asked": lambda: Model(ws),
        "not found": lambda: Model(ws, "nope"),
        "misspelled": lambda: Model(ws, "ful"),
        "version not found": lambda: Model(ws, "m", version=7),
        "version 0": lambda: Model(ws, "m", version=0),
        "tags not found": lambda: Model(ws, "m", tags=["a", ["b", "c"]], run_id="r"),
        "id": lambda: Model(ws, id="m"),
        "version": lambda: Model(ws, "m", version="one"),  # type: ignore[arg-type]
        "filter": lambda: Model.list(ws, tags="a"),
        "filter item": lambda: Model.list(ws, tags=[["a", "b", "c"]]),
        "name number": lambda: Model(ws, 5),  # type: ignore[arg-type]
        "id number": lambda: Model(ws, id=5),  # type: ignore[arg-type]
        "list name": lambda: Model.list(ws, name=5),  # type: ignore[arg-type]
        "page_count": lambda: Model.list(ws, page_count=19),
    }
    assert collect_errors(cases) == snapshot
    with pytest.raises(ModelNotFoundException) as caught:
        Model(ws, "nope")
    assert caught.value.message.startswith("ModelNotFound")
