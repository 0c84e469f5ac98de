"""The words of a timeline, for views that draw states and durations themselves."""

from __future__ import annotations

from datetime import UTC

import pytest

from mldeploy_jupyter.core.journal import fold
from mldeploy_jupyter.core.journal.wording import describe_end, describe_stage, target_title
from tests.unit.core.journal.journals import JOURNALS, begun, running


def test_what_stands_beside_a_stage() -> None:
    timeline = fold(running().events)
    details = {stage.id: describe_stage(stage, timeline) for stage in timeline.stages}
    assert details == {
        "check": "score.py, diabetes:7, schema from the sample",
        "bundle": "14 files, 3.1 MB",
        "environment": "412 of 660 MB",
        "push": "no image is needed: this machine runs the bundle itself",
        "rollout": "",
        "probe": "",
        "switch": "",
    }


def test_a_running_stage_shows_its_last_line() -> None:
    timeline = fold(begun().at(1, "rollout", "started").at(2, "rollout", "log", "loading\x1b[2J the model").events)
    stage = timeline.stage("rollout")
    assert stage is not None and describe_stage(stage, timeline) == "loading the model"


def test_the_switch_names_the_revision_that_serves() -> None:
    timeline = fold(begun(serving=2).events)
    switch = timeline.stages[-1]
    assert describe_stage(switch, timeline) == "from revision 2"
    switch.status = "Not reached"
    assert describe_stage(switch, timeline) == "traffic stays on revision 2"


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (
            "cancelled",
            "It was cancelled at 14:00 in Environment. Revision 2 keeps serving. "
            "What was made is used again next time.",
        ),
        (
            "interrupted",
            "Its runner ended at 14:00 in Environment without finishing, for example because the machine restarted. "
            "Nothing serves. Deploy again: what was made is used again.",
        ),
        ("live", ""),
        ("failed", ""),
        ("running", ""),
    ],
)
def test_the_end_in_one_line(state: str, text: str) -> None:
    assert describe_end(fold(JOURNALS[state].events), UTC) == text


def test_a_target_as_a_title() -> None:
    assert [target_title(name) for name in ("local", "aks", "my-target")] == ["This machine", "AKS", "My-target"]
