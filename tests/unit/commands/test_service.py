"""`mldeploy service ...`, except `service update`."""

from __future__ import annotations

from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.commands import Command, service
from tests.unit.commands.support import check_help, check_usage_error

WRONG = [
    "service show",
    "service run churn",
    "service run churn -d 1 --data x",
    "service run churn --data missing.json",
    "service run churn -d nope.json",
    "service run churn -d data/nope.CSV",
    "service regen-key churn -k third",
    "service get-logs churn -l -1",
]


@pytest.mark.parametrize("item", service.COMMANDS, ids=lambda item: item.name)
def test_help(item: Command, snapshot: SnapshotAssertion) -> None:
    check_help(item, snapshot)


@pytest.mark.parametrize("line", WRONG)
def test_usage_errors(line: str, folder: Path, snapshot: SnapshotAssertion) -> None:
    check_usage_error(line, folder, snapshot)
