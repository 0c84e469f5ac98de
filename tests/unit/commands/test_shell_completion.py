"""`mldeploy completion`, and what its scripts ask for."""

from __future__ import annotations

from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.commands import Command, run, shell_completion
from tests.unit.commands.support import check_help, make_context


@pytest.mark.parametrize("item", shell_completion.COMMANDS, ids=lambda item: item.name)
def test_help(item: Command, snapshot: SnapshotAssertion) -> None:
    check_help(item, snapshot)


def test_completions_are_printed_one_a_line(folder: Path) -> None:
    run(["workspace", "create"], context=make_context())
    assert run(["__complete", "--", "model", "de"], context=make_context()).text == "delete\ndeploy"
    assert run(["__complete", "--", "completion", ""], context=make_context()).text == "bash\nfish\nzsh"
    assert run(["__complete", "--", "nothing", ""], context=make_context()).text == ""
