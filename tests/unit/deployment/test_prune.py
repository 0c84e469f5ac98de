"""Prune removes what nothing needs, and nothing else."""

from __future__ import annotations

import os
import shutil
import time
from io import StringIO
from pathlib import Path

import pytest

from mldeploy_jupyter import environments, prune
from mldeploy_jupyter.api.models import Model
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.commands import Context, open_workspace, run
from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.core.records import DeploymentRecord, RevisionRecord, ServiceRecord
from mldeploy_jupyter.core.store import database
from mldeploy_jupyter.core.workspace.folder import create_workspace
from mldeploy_jupyter.core.workspace.known_workspaces import index_path
from mldeploy_jupyter.deployment.prune import PruneReport, prune_workspace

ELSEWHERE = {"pid": 1, "started": "1", "host": "another/machine"}


def later() -> float:
    return time.time() + 7200


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """What the environments' room is told to keep."""
    calls: list[set[str]] = []
    monkeypatch.setattr(environments, "sweep", lambda used: calls.append(used) or 3)
    return calls


@pytest.fixture
def ws(folder: Path, used: list[set[str]], monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("MLDEPLOY_HOME", str(folder / "home"))
    ws = Workspace.create("test")
    place, store, artifacts = ws.folder, ws.folder.open_store(), ws.folder.open_artifacts()
    for number in range(1, 6):
        id = f"d{number}"
        store.add_deployment(DeploymentRecord(id, "svc", "local", state="live", created_time=f"2026-01-0{number}"))
        outcome = "live" if number == 1 else "kept" if number < 5 else "failed"
        store.add_revision(
            RevisionRecord(
                "svc",
                bundle_digest=f"bundle{number}",
                deployment_id=id,
                outcome=outcome,
                environment={"digest": f"e{number}"},
            )
        )
        for path in (place.deployments / id, place.bundles / f"bundle{number}"):
            path.mkdir(parents=True)
            (path / "file").write_bytes(b"12345")
        artifacts.put_bytes(f"journals/{id}.jsonl", b"{}\n")
    store.save_service(ServiceRecord("svc", "local", "Local", revision=1, deployment_id="d1"))
    for name in ("svc", "deleted"):
        (place.services / name).mkdir(parents=True)
    for name, content in (("kept.pkl", b"kept"), ("gone.pkl", b"gone!")):
        (folder / name).write_bytes(content)
        Model.register(ws, name, name)
    Model.get_model_path("gone.pkl")
    Model(ws, "gone.pkl").delete()
    return ws


def content(ws: Workspace) -> dict[str, list[str]]:
    root = ws.folder.root
    return {name: sorted(os.listdir(root / name)) for name in ("deployments", "bundles", "services")}


def test_prune_keeps_what_serves_and_the_newest_deployments(ws: Workspace, used: list[set[str]]) -> None:
    before = content(ws)
    planned = prune_workspace(ws.folder, keep_deployments=2, dry_run=True, clock=later)
    assert content(ws) == before and used == []
    report = prune_workspace(ws.folder, keep_deployments=2, clock=later)
    # d1 serves still; d4 and d5 are the newest two; bundle5 belongs to a failed revision.
    assert content(ws) == {
        "deployments": ["d1", "d4", "d5"],
        "bundles": ["bundle1", "bundle4"],
        "services": ["svc"],
    }
    store, artifacts = ws.folder.open_store(), ws.folder.open_artifacts()
    assert [record.id for record in store.list_deployments()] == ["d5", "d4", "d1"]
    assert artifacts.read_bytes("journals/d1.jsonl") and not artifacts.read_bytes("journals/d2.jsonl")
    assert (report.deployments, report.bundles, report.services, report.blobs, report.environments) == (2, 3, 1, 1, 3)
    assert (planned.deployments, planned.bundles, planned.services, planned.blobs) == (2, 3, 1, 1)
    assert used == [{"e1", "e2", "e3", "e4", "e5"}]
    assert Model(ws, "kept.pkl").download("out") == "out/kept.pkl"
    assert not (ws.folder.root / "cache" / "models" / "gone.pkl" / "1").exists()
    again = prune_workspace(ws.folder, keep_deployments=2, clock=later)
    assert (again.deployments, again.bundles, again.services, again.blobs, again.bytes) == (0, 0, 0, 0, 0)


def test_prune_keeps_fresh_files_of_deployments_without_a_record(ws: Workspace) -> None:
    (ws.folder.deployments / "unknown").mkdir()
    prune_workspace(ws.folder, keep_deployments=20)
    assert content(ws)["bundles"] == [f"bundle{number}" for number in range(1, 6)]
    assert content(ws)["services"] == ["deleted", "svc"]
    assert "unknown" in content(ws)["deployments"]
    prune_workspace(ws.folder, keep_deployments=20, clock=later)
    assert "unknown" not in content(ws)["deployments"]


def test_no_model_file_is_removed_while_a_record_is_damaged(ws: Workspace) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(ws.folder.root / "store.db")) as store:
        store.execute("UPDATE mldeploy_models SET data = '{\"files\": 5}' WHERE name = 'kept.pkl'")
        store.commit()
    report = prune_workspace(ws.folder, clock=later)
    assert report.blobs == 0 and "the record of model kept.pkl:1 in the store is damaged" in str(report)
    Model(ws, "kept.pkl").delete()
    assert prune_workspace(ws.folder, clock=later).blobs == 1  # which files the damaged record had is not known
    assert prune_workspace(ws.folder, unknown_files=True, clock=later).blobs == 1


def test_a_running_deployment_keeps_everything_it_may_use(ws: Workspace, used: list[set[str]]) -> None:
    store = ws.folder.open_store()
    store.update_deployment("d2", state="running", runner=ELSEWHERE)
    store.leases.acquire("svc", "d2", 600, ELSEWHERE)
    prune_workspace(ws.folder, keep_deployments=1, clock=later)
    assert content(ws)["deployments"] == ["d1", "d2", "d5"]
    assert len(content(ws)["bundles"]) == 5 and used == []
    store.leases.release("svc", "d2")  # its runner died
    prune_workspace(ws.folder, keep_deployments=1, clock=later)
    assert content(ws)["deployments"] == ["d1", "d5"]
    assert content(ws)["bundles"] == ["bundle1"] and len(used) == 1


def test_keeping_no_deployments_keeps_what_serves_or_runs(ws: Workspace) -> None:
    store = ws.folder.open_store()
    store.update_service("svc", deployment_id="d5")  # the last one failed; revision 1 of d1 serves still
    store.update_deployment("d3", state="running", runner=ELSEWHERE)
    store.leases.acquire("svc", "d3", 600, ELSEWHERE)
    context = Context(open_workspace, out=StringIO(), err=StringIO())
    by_words = run(["prune", "--keep-deployments", "0", "--dry-run"], context=context)
    assert by_words.data["deployments"] == 2
    report = prune_workspace(ws.folder, keep_deployments=0, clock=later)
    assert report.deployments == 2
    assert content(ws)["deployments"] == ["d1", "d3", "d5"]
    assert "bundle1" in content(ws)["bundles"]
    assert [record.id for record in store.list_deployments()] == ["d5", "d3", "d1"]


def test_environments_of_a_workspace_that_cannot_be_asked_are_kept(ws: Workspace, used: list[set[str]]) -> None:
    Workspace.create("broken", path="broken", store="sqlite:////nowhere/store.db")
    report = prune_workspace(ws.folder)
    assert used == [] and report.environments == 0
    assert str(report).startswith("Nothing to remove\nEnvironments were left alone: workspace ") or report.blobs
    assert "broken/.mldeploy" in report.notes[0]


def test_pruning_does_not_create_a_workspace(folder: Path) -> None:
    assert prune(Workspace()) == PruneReport()  # the public function
    assert os.listdir(folder) == []


def test_the_report_reads_well() -> None:
    assert str(PruneReport()) == "Nothing to remove"
    report = PruneReport(deployments=1, bundles=2, blobs=1, bytes=2_500_000)
    assert str(report) == "Removed 1 deployment, 2 bundles, 1 model file (2.5 MB)"
    assert str(PruneReport(services=1, dry_run=True)).startswith("Would remove 1 folder of a deleted service")


@pytest.mark.parametrize("keep", [-1, 1.5, True, "20"])
def test_the_number_to_keep_is_checked(folder: Path, keep: object) -> None:
    with pytest.raises(UserErrorException, match="whole number of at least 0"):
        prune(Workspace.create(), keep_deployments=keep)  # type: ignore[arg-type]


def test_environments_stay_while_the_workspaces_that_use_them_are_not_known(
    ws: Workspace, used: list[set[str]]
) -> None:
    other = create_workspace(Path("other"))
    (other.root / "config.json").write_text("{")
    assert str(other.root / "config.json") in str(prune_workspace(ws.folder)) and used == []
    shutil.rmtree(other.root)
    index_path().write_text("garbage")
    assert str(index_path()) in str(prune_workspace(ws.folder)) and used == []


def test_a_row_that_no_command_could_show_is_removed_and_its_id_names_no_folder(ws: Workspace) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(ws.folder.root / "store.db")) as store:
        store.execute("UPDATE mldeploy_deployments SET id = '../..' WHERE id = 'd2'")
        store.execute("UPDATE mldeploy_deployments SET id = x'ff' WHERE id = 'd3'")
        store.commit()
    report = prune_workspace(ws.folder, keep_deployments=0, clock=time.time)
    assert "Removed 2 damaged rows" in str(report)
    assert (ws.folder.root / "store.db").exists() and (ws.folder.deployments / "d2").exists()


def test_files_that_another_copy_of_the_store_may_know_stay_for_a_week(ws: Workspace) -> None:
    """A store that was lost is new, and knows nothing of what was registered before it."""
    root, store, week = ws.folder.root, ws.folder.open_store(), 7 * 86400
    backup = root.parent / "backup.db"
    store.close()
    database._close_all()
    shutil.copyfile(root / "store.db", backup)
    for path in root.glob("store.db*"):
        path.unlink()
    long_ago = time.time() - 30 * 86400
    for path in (*root.glob("bundles/*"), *root.glob("deployments/*"), *root.glob("artifacts/blobs/*/*")):
        os.utime(path, (long_ago, long_ago))
    for service in ws.folder.services.iterdir():
        service.rmdir()
    before = content(ws)
    for dry_run in (True, False):
        report = prune_workspace(ws.folder, keep_deployments=0, dry_run=dry_run, clock=later)
        assert (report.deployments, report.bundles, report.blobs) == (0, 0, 0)
        assert report.notes == (
            "Kept 2 model files and 10 folders that this store does not know, but a backup of it may. "
            "They are removed after a week, or now with: mldeploy prune --unknown-files",
        )
    assert content(ws) == before
    database._close_all()
    for path in root.glob("store.db*"):
        path.unlink()
    shutil.copyfile(backup, root / "store.db")  # it was found again
    assert Model(ws, "kept.pkl").download(str(root.parent / "out"), exist_ok=True)
    assert prune_workspace(ws.folder, clock=later).blobs == 1  # that of the model that was deleted
    for path in root.glob("store.db*"):
        path.unlink()
    assert prune_workspace(ws.folder, clock=lambda: time.time() + week + 60).blobs == 1


def test_unknown_files_are_removed_when_asked_for(ws: Workspace) -> None:
    root = ws.folder.root
    database._close_all()
    for path in root.glob("store.db*"):
        path.unlink()
    report = prune_workspace(ws.folder, unknown_files=True, clock=later)
    assert (report.blobs, report.notes) == (2, ()) and content(ws)["bundles"] == []
