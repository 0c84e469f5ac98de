"""The overview of all commands."""

from __future__ import annotations

from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.commands import run
from tests.unit.commands.support import make_context


def test_overview(snapshot: SnapshotAssertion) -> None:
    assert run([], context=make_context()).text == snapshot
    assert (
        run(["--help"], context=make_context()).text
        == run(["help"], context=make_context()).text
        == run([], context=make_context()).text
    )
    assert "service list" not in run(["model", "--help"], context=make_context()).text
    assert run(["help", "prune"], context=make_context()).text == run(["prune", "--help"], context=make_context()).text
