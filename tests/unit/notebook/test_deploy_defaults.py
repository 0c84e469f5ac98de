"""What `%deploy NAME` takes by itself: a live service keeps what is its own, whatever else the session has deployed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mldeploy_jupyter.core.errors import EntryScriptError
from mldeploy_jupyter.core.records import (
    DeploymentRecord,
    DeploymentRequest,
    ModelRecord,
    RevisionRecord,
    ServiceRecord,
)
from mldeploy_jupyter.core.script.notebook_cells import CellRecord, save_cell, script_digest
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder, create_workspace
from mldeploy_jupyter.notebook.deploy_defaults import (
    Origin,
    choose_models,
    choose_script,
    read_origin,
    refuse_script_of_another,
)
from mldeploy_jupyter.notebook.session import Session

EARLIER, LATER = "2001-01-01T00:00:00.000Z", "9999-01-01T00:00:00.000Z"


class House:
    """A workspace with services that are live, and a session that writes and deploys scripts."""

    def __init__(self, root: Path, session: Session) -> None:
        self.root, self.session = root, session
        self.folder: WorkspaceFolder = create_workspace(root)
        self.store = self.folder.open_store()
        self.registered: list[str] = []

    def register(self, name: str) -> str:
        record = self.store.add_model(ModelRecord(name=name))
        self.registered.append(record.id)
        return record.id

    def write(self, name: str, text: str, cell_id: str = "") -> Path:
        """As `%%entry_script`."""
        path = self.root / name
        path.write_text(text)
        record = CellRecord(script_digest(text), str(path), text, cell_id=cell_id)
        self.session.cells[path] = save_cell(self.folder.cells, record)
        self.session.script, self.session.script_is_new, self.session.script_service = path, True, None
        self.session.workspace, self.session.registered_before = self.folder.id, self.registered[-1:]
        self.session.named_models, self.session.passed_models = [], []
        return path

    def deploy(self, name: str, script: Path, *models: str, live: bool = True, **source: Any) -> None:
        """The records of a deployment of the script and models, and what the session remembers of it."""
        inference = {"entry_path": str(script), "entry_script": script.name, **source}
        request = DeploymentRequest(name, "local", models=list(models), inference_config=inference).to_dict()
        id = f"{name}-{script_digest(script.read_bytes())[:8]}"
        if self.store.get_deployment(id) is None:
            self.store.add_deployment(DeploymentRecord(id, name, state="live" if live else "failed", request=request))
        service = self.store.get_service(name)
        number = service.revision + 1 if service else 1
        if live:
            bundle = self.folder.bundles / f"{name}-{number}"
            bundle.mkdir(parents=True)
            files = {"app/src/s.py": [script_digest(script.read_bytes()), 1]}
            manifest = {"source_directory": "src", "entry_script": "src/s.py", "models": [], "files": files}
            (bundle / "bundle.json").write_text(json.dumps(manifest))
            revision = RevisionRecord(name, 0, bundle.name, models=list(models), inference_config=inference)
            self.store.add_revision(replace(revision, created_time=EARLIER))
        record = ServiceRecord(name, "local", revision=number if live else 0, deployment_id=id)
        self.store.save_service(record)
        if live:
            self.store.promote_revision(name, number)
        found: Any = SimpleNamespace(name=name, deployment_id=id, workspace=SimpleNamespace(folder=self.folder))
        self.session.record_deployment(found)

    def origin(self, name: str) -> Origin | None:
        return read_origin(self.folder, name)

    def script(self, name: str) -> Path | None:
        return choose_script(self.session, (self.folder.id, name), self.origin(name))[0]

    def models(self, name: str) -> list[str]:
        script = self.script(name)
        service = (self.folder.id, name)
        return choose_models(self.session, service, script, self.registered, self.origin(name), self.store)[0]

    def refuse(self, name: str, line: str = "%deploy") -> None:
        script, origin = self.script(name), self.origin(name)
        assert script is not None and origin is not None
        refuse_script_of_another(self.folder, name, script, origin, f"{line} {name}")


@pytest.fixture
def house(folder: Path, session: Session) -> House:
    return House(folder, session)


def test_a_live_service_keeps_its_script_and_models_after_another_was_deployed(house: House) -> None:
    house.deploy("a", a := house.write("a.py", "A"), house.register("ma"))
    house.deploy("b", b := house.write("b.py", "B"), house.register("mb"))
    assert (house.script("a"), house.models("a")) == (a, ["ma:1"])
    assert (house.script("b"), house.models("b")) == (b, ["mb:1"])
    assert (house.script("new"), house.models("new")) == (b, ["mb:1"])  # as the tutorial does
    house.refuse("a")


def test_a_newer_version_of_its_models_goes_in(house: House) -> None:
    house.deploy("a", house.write("a.py", "A"), house.register("ma"), house.register("mx"))
    house.deploy("b", house.write("b.py", "B"), house.register("mb"))
    house.register("ma")
    assert house.models("a") == ["ma:2", "mx:1"]
    assert house.models("b") == ["mb:1"]


def test_a_version_that_was_there_before_does_not_undo_a_choice(house: House) -> None:
    first, second = house.register("ma"), house.register("ma")
    house.deploy("a", script := house.write("a.py", "A"), first)
    origin = house.origin("a")
    assert origin is not None and second == "ma:2"
    late = Origin(True, origin.inference_config, origin.models, LATER)
    chosen = choose_models(house.session, (house.folder.id, "a"), script, house.registered, late, house.store)
    assert chosen == (["ma:1"], "as the service has it")


def test_a_new_script_brings_the_model_registered_last_unless_another_service_has_it(house: House) -> None:
    house.deploy("a", house.write("a.py", "A"), house.register("ma"))
    house.register("forest")
    assert house.models("a") == ["ma:1"]  # nothing was written for it
    house.write("a.py", "A with forest")
    assert house.models("a") == ["forest:1"]
    house.deploy("b", house.write("b.py", "B"), "forest:1")
    house.write("a.py", "A again")
    assert house.models("a") == ["ma:1"]
    house.session.named_models = ["forest"]
    assert house.models("a") == ["forest"]


def test_a_script_that_another_service_has_is_refused(house: House) -> None:
    house.deploy("a", house.write("a.py", "A"))
    house.deploy("b", house.write("b.py", "B"))
    house.write("b.py", "B2")
    with pytest.raises(EntryScriptError) as caught:
        house.refuse("a")
    assert str(caught.value) == (
        "error: b.py is the script of b\n"
        "cause: a has a script of its own, a.py\n"
        "hint: %deploy b if you mean that; %deploy a --script b.py puts it into a, too"
    )
    house.refuse("b")
    house.write("c.py", "C")
    assert house.script("a") == house.root / "c.py"
    house.refuse("a")


@pytest.mark.parametrize("line", ["%deploy", "%update"])
def test_one_file_that_two_cells_write_is_not_mixed_up(house: House, line: str) -> None:
    house.deploy("a", house.write("score.py", "A", "cell-1"))
    house.deploy("b", house.write("score.py", "B", "cell-2"))
    with pytest.raises(EntryScriptError) as caught:
        house.refuse("a", line)
    assert str(caught.value).splitlines()[1:] == [
        "cause: it was written for that since a was deployed",
        f"hint: {line} b if you mean that; {line} a --script score.py puts it into a, too",
    ]
    house.refuse("b")
    house.write("score.py", "A", "cell-1")  # Run All, from its top
    house.refuse("a")
    house.write("score.py", "A edited", "cell-1")
    house.refuse("a")


def test_one_cell_may_go_from_one_service_to_the_next(house: House) -> None:
    house.deploy("staging", house.write("score.py", "one", "cell-1"))
    house.deploy("prod", house.root / "score.py")
    house.deploy("staging", house.write("score.py", "two", "cell-1"))
    house.refuse("prod")
    (house.root / "score.py").write_text("an editor's")  # no cell wrote it
    house.deploy("staging", house.root / "score.py")
    house.refuse("prod")


def test_a_deployment_of_another_script_does_not_make_this_one_old(house: House) -> None:
    house.deploy("a", a := house.write("a.py", "A"))
    house.deploy("b", b := house.write("b.py", "B"))
    house.write("a.py", "A2")
    house.deploy("b", b)  # --script b.py
    assert house.session.script_service is None and house.script("a") == a


def test_a_deployment_that_failed_is_tried_again_with_what_it_had(house: House) -> None:
    house.deploy("a", house.write("a.py", "A"))
    c = house.write("c.py", "C")
    id = "a-failed"
    request = DeploymentRequest("a", "local", inference_config={"entry_path": str(c)}).to_dict()
    house.store.add_deployment(DeploymentRecord(id, "a", state="failed", request=request))
    found: Any = SimpleNamespace(name="a", deployment_id=id, workspace=SimpleNamespace(folder=house.folder))
    house.session.record_deployment(found)
    assert house.script("a") == c
    house.deploy("first", first := house.write("f.py", "F"), house.register("mf"), live=False)
    house.deploy("b", house.write("b.py", "B"), house.register("mb"))
    assert (house.script("first"), house.models("first")) == (first, ["mf:1"])
    house.register("other")  # of no service
    assert house.models("first") == ["other:1"]


def test_a_script_that_is_gone_is_not_replaced(house: House) -> None:
    house.deploy("a", a := house.write("a.py", "A"))
    house.deploy("b", house.write("b.py", "B"))
    a.unlink()
    with pytest.raises(EntryScriptError, match="the script of a is gone"):
        house.script("a")


def test_a_new_service_gets_the_model_that_it_is_named_after(house: House) -> None:
    house.write("a.py", "A")
    house.register("alpha")
    house.register("big_forest")
    house.register("last")
    assert (house.models("alpha"), house.models("big-forest")) == (["alpha:1"], ["big_forest:1"])
    assert house.models("other") == ["last:1"]
    house.session.named_models = ["last:1"]  # the cell's options
    assert house.models("alpha") == ["last:1"]
