"""What `migrate()` was asked for: remembered, taken back, said once."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.core import migration
from mldeploy_jupyter.core.migration import Migration


def test_the_options_last_until_they_are_taken_back() -> None:
    assert migration.current() is None and not migration.is_local() and not migration.uses_kernel_python()
    migration.begin(Migration(local=True))
    assert migration.is_local() and not migration.uses_kernel_python()
    migration.begin(Migration(kernel_python=True))
    assert not migration.is_local() and migration.uses_kernel_python()
    migration.compute_targets["ws"] = {"aks": object()}
    migration.end()
    assert migration.current() is None and not migration.compute_targets


def test_a_line_is_said_once_until_the_migration_ends(capsys: pytest.CaptureFixture[str]) -> None:
    migration.say_once("a")
    migration.say_once("a")
    migration.end()
    migration.say_once("a")
    migration.end()
    assert capsys.readouterr().out == "a\na\n"
