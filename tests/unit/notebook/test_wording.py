"""Messages in a notebook's words."""

from __future__ import annotations

from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.commands import UsageError
from mldeploy_jupyter.notebook.wording import in_magic_words, in_notebook_words


def test_shell_commands_in_messages_become_magics(snapshot: SnapshotAssertion) -> None:
    error = UsageError(
        "mldeploy model register needs --model-path",
        why="run: mldeploy model register --help",
        hint="see `mldeploy model list` and %mldeploy service list",
    )
    assert str(in_magic_words(error, "register", "model register")) == snapshot
    assert in_notebook_words("/bin/mldeploy service list") == "/bin/mldeploy service list"
    assert in_notebook_words("x, then deploy my-churn2 again") == "x, then %deploy my-churn2"
    assert in_notebook_words("then update churn again; or") == "then %update churn; or"
    assert in_notebook_words("mldeploy service list, then deploy again") == "%mldeploy service list, then deploy again"
    assert in_notebook_words("then deploy it again") == "then deploy it again"
