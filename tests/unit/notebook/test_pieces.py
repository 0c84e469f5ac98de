"""The small parts: words of a line, places in a cell, messages, displays, printed Python."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.commands import Context, Result, UsageError, open_workspace, python_code
from mldeploy_jupyter.notebook import entry_script, script_warnings, views
from mldeploy_jupyter.notebook import session as session_module
from mldeploy_jupyter.notebook.completion import Matcher
from mldeploy_jupyter.notebook.dispatch import display_result, run_magic
from mldeploy_jupyter.notebook.magics import magics
from mldeploy_jupyter.notebook.score import split_line
from mldeploy_jupyter.notebook.session import Session, cell_id, front_end, notebook_path, raw_cell
from mldeploy_jupyter.notebook.wording import in_magic_words, in_notebook_words


def kernel_shell(**content: Any) -> Any:
    parent = {"content": content, "metadata": {"cellId": "abc"}}
    return SimpleNamespace(kernel=SimpleNamespace(get_parent=lambda channel: parent), user_ns={})


@pytest.fixture
def session() -> Session:
    shell = SimpleNamespace(user_ns={"model": 1, "_hidden": 2, "moon": 3}, user_ns_hidden={"moon": 3}, kernel=None)
    return Session(shell)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("churn X[:3]", ["churn", "--", "X[:3]"]),
        ('churn {"data": [[1.0, -2]]}', ["churn", "--", '{"data": [[1.0, -2]]}']),
        ("churn -1.5", ["churn", "--", "-1.5"]),
        ("churn --data 'my file.json'", ["churn", "--data", "my file.json"]),
        ("--show-python churn x + 1", ["--show-python", "churn", "--", "x + 1"]),
        ("churn x --show-python", ["--show-python", "churn", "--", "x"]),
        ("churn", ["churn"]),
        ("", []),
        ("--help", ["--help"]),
    ],
)
def test_the_words_of_score_keep_the_expression_whole(line: str, words: list[str]) -> None:
    assert split_line(line) == words


def test_front_ends_are_told_apart() -> None:
    assert front_end(SimpleNamespace()) == "terminal"
    assert front_end(kernel_shell(allow_stdin=True)) == "live"
    assert front_end(kernel_shell(allow_stdin=False)) == "headless"
    assert cell_id(kernel_shell()) == "abc" and cell_id(SimpleNamespace()) == ""
    assert raw_cell(kernel_shell(code="x = 1")) == "x = 1"
    assert notebook_path(kernel_shell(), {"JPY_SESSION_NAME": "a.ipynb"}) == "a.ipynb"
    assert notebook_path(SimpleNamespace(user_ns={"__vsc_ipynb_file__": "b.ipynb"}), {}) == "b.ipynb"
    assert notebook_path(kernel_shell(), {}) == ""


def test_a_script_line_is_found_in_the_cell_as_it_was_typed() -> None:
    assert entry_script._as_typed("\n\n%%entry_script s.py\nimport os\n", "s.py", "import os\n")[1] == 3
    assert entry_script._as_typed("%%entry_script s.py\nimport os\n", "s.py", "import os\n")[1] == 1
    # Run by code and not by a cell: the cell is made up.
    source, offset = entry_script._as_typed("get_ipython().run_cell_magic(...)", "s.py", "import os\n")
    assert (source, offset) == ("%%entry_script s.py\nimport os\n", 1)


def test_warnings_name_the_cells_line(snapshot: SnapshotAssertion) -> None:
    script = """\
from sklearn.externals import joblib
def init():
    global m
    m = joblib.load(path)
def run(data):
    try:
        return m.predict(scale(data))
    except Exception as e:
        return str(e)
"""
    assert script_warnings.of_source(script, 1, {"scale": len}) == snapshot


def test_a_warning_of_the_run_is_said_once_and_with_the_cells_line() -> None:
    swallows = "def init(): pass\ndef run(d):\n    try: return d\n    except Exception as e: return str(e)\n"
    caught = "run() catches every exception and returns its text (line 4): a failure looks like a result"
    other = "the sample of 'd' has only whole numbers"
    assert script_warnings.of_run([caught, other], swallows, 1) == [other]
    # What only the run finds keeps its warning.
    said = "line 6: run() catches every exception and returns its text: a failure looks like a result"
    assert script_warnings.of_run([caught], "def run(d): return d\n", 2) == [said]


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


def test_the_file_keeps_its_mode_and_is_plain_text(folder: Path) -> None:
    path = entry_script._write_file("score.py", "a = 1\n")
    assert path == folder / "score.py" and path.read_text() == "a = 1\n"
    path.chmod(0o640)
    entry_script._write_file("score.py", "a = 2\n")
    assert path.stat().st_mode & 0o777 == 0o640 and not list(folder.glob(".score*"))


@pytest.mark.parametrize("name", ["score.txt", "nowhere/score.py"])
def test_a_file_that_cannot_be_a_script_is_refused(folder: Path, name: str, snapshot: SnapshotAssertion) -> None:
    with pytest.raises(UsageError) as caught:
        entry_script._write_file(name, "")
    assert str(caught.value).replace(str(folder), "FOLDER") == snapshot


@pytest.mark.parametrize("cell", ["x = 1\n", "x = '''a\\n'''\n", 'y = "\\t"\n'])
def test_the_printed_python_writes_the_same_script(folder: Path, cell: str) -> None:
    exec(compile(entry_script.python_of("s.py", cell), "printed", "exec"), {})
    assert ast.dump(ast.parse((folder / "s.py").read_text())) == ast.dump(ast.parse(cell))


def test_printed_programs_import_what_they_use() -> None:
    text = python_code.program("model = Model.register(ws, model_path='Workspace.pkl')")
    assert text.splitlines()[:3] == [
        "from mldeploy_jupyter import Model, Workspace",
        "",
        "ws = Workspace.from_config()",
    ]
    assert python_code.program("print(1)") == "print(1)"
    long = python_code.call("f", "ws", a="x" * 60, b="y" * 60, c=None)
    assert long.splitlines()[0] == "f(" and "c=" not in long


def test_messages_are_in_the_notebooks_words(snapshot: SnapshotAssertion) -> None:
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


def test_the_help_of_a_magic_names_the_magic(capsys: pytest.CaptureFixture[str], session: Session) -> None:
    by_name = {magic.name: magic for magic in magics(session)}
    for name, line, kind in (("deploy", "x --help", "%"), ("services", "-h", "%"), ("entry_script", "--help", "%%")):
        assert run_magic(session, by_name[name], line, "x = 1" if kind == "%%" else None) is None
        printed_text = capsys.readouterr().out
        assert printed_text.startswith(f"usage: {kind}{name} ") and f"  {kind}{name} " in printed_text
        assert "%mldeploy deploy" not in printed_text
    assert run_magic(session, by_name["mldeploy"], "model deploy --help") is None
    assert capsys.readouterr().out.startswith("usage: %mldeploy model deploy ")


def test_a_result_is_a_value_and_only_text_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    context = Context(open_workspace)
    assert display_result(Result("setosa", "setosa", "setosa"), context) == "setosa"
    assert capsys.readouterr().out == ""
    assert display_result(Result(None, "Deleted churn", {"name": "churn"}), context) is None
    assert display_result(Result("usage", "usage", {"help": "usage"}), context) is None
    assert capsys.readouterr().out == "Deleted churn\nusage\n"
    keys = display_result(Result(("k1", "k2"), "primary: k1", {"primaryKey": "k1", "secondaryKey": "k2"}), context)
    assert keys == ("k1", "k2") and type(keys) is views.Keys
    context.json = True
    assert display_result(Result([1], "1", [1]), context) is None
    assert capsys.readouterr().out == "[\n  1\n]\n"


def test_every_magic_has_help_with_an_example(session: Session, snapshot: SnapshotAssertion) -> None:
    for magic in magics(session):
        assert magic.doc.startswith(f"usage: %{'%' if magic.kind == 'cell' else ''}{magic.name}")
        assert "Example:" in magic.doc
    assert {magic.name: magic.doc for magic in magics(session) if magic.name in ("entry_script", "score")} == snapshot


def test_completion_answers_only_on_our_lines(session: Session, folder: Path) -> None:
    (folder / "score.py").touch()
    matcher = Matcher(session, magics(session))
    assert matcher.find("%deploy churn --overw") == (["--overwrite"], "--overw")
    assert matcher.find("svc = %deploy churn --to l") == (["local"], "l")
    assert matcher.find("a, b = %services --al") == (["--all"], "--al")
    assert matcher.find("%%entry_script sc") == (["score.py"], "sc")
    assert matcher.find("%register churn m") == (["model"], "m")
    assert matcher.find("%mldeploy mod") == (["model"], "mod")
    assert matcher.find("%timeit x --overw") == ([], "")
    assert matcher.find("deploy(x, --overw") == ([], "")
    assert matcher.find("%logs 'open quote") == ([], "quote")
    assert matcher(SimpleNamespace(text_until_cursor="x.y")) == {"completions": []}
    # A variable and a file, wherever the name stands.
    (folder / "model.pkl").touch()
    for line in ("%register churn mod", "%register -n churn mod"):
        assert matcher.find(line) == (["model", "model.pkl"], "mod")


def test_completion_offers_what_the_target_has_by_its_long_name(session: Session, folder: Path) -> None:
    matcher = Matcher(session, magics(session))
    local, aci, aks = (matcher.find(f"%deploy x {to}--")[0] for to in ("", "--to aci ", "--cp aks "))
    assert {"--port", "--entry-script", "--target", "--tag", "--wait", "--worker-count", "--env"} <= set(local)
    assert not {"--es", "--dc", "--ic", "--to", "--script", "--autoscale-enabled", "--location", "--namespace"} & set(
        local
    )
    assert all(len(flag) > 4 for flag in local)
    assert "--location" in aci and "--namespace" not in aci and "--namespace" in aks and "--location" not in aks
    assert matcher.find("%deploy x --t")[0] == [
        *("--tag", "--target", "--timeout-sec", "--token-auth-enabled", "--tracing"),
    ]
    assert matcher.find("%deploy x --to")[0] == ["--to", "--token-auth-enabled"]
    assert matcher.find("%deploy x --scr")[0] == ["--script"]
    doc = next(magic.doc for magic in magics(session) if magic.name == "deploy")
    assert doc.index("Common options:") < doc.index("Settings of the targets of later versions (ACI, AKS):")


def test_displays_hide_keys_and_obey_no_log() -> None:
    shell = InteractiveShell()
    show = shell.display_formatter.format
    keys = views.Keys(("secret-one", "secret-two"))
    assert "secret" not in str(show(keys)) and keys[0] == "secret-one"
    log = views.LogText("\x1b[2J\x1b]0;title\x07plain \x1b[31mred\x1b[0m <script>\n")
    assert show(log)[0] == {"text/plain": "plain \x1b[31mred\x1b[0m <script>"}
    table = views.Table([1], lambda items: {"text/plain": f"{len(items)} item", "text/html": "<p>1</p>"})
    assert show(table)[0] == {"text/plain": "1 item", "text/html": "<p>1</p>"} and table == [1]


def test_tables_are_escaped_and_plain(snapshot: SnapshotAssertion) -> None:
    record = SimpleNamespace(size=1_234_000)
    model = SimpleNamespace(
        name="<b>x</b>",
        version=3,
        _record=record,
        tags={"a": "<script>alert(1)</script>"},
        description="two\nlines",
        model_framework="ScikitLearn",
        model_framework_version=None,
        created_time="2026-11-22T17:00:00.000Z",
    )
    bundle = views.models_bundle([model])
    assert "<script>" not in bundle["text/html"] and "<b>x" not in bundle["text/html"]
    assert bundle == snapshot
    assert views.model_bundle(model) == snapshot
