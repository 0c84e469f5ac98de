"""What `%deploy` and `%update` take from the session: only what belongs to the workspace that they work in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.commands import Args, command, parse
from mldeploy_jupyter.core.errors import EntryScriptError, MldeployError
from mldeploy_jupyter.core.script.notebook_cells import CellRecord, find_cell, save_cell, script_digest
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder, load_workspace
from mldeploy_jupyter.notebook import deploy, deploy_defaults
from mldeploy_jupyter.notebook.dispatch import make_context, run_magic
from mldeploy_jupyter.notebook.magics import magics
from mldeploy_jupyter.notebook.session import FailedCheck, Session, registered_models

SCRIPT = "def init(): pass\ndef run(data): return data\n"


@pytest.fixture
def workspaces(folder: Path, session: Session) -> tuple[WorkspaceFolder, WorkspaceFolder]:
    """Two workspaces, of the current folder and of its folder `other`, each with a model that was registered here."""
    (folder / "model.pkl").write_bytes(b"model")
    (folder / "other").mkdir()
    _run(session, "mldeploy", "workspace create . --name here")
    _run(session, "mldeploy", "workspace create other --name other")
    _run(session, "register", "there model.pkl -w other")
    _run(session, "register", "here model.pkl")
    return load_workspace(folder / ".mldeploy"), load_workspace(folder / "other" / ".mldeploy")


def _run(session: Session, name: str, line: str, cell: str | None = None) -> Any:
    return run_magic(session, next(magic for magic in magics(session) if magic.name == name), line, cell)


def _args(**given: Any) -> Args:
    return Args(**{"path": None, "model": None, "name": "churn", **given})


def _chosen(session: Session, path: str | None) -> tuple[list[str], str]:
    service = deploy._identity(make_context(session), _args(path=path))
    return deploy_defaults.choose_models(session, service, session.script, registered_models(path), None, None)


@pytest.mark.parametrize(("path", "model"), [(None, "here:1"), ("other", "there:1"), ("./other", "there:1")])
def test_the_default_model_is_of_the_workspace_that_is_named(
    session: Session, workspaces: object, path: str | None, model: str
) -> None:
    assert _chosen(session, path) == ([model], "registered last in this session")


def test_models_of_a_check_are_meant_for_its_workspace(
    session: Session, workspaces: tuple[WorkspaceFolder, WorkspaceFolder]
) -> None:
    _run(session, "entry_script", "--no-check -w other -m there", SCRIPT)
    assert _chosen(session, None)[0] == ["here:1"]
    assert _chosen(session, "other")[0] == ["there"]


def test_a_failed_check_is_about_the_models_of_its_workspace(
    session: Session, folder: Path, workspaces: tuple[WorkspaceFolder, WorkspaceFolder]
) -> None:
    script = folder / "score.py"
    script.write_text(SCRIPT)
    session.failed_check = FailedCheck(script, SCRIPT, "no such file", models=("m:1",), workspace=workspaces[0].id)

    def refuse(**given: Any) -> None:
        deploy._refuse_failed_script(session, make_context(session), _args(**given), script, "%deploy churn")

    for given in ({}, {"model": ["m:1"]}, {"path": "other"}):
        with pytest.raises(EntryScriptError):
            refuse(**given)
    refuse(model=["m:1"], path="other")
    refuse(model=["m:2"])


def test_the_cell_goes_along_to_the_workspace_of_the_service(
    session: Session, folder: Path, workspaces: tuple[WorkspaceFolder, WorkspaceFolder]
) -> None:
    here, other = workspaces
    _run(session, "entry_script", "--no-check", SCRIPT)
    digest = script_digest(SCRIPT)
    assert find_cell(other.cells, digest) is None
    deploy._take_cell_along(session, make_context(session), _args(path="other"), folder / "score.py")
    found, own = find_cell(other.cells, digest), find_cell(here.cells, digest)
    assert found is not None and own is not None and found.source == own.source


def test_another_notebook_that_changed_the_script_is_named_for_another_workspace_too(
    session: Session, folder: Path, workspaces: tuple[WorkspaceFolder, WorkspaceFolder]
) -> None:
    _run(session, "entry_script", "--no-check", SCRIPT)
    changed = SCRIPT + "# changed\n"
    (folder / "score.py").write_text(changed)
    record = CellRecord(script_digest(changed), str(folder / "score.py"), changed, notebook="b.ipynb")
    save_cell(workspaces[0].cells, record)
    with pytest.raises(EntryScriptError, match=r"b\.ipynb"):
        deploy._refuse_changed_script(
            session, make_context(session), _args(path="other"), folder / "score.py", "%deploy churn"
        )


def test_replay_alone_reads_the_script_again(session: Session, folder: Path) -> None:
    base = command("service", "update")
    for line, changes in (("churn --replay", False), ("churn --replay --wait", False), ("churn --replay -m m", True)):
        args = parse(base, line.split())
        assert deploy._fill_update(session, make_context(session), args, base) is changes


def test_a_new_script_is_meant_for_the_service_deployed_last_in_that_workspace(
    session: Session, workspaces: tuple[WorkspaceFolder, WorkspaceFolder]
) -> None:
    session.deployed = (workspaces[1].id, "churn")
    context = make_context(session)
    assert deploy._identity(context, _args(path="other")) == session.deployed
    assert deploy._identity(context, _args()) != session.deployed


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("here", "Deploying model here:1 (the service's name)"),
        ("other", "Deploying model last:1 (registered last in this session)"),
    ],
)
def test_the_command_says_which_model_it_takes(
    session: Session, workspaces: object, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    _run(session, "register", "last model.pkl")
    with pytest.raises(MldeployError, match=r"missing\.py"):
        _run(session, "mldeploy", f"model deploy {name} --script missing.py")
    assert said in capsys.readouterr().out
