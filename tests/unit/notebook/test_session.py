"""What the front end tells about itself and the running cell."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from mldeploy_jupyter.notebook import session as session_module
from mldeploy_jupyter.notebook.session import cell_id, front_end, notebook_path, raw_cell


def kernel_shell(**content: Any) -> Any:
    parent = {"content": content, "metadata": {"cellId": "abc"}}
    return SimpleNamespace(kernel=SimpleNamespace(get_parent=lambda channel: parent), user_ns={})


def test_front_end_cell_id_raw_cell_and_notebook_path() -> None:
    assert front_end(SimpleNamespace()) == "terminal"
    assert front_end(kernel_shell(allow_stdin=True)) == "live"
    assert front_end(kernel_shell(allow_stdin=False)) == "headless"
    assert cell_id(kernel_shell()) == "abc" and cell_id(SimpleNamespace()) == ""
    assert raw_cell(kernel_shell(code="x = 1")) == "x = 1"
    assert notebook_path(kernel_shell(), {"JPY_SESSION_NAME": "a.ipynb"}) == "a.ipynb"
    assert notebook_path(SimpleNamespace(user_ns={"__vsc_ipynb_file__": "b.ipynb"}), {}) == "b.ipynb"
    assert notebook_path(kernel_shell(), {}) == ""


def test_the_prompt_number_is_that_of_the_running_cell() -> None:
    shell = InteractiveShell()
    numbers: list[int | None] = []
    shell.user_ns["look"] = lambda: numbers.append(session_module.prompt_number(shell))
    shell.run_cell("x = 1", store_history=True)
    shell.run_cell("look()", store_history=True)
    assert numbers == [len(shell.history_manager.input_hist_raw) - 1]
    older = SimpleNamespace(execution_count=7, displayhook=SimpleNamespace(prompt_count=7))
    newer = SimpleNamespace(execution_count=8, displayhook=SimpleNamespace(prompt_count=7))
    assert session_module.prompt_number(older) == session_module.prompt_number(newer) == 7
    # A cell that is not stored is not counted, so the shell's own number still stands.
    unstored = kernel_shell(store_history=False)
    unstored.execution_count, unstored.displayhook = 7, SimpleNamespace(prompt_count=6)
    assert session_module.prompt_number(unstored) == 7
    assert session_module.prompt_number(SimpleNamespace()) is None
