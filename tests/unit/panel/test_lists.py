"""Lists on request: models, their deletion, and the Python for a new cell."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.records import ModelRecord, RevisionRecord, ServiceRecord
from mldeploy_jupyter.panel import PanelContext, handle
from mldeploy_jupyter.panel.lists import workspace_rows
from tests.unit.panel.conftest import Site
from tests.unit.panel.protocol import check_answer


def add_models(site: Site) -> None:
    for version in range(2):
        site.store.add_model(
            ModelRecord(
                "diabetes",
                files={"m.pkl": ["0", 5]},
                size=5 + version,
                tags={"stage": "prod"},
                model_framework="ScikitLearn",
                model_framework_version="1.5.2",
            )
        )
    site.store.add_model(ModelRecord("zebra"))
    site.store.add_revision(RevisionRecord("churn", models=["diabetes:2"], outcome="live"))
    site.store.save_service(ServiceRecord("churn", revision=1, state="Live"))


def test_models_are_listed_by_name_with_their_users(site: Site) -> None:
    add_models(site)
    diabetes, zebra = site.ask("model.list")
    assert [(one["id"], one["bytes"], one["usedBy"]) for one in diabetes["versions"]] == [
        ("diabetes:2", 6, ["churn"]),
        ("diabetes:1", 5, []),
    ]
    assert diabetes["versions"][0]["framework"] == "ScikitLearn 1.5.2"
    assert diabetes["versions"][0]["tags"] == {"stage": "prod"}
    assert (zebra["versions"][0]["framework"], zebra["versions"][0]["bytes"]) == ("", None)


def test_models_of_every_workspace_are_listed_without_one_that_cannot_be_read(site: Site, tmp_path: Path) -> None:
    add_models(site)
    bad = Workspace.create("bad", path=tmp_path / "bad")
    (bad.folder.root / "store.db").write_bytes(b"no database" * 1000)
    answer = handle("model.list", {"all": True}, PanelContext())
    check_answer("model.list", answer["result"])
    assert [row["model"] for row in answer["result"]] == ["diabetes", "zebra"]


def test_a_model_that_is_used_is_not_deleted(site: Site) -> None:
    add_models(site)
    assert site.refuse("model.delete", model="diabetes:1", confirm="diabetes")["field"] == "confirm"
    failure = site.refuse("model.delete", model="diabetes:2", confirm="diabetes:2")
    assert failure["code"] == "model-in-use" and "churn" in failure["error"]
    site.ask("model.delete", model="diabetes:1", confirm="diabetes:1")
    assert [version["id"] for version in site.ask("model.list")[0]["versions"]] == ["diabetes:2"]
    assert site.refuse("model.delete", model="diabetes:1", confirm="diabetes:1")["code"] == "not-found"


def test_a_cell_gets_the_service_or_the_model_from_anywhere(site: Site, tmp_path: Path) -> None:
    add_models(site)
    assert site.ask("service.cell", service="churn")["text"] == (
        "from mldeploy_jupyter import Webservice, Workspace\n\n"
        "ws = Workspace.from_config()\nservice = Webservice(ws, 'churn')\nservice"
    )
    elsewhere = PanelContext()
    answer = handle("model.cell", {"model": "diabetes:1", "workspace": site.folder.id}, elsewhere)
    check_answer("model.cell", answer["result"])
    names: dict[str, object] = {}
    exec(answer["result"]["text"], names)
    assert repr(str(site.folder.root.parent)) in answer["result"]["text"]
    assert getattr(names["model"], "id", "") == "diabetes:1"


def test_a_model_is_named_strictly(site: Site) -> None:
    for wrong in ("diabetes", "diabetes:0", "../x:1", "diabetes:1:2", "a" * 300 + ":1"):
        assert "must be the name:version of a model" in site.refuse("model.cell", model=wrong)["cause"]


def test_models_are_described_again_only_when_one_or_its_users_have_changed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    described: list[int] = []
    describe = workspace_rows.describe_models
    monkeypatch.setattr(workspace_rows, "describe_models", lambda *args: described.append(1) or describe(*args))
    rows = workspace_rows.WorkspaceRows(site.folder, lambda: 0.0)
    site.store.add_model(ModelRecord("diabetes"))
    site.store.save_service(ServiceRecord("zebra", workspace_id=site.folder.id))
    rows.refresh()
    before = rows.models
    site.store.update_service("zebra", tags={"team": "care"})
    rows.refresh()
    assert rows.services["zebra"]["tags"] == {"team": "care"} and rows.models is before and len(described) == 1
    revision = site.store.add_revision(RevisionRecord("zebra", models=["diabetes:1"]))
    site.store.promote_revision("zebra", revision.number)
    rows.refresh()
    assert rows.models["diabetes"]["versions"][0]["usedBy"] == ["zebra"] and len(described) == 2
    rows.close()
