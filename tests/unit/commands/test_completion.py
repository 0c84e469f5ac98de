"""Tab completion of command lines."""

from __future__ import annotations

from pathlib import Path

from mldeploy_jupyter import commands
from mldeploy_jupyter.commands import run
from mldeploy_jupyter.core.records import RevisionRecord, ServiceRecord
from mldeploy_jupyter.core.workspace.folder import load_workspace
from tests.unit.commands.support import make_context


def test_words_options_and_names_are_completed(folder: Path) -> None:
    (folder / "model.pkl").write_bytes(b"model")
    for name in ("churn", "cats"):
        run(["model", "register", name, "model.pkl"], context=make_context())
    ctx = make_context()
    line = commands.complete_line
    assert line(["mo"], ctx) == ["model"]
    assert line(["model", "de"], ctx) == ["delete", "deploy"]
    assert line(["service", "get"], ctx) == ["get-access-token", "get-keys", "get-logs"]
    assert line(["model", "deploy", "--over"], ctx) == ["--overwrite"]
    assert line(["model", "deploy", "--to", "a"], ctx) == []
    assert line(["model", "deploy", "--to", ""], ctx) == ["docker", "local"]
    assert line(["model", "deploy", "-m", "c"], ctx) == ["cats", "cats:1", "churn", "churn:1"]
    assert line(["model", "deploy", "-m", "cats:1", "ch"], ctx) == ["churn", "churn:1"]
    assert line(["model", "deploy", "--ae", "t"], ctx) == ["true"]
    assert line(["model", "show", "ch"], ctx) == ["churn", "churn:1"]
    assert line(["model", "register", "x", "mod"], ctx) == ["model.pkl"]
    assert line(["model", "deploy", "-ic", "mo"], ctx) == ["model.pkl"]
    assert line(["service", "show", ""], ctx) == []
    assert line(["service", "show", "a", "b"], ctx) == []
    assert line(["nothing", "x"], ctx) == []
    assert "--json" in line(["prune", "-"], ctx)


def test_a_rollback_completes_the_revisions_that_are_kept(folder: Path) -> None:
    run(["workspace", "create", "."], context=make_context())
    store = load_workspace(folder / ".mldeploy").open_store()
    for name, outcomes in (("churn", ["kept"] * 11 + ["failed", "live"]), ("cats", ["live"])):
        store.save_service(ServiceRecord(name, "local"))
        for outcome in outcomes:
            store.add_revision(RevisionRecord(name, outcome=outcome))
    ctx = make_context()
    line = commands.complete_line
    numbers = [str(number) for number in range(11, 0, -1)]
    assert line(["service", "rollback", "churn", "--revision", ""], ctx) == numbers
    assert line(["service", "rollback", "--wait", "-n", "churn", "--revision", "1"], ctx) == ["11", "10", "1"]
    assert line(["service", "rollback", "--wait", "churn", "--revision", ""], ctx) == numbers
    assert line(["service", "rollback", "--revision", "5", "ch"], ctx) == ["churn"]
    for words in (["cats", "--revision", ""], ["none", "--revision", ""], ["--revision", ""]):
        assert line(["service", "rollback", *words], ctx) == []


def test_completion_without_a_workspace(folder: Path) -> None:
    assert commands.complete_line(["model", "show", ""], make_context()) == []
    assert not (folder / ".mldeploy").exists()


def test_names_are_those_of_the_workspace_that_the_line_names(folder: Path) -> None:
    (folder / "model.pkl").write_bytes(b"model")
    for name in ("here", "there"):
        (folder / name).mkdir()
        run(["workspace", "create", name, "--name", f"{name}-ws"], context=make_context())
        run(["model", "register", f"{name}-model", "model.pkl", "-w", name], context=make_context())
    ctx = make_context()
    line = commands.complete_line
    for option in (["-w", "there"], ["--path", "./there"], ["--path=there"], ["--workspace-name", "there-ws"]):
        assert line(["model", "deploy", "x", *option, "-m", "t"], ctx) == ["there-model", "there-model:1"]
        assert line(["model", "deploy", "x", *option, "-m", "h"], ctx) == []
    assert line(["model", "show", "-w", "th"], ctx) == ["there-ws", "there/"]
    assert line(["service", "show", "-w", "mo"], ctx) == []  # a file is not a workspace
    assert line(["service", "show", "-w", "nowhere", ""], ctx) == []
