"""Waiting for a deployment."""

from __future__ import annotations

from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.unit.commands.support import check_usage_error

WRONG = [
    "model deploy x -m m:1 --es score.py --wait --no-wait",
    "service update x --wait --no-wait",
    "service reload x --wait --no-wait",
    "service rollback x --wait --no-wait",
]


@pytest.mark.parametrize("line", WRONG)
def test_usage_errors(line: str, folder: Path, snapshot: SnapshotAssertion) -> None:
    check_usage_error(line, folder, snapshot)
