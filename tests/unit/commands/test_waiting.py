"""Waiting for a deployment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.commands.waiting import finish
from tests.unit.commands.support import check_usage_error, make_context, parse_line

WRONG = [
    "model deploy x -m m:1 --es score.py --wait --no-wait",
    "service update x --wait --no-wait",
    "service reload x --wait --no-wait",
    "service rollback x --wait --no-wait",
]


@pytest.mark.parametrize("line", WRONG)
def test_usage_errors(line: str, folder: Path, snapshot: SnapshotAssertion) -> None:
    check_usage_error(line, folder, snapshot)


class Service:
    """The attributes of a service that the result of a command reads."""

    name, shown_state = "churn", "Live"

    def serialize(self) -> dict[str, str]:
        return {"computeType": "Local"}


@pytest.mark.parametrize(
    ("options", "default", "waits"),
    [("", True, True), ("", False, False), ("--wait", False, True), ("--no-wait", True, False)],
)
def test_the_front_end_shows_the_deployment_and_options_decide_about_waiting(
    options: str, default: bool, waits: bool
) -> None:
    shown: list[tuple[Any, bool, float | None]] = []
    context = make_context(show_deployment=lambda *given: shown.append(given))
    context.wait_by_default = default
    service = Service()
    args = parse_line("service reload", f"churn --timeout-sec 2 {options}")
    result = finish(context, args, service, "service.reload()")
    assert shown == [(service, waits, 2.0)]
    assert ("Live" in result.text) is waits and ("is being deployed" in result.text) is not waits
