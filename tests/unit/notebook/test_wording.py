"""Messages in a notebook's words."""

from __future__ import annotations

import importlib.util
import sys

import pytest
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.commands import COMMANDS, UsageError
from mldeploy_jupyter.core.errors import RunEnvironmentException
from mldeploy_jupyter.core.text import in_ipython_words
from mldeploy_jupyter.notebook.magics import magics
from mldeploy_jupyter.notebook.session import Session
from mldeploy_jupyter.notebook.wording import (
    SHORT_MAGICS,
    in_magic_words,
    in_magics,
    in_notebook_words,
    in_short_magics,
)


def test_shell_commands_in_messages_become_magics(snapshot: SnapshotAssertion) -> None:
    error = UsageError(
        "mldeploy model register needs --model-path",
        why="run: mldeploy model register --help",
        hint="see `mldeploy model list` and %mldeploy service list",
    )
    assert str(in_magic_words(error, "%register", "model register")) == snapshot
    assert in_notebook_words("/bin/mldeploy service list") == "/bin/mldeploy service list"
    for command in COMMANDS:
        assert in_notebook_words(f"run `mldeploy {command.name}`") == f"run `%mldeploy {command.name}`"
    assert in_notebook_words("x, then deploy my-churn2 again") == "x, then %deploy my-churn2"
    assert in_notebook_words("then update churn again; or") == "then %update churn; or"
    assert in_notebook_words("mldeploy service list, then deploy again") == "%mldeploy service list, then deploy again"
    assert in_notebook_words("then deploy it again") == "then deploy it again"


PIP = "%pip" if importlib.util.find_spec("pip") else "%uv pip"  # an environment that uv made has no pip


@pytest.mark.parametrize(
    ("shell", "notebook"),
    [
        ("pip install mlflow, or not", f"{PIP} install mlflow, or not"),
        ("write %pip install x", "write %pip install x"),
        ("uv-pip install x; !pip install y", "uv-pip install x; !pip install y"),
        (f'{sys.executable} -m pip install "uvloop>=0.22"', f'{PIP} install "uvloop>=0.22"'),
        ("/other/bin/python3.12 -m pip install x", "!/other/bin/python3.12 -m pip install x"),
        (f"{sys.executable} -m uv pip install x", "%uv pip install x"),
        ("/other/bin/python -m uv pip install x", "!/other/bin/python -m uv pip install x"),
    ],
)
def test_a_package_is_installed_as_it_is_typed_in_a_notebook(shell: str, notebook: str) -> None:
    error = RunEnvironmentException("no package", why="pip install failed", hint=shell)
    assert str(error).endswith(f"hint: {shell}")
    assert error._render_traceback_() == ["error: no package", "cause: pip install failed", f"hint: {notebook}"]
    assert in_notebook_words(in_notebook_words(shell)) == notebook


def test_commands_in_hints_become_their_own_magics(session: Session) -> None:
    assert {magic.covers: magic.name for magic in magics(session) if magic.covers} == SHORT_MAGICS
    assert in_short_magics("remove it with `mldeploy service delete -n func`") == "remove it with `%delete func`"
    assert in_short_magics("%mldeploy service rollback churn --revision 2") == "%rollback churn --revision 2"
    assert in_magics("the log: mldeploy service get-logs -n func, or mldeploy model list") == (
        "the log: %logs func, or %mldeploy model list"
    )
    assert in_magics("did you mean: %mldeploy service list") == "did you mean: %mldeploy service list"
    assert in_magics("/bin/mldeploy service list") == "/bin/mldeploy service list"
    assert in_short_magics("mldeploy service wait a, or: mldeploy service cancel a") == (
        "%mldeploy service wait a, or: %cancel a"
    )
    assert in_short_magics("see mldeploy service list --all") == "see %services --all"
    assert in_short_magics("keys = %mldeploy service get-keys a") == "keys = %mldeploy service get-keys a"
    assert (
        in_short_magics("mldeploy latency churn, or mldeploy latency list")
        == "%latency churn, or %mldeploy latency list"
    )
    assert in_short_magics("/bin/mldeploy service list") == "/bin/mldeploy service list"


def test_a_cell_magic_is_named_with_both_signs() -> None:
    error = UsageError(
        "--x is not an option of mldeploy entry_script", why="", hint="run: mldeploy entry_script --help"
    )
    worded = in_magic_words(error, "%%entry_script")
    assert worded.what == "--x is not an option of %%entry_script" and worded.hint == "run: %%entry_script?"


def test_a_kernel_without_pip_is_told_to_install_with_uv():
    assert in_ipython_words("pip install mlflow", has_pip=False) == "%uv pip install mlflow"
