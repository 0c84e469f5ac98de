from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from mldeploy_jupyter.core.journal.journal import Event, Journal, read_events
from mldeploy_jupyter.deployment.stages import Stages


@pytest.fixture
def stages(tmp_path: Path) -> Iterator[Stages]:
    ticks = count()
    journal = Journal(tmp_path / "e.jsonl")
    yield Stages(journal, clock=lambda: float(next(ticks)))
    journal.close()


def written(tmp_path: Path) -> list[Event]:
    return list(read_events(tmp_path / "e.jsonl"))


def test_a_stage_is_opened_and_closed_once_with_its_duration(stages: Stages, tmp_path: Path) -> None:
    with stages.stage("check"):
        stages.emit("check", "started")
        stages.emit("check", "log", "looking")
    stages.emit("check", "finished")
    events = written(tmp_path)
    assert [(e.kind, e.text) for e in events] == [("started", ""), ("log", "looking"), ("finished", "")]
    assert events[-1].data["seconds"] > 0


def test_an_exception_leaves_the_stage_open_for_fail(stages: Stages, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), stages.stage("bundle"):
        raise RuntimeError
    stages.fail("the disk is full")
    stages.fail("a second time")
    assert [(e.stage, e.kind, e.text) for e in written(tmp_path)] == [
        ("bundle", "started", ""),
        ("bundle", "failed", "the disk is full"),
    ]


def test_failing_between_stages_closes_none(stages: Stages, tmp_path: Path) -> None:
    with stages.stage("check"):
        pass
    stages.fail("late")
    assert [e.kind for e in written(tmp_path)] == ["started", "finished"]


def test_a_target_may_give_its_own_duration(stages: Stages, tmp_path: Path) -> None:
    stages.emit("rollout", "started")
    stages.emit("rollout", "finished", seconds=0.125)
    assert written(tmp_path)[-1].data == {"seconds": 0.125}
