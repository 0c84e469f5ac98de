"""Runs command lines as tests do: without a terminal, without waiting, and with the notes kept."""

from __future__ import annotations

import io
import shlex
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.commands import Args, Command, Context, Result, UsageError, command, open_workspace, parse, run


def make_context(**more: Any) -> Context:
    return Context(
        open_workspace, out=io.StringIO(), err=io.StringIO(), stdin=io.StringIO(), wait_by_default=False, **more
    )


def notes(context: Context) -> str:
    """What a command wrote beside its result."""
    assert isinstance(context.err, io.StringIO)
    return context.err.getvalue()


def run_line(line: str, context: Context | None = None) -> Result:
    return run(shlex.split(line), context=context or make_context())


def parse_line(path: str, line: str) -> Args:
    """The arguments of the command `path`, such as "model deploy"."""
    return parse(command(*path.split()), shlex.split(line))


def check_help(item: Command, snapshot: SnapshotAssertion) -> None:
    text = run([*item.path, "--help"], context=make_context()).text
    assert text == snapshot
    assert run([*item.path, "-h"], context=make_context()).text == text
    assert all(param.display_name in text for param in item.all_params if not param.advanced)
    every = run([*item.path, "--help-all"], context=make_context()).text
    assert all(flag in every for param in item.all_params for flag in param.flags)


def check_usage_error(line: str, folder: Path, snapshot: SnapshotAssertion) -> None:
    """Three lines in the form of all errors: a lower-case start, no full stop. Nothing is left behind."""
    with pytest.raises(UsageError) as caught:
        run_line(line)
    text = str(caught.value)
    assert text == snapshot
    assert text.count("\n") == 2
    for part in text.splitlines():
        words = part.partition(": ")[2]
        assert not words[0].isupper() and not words.endswith("."), part
    assert not (folder / ".mldeploy").exists()
