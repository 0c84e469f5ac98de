"""What an update and a notebook's deployment keep of the revision that serves."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mldeploy_jupyter.api.environments import Environment
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.commands import Args, UsageError
from mldeploy_jupyter.commands.script_defaults import fill_script, keep_environment
from tests.unit.commands.support import make_context, parse_line


def args_of(line: str) -> Args:
    return parse_line("service update", line)


def revision(**inference: Any) -> Any:
    return SimpleNamespace(inference_config=inference)


def test_a_script_alone_keeps_the_environment(folder: Path) -> None:
    args = args_of("churn --entry-script new.py")
    fill_script(make_context(), args, revision(conda_file="/c.yml"))
    assert (args.entry_script, args.conda_file) == ("new.py", "/c.yml")


def test_an_environment_alone_keeps_the_script_and_its_source_directory(folder: Path) -> None:
    (folder / "src").mkdir()
    script = folder / "src" / "score.py"
    script.touch()
    args = args_of("churn --requirements r.txt")
    source = str(folder / "src")
    fill_script(
        make_context(), args, revision(entry_path=str(script), entry_script="score.py", source_directory=source)
    )
    assert (args.entry_script, args.source_directory, args.conda_file) == ("score.py", source, None)


def test_a_registered_environment_is_kept_by_its_name_and_another_is_refused(folder: Path) -> None:
    ws = Workspace.create("w", path=str(folder))
    environment = Environment("env")
    environment.register(ws)
    registered = Environment.get(ws, "env")
    args = args_of("churn --entry-script new.py")
    keep_environment(make_context(), args, revision(environment_definition=registered.to_dict()))
    assert (args.environment_name, args.environment_version) == ("env", str(registered.version))
    other = {**Environment("other").to_dict()}
    with pytest.raises(UsageError, match="churn cannot keep its environment here"):
        keep_environment(make_context(), args_of("churn --entry-script new.py"), revision(environment_definition=other))
