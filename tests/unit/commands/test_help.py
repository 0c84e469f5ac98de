"""The overview of all commands."""

from __future__ import annotations

from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.commands import COMMANDS, run
from mldeploy_jupyter.commands.options import OTHER_TARGETS
from tests.unit.commands.support import make_context


def test_the_help_fits_on_a_screen_and_help_all_has_the_rest() -> None:
    for item in COMMANDS:
        short = run([*item.path, "--help"], context=make_context()).text
        assert len(short.splitlines()) <= 50, item.name
        assert "Accepted as in v1" not in short and OTHER_TARGETS not in short and "--help-all" in short
    every = run(["model", "deploy", "--help-all"], context=make_context()).text
    headings = [line for line in every.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings == [
        "Options:",
        "Script and environment:",
        "Settings of the target:",
        "Common options:",
        "Not in this version: settings of ACI and AKS:",
        "Not in this version: settings of ACI:",
        "Not in this version: settings of AKS:",
        "Not in this version: settings of AKS endpoints:",
        "Example:",
    ]
    assert "{local,docker}" in every and "local,aci" not in every


def test_overview(snapshot: SnapshotAssertion) -> None:
    assert run([], context=make_context()).text == snapshot
    assert (
        run(["--help"], context=make_context()).text
        == run(["help"], context=make_context()).text
        == run([], context=make_context()).text
    )
    assert "service list" not in run(["model", "--help"], context=make_context()).text
    assert run(["help", "prune"], context=make_context()).text == run(["prune", "--help"], context=make_context()).text
