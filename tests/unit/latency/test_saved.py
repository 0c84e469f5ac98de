from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder, create_workspace
from mldeploy_jupyter.latency.measuring import Ending
from mldeploy_jupyter.latency.plan import LatencyPlan, PlannedService
from mldeploy_jupyter.latency.recording import RECORD
from mldeploy_jupyter.latency.saved import (
    RUN_FILE,
    RunNotFound,
    SavedRun,
    create_run,
    finish_run,
    list_runs,
    prune_runs,
    read_run,
)

PLAN = LatencyPlan((PlannedService("ridge", "http://127.0.0.1:1/score"),))
OTHER = LatencyPlan((PlannedService("other", "http://127.0.0.1:2/score"),))
ENDING = Ending("finished", rate=100.0, lag={"p99": 0.2}, notes=[{"time": 1.0, "service": 0, "text": "x"}])


@pytest.fixture
def workspace(folder: Path) -> WorkspaceFolder:
    return create_workspace(folder)


def test_a_run_is_kept_with_its_ending(workspace: WorkspaceFolder) -> None:
    begun = create_run(workspace, PLAN)
    assert read_run(workspace, begun.id).running and read_run(workspace, begun.id).ending is None
    finish_run(begun, ENDING, summary=[{"p50": 1.0}])
    found = read_run(workspace, begun.id)
    assert (found.plan, found.ending, found.running) == (PLAN, ENDING, False)
    assert found.more == {"summary": [{"p50": 1.0}]} and found.begun == begun.begun


def test_nobody_else_can_read_a_run(workspace: WorkspaceFolder) -> None:
    run = create_run(workspace, PLAN)
    assert run.path.stat().st_mode & 0o77 == 0 and (run.path / RUN_FILE).stat().st_mode & 0o77 == 0


def test_samples_are_read_from_the_run(workspace: WorkspaceFolder) -> None:
    run = create_run(workspace, PLAN)
    assert len(run.read_samples()) == 0
    run.samples_path.write_bytes(bytes(RECORD.size * 3))
    assert len(run.read_samples(skip=1)) == 2


def test_runs_are_listed_newest_first_and_by_service(workspace: WorkspaceFolder) -> None:
    assert list_runs(workspace) == []
    older, newer = _numbered(workspace, PLAN, 1), _numbered(workspace, OTHER, 2)
    assert [run.id for run in list_runs(workspace)] == [newer, older]
    assert [run.id for run in list_runs(workspace, "ridge")] == [older]


def test_a_run_whose_process_died_is_interrupted(workspace: WorkspaceFolder) -> None:
    run = create_run(workspace, PLAN)
    dead = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    _change(run, process=process_identity.identify_process(dead.pid))
    assert read_run(workspace, run.id).running
    dead.communicate(b"\n")
    found = read_run(workspace, run.id)
    assert not found.running and found.ending is None


def test_a_run_that_is_older_than_its_limit_does_not_go_on(workspace: WorkspaceFolder) -> None:
    run = create_run(workspace, PLAN)
    _change(run, begun="2020-01-31T12:00:00.000Z")
    assert not read_run(workspace, run.id).running


def test_old_runs_are_removed_but_not_one_that_goes_on(workspace: WorkspaceFolder) -> None:
    going = create_run(workspace, PLAN)
    going.path.rename(going.path.with_name("20200101T000000-aaaaaa"))
    ids = [_numbered(workspace, PLAN, number) for number in range(1, 6)]
    assert prune_runs(workspace, keep=2) == [ids[2], ids[1], ids[0]]
    assert [run.id for run in list_runs(workspace)] == [ids[4], ids[3], "20200101T000000-aaaaaa"]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"plan": {"services": 3}, "begun": "x"}', b"\xff"])
def test_a_damaged_run_hides_no_other(workspace: WorkspaceFolder, content: bytes) -> None:
    good, bad = _numbered(workspace, PLAN, 1), create_run(workspace, PLAN)
    (bad.path / RUN_FILE).write_bytes(content)
    assert [run.id for run in list_runs(workspace)] == [good]
    with pytest.raises(RunNotFound):
        read_run(workspace, bad.id)


@pytest.mark.parametrize("run_id", ["20200101T000000-aaaaaa", "../../config"])
def test_there_is_no_such_run(workspace: WorkspaceFolder, run_id: str, snapshot: SnapshotAssertion) -> None:
    with pytest.raises(RunNotFound) as caught:
        read_run(workspace, run_id)
    assert str(caught.value) == snapshot


def _numbered(workspace: WorkspaceFolder, plan: LatencyPlan, number: int) -> str:
    """A finished run whose id says that it began on a day of its own."""
    run = create_run(workspace, plan)
    finish_run(run, ENDING)
    name = f"2021010{number}T000000-bbbbbb"
    run.path.rename(run.path.with_name(name))
    return name


def _change(run: SavedRun, **fields: object) -> None:
    path = run.path / RUN_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
