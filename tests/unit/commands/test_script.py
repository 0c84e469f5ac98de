"""`mldeploy script check` and the warnings of a script."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.commands import Command, UsageError, script
from mldeploy_jupyter.core.errors import EntryScriptError
from mldeploy_jupyter.core.script.notebook_cells import CellRecord
from mldeploy_jupyter.deployment.script_check import ScriptCheck
from tests.unit.commands.support import check_help, make_context, notes, run_line


@pytest.mark.parametrize("item", script.COMMANDS, ids=lambda item: item.name)
def test_help(item: Command, snapshot: SnapshotAssertion) -> None:
    check_help(item, snapshot)


def test_warnings_of_the_source_name_the_line_of_the_cell(snapshot: SnapshotAssertion) -> None:
    source = """\
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
    assert script.source_warnings(checked_cell(source, 1, {"scale"})) == snapshot


def test_a_warning_of_the_run_is_shown_once_with_the_line_of_the_cell() -> None:
    swallows = "def init(): pass\ndef run(d):\n    try: return d\n    except Exception as e: return str(e)\n"
    caught = "run() catches every exception and returns its text (line 4): a failure looks like a result"
    other = "the sample of 'd' has only whole numbers"
    assert script.run_warnings(checked_cell(swallows, 1), ScriptCheck({"warnings": [caught, other]}, [], {}, 0.1)) == [
        other
    ]
    # A warning that only the run can give is kept.
    warning = "line 6: run() catches every exception and returns its text: a failure looks like a result"
    quiet = checked_cell("def run(d): return d\n", 2)
    assert script.run_warnings(quiet, ScriptCheck({"warnings": [caught]}, [], {}, 0.1)) == [warning]


def checked_cell(source: str, offset: int, names: Container[str] = ()) -> script.Script:
    cell = CellRecord("", "score.py", source, offset)
    return script.Script(Path("score.py"), "score.py", source, cell, names)


def test_a_check_that_takes_longer_than_a_second_shows_that_it_goes_on() -> None:
    now = [0.0]
    context = make_context(isatty=True, clock=lambda: now[0])
    progress = script.CheckProgress(context, "score.py", ["iris:1"])
    progress.update(["loading"])
    assert notes(context) == ""  # most checks end within the first second
    now[0] = 4.2
    progress.update(["loading", "warning: the server's", "half way"])
    progress.update(["loading", "warning: the server's", "half way"])
    counter = "checking score.py with iris:1: init() and the sample ... 4 s"
    assert notes(context) == f"  | loading\n  | half way\n{counter}"
    progress.end()
    assert notes(context).endswith(f"\r{' ' * len(counter)}\r")
    assert progress.withheld == ["warning: the server's"] and progress.seen == 3
    # A new interpreter begins again.
    progress.update(["loading"])
    assert progress.seen == 1 and progress.withheld == []

    # Where nothing can be overwritten, the output is shown at the end.
    now[0] = 0.0
    context = make_context(clock=lambda: now[0])
    progress = script.CheckProgress(context, "score.py", [])
    now[0] = 2.0
    progress.update(["loading"])
    progress.end()
    assert notes(context) == "" and progress.seen == 0


SERVES = "def init():\n    print('loaded')\n\n\ndef run(data):\n    return data\n"


def test_a_script_that_can_serve(folder: Path) -> None:
    (folder / "score.py").write_text(SERVES)
    context = make_context()
    result = run_line("script check score.py", context)
    assert result.text.startswith("ok: score.py (init ")
    assert (result.data["file"], result.data["models"], result.data["warnings"]) == ("score.py", [], [])
    assert "  | loaded" in notes(context).splitlines()


def test_a_script_that_cannot_serve(folder: Path) -> None:
    (folder / "score.py").write_text(SERVES.replace("print('loaded')", "import no_such_module"))
    with pytest.raises(EntryScriptError) as caught:
        run_line("script check score.py")
    assert caught.value.code == "module-missing" and caught.value.where == "score.py line 2"
    assert caught.value.hint.endswith("then check it again")


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_script_that_cannot_be_read(folder: Path, content: bytes | None) -> None:
    if content is not None:
        (folder / "score.py").write_bytes(content)
    with pytest.raises(UsageError, match=r"score\.py cannot be read"):
        run_line("script check score.py")
    assert not (folder / ".mldeploy").exists()


def test_a_script_is_checked_with_the_files_of_its_folder(folder: Path) -> None:
    (folder / "src").mkdir()
    source = "import os\ntext = open(os.path.join(os.path.dirname(__file__), 'a.txt')).read()\n"
    (folder / "src" / "score.py").write_text(f"{source}def init(): print(text)\ndef run(data): return data\n")
    (folder / "src" / "a.txt").write_text("from the folder")
    with pytest.raises(EntryScriptError) as caught:
        run_line("script check src/score.py", make_context())
    assert caught.value.what == "the file a.txt is not in the service"
    assert caught.value.hint == "ship its folder, too: add --source-directory src"
    context = make_context()
    run_line("script check src/score.py --source-directory src", context)
    assert "from the folder" in notes(context)
    for given, what in (("nope", "there is no folder nope"), ("src/sub", "src/score.py is outside src/sub")):
        (folder / "src" / "sub").mkdir(exist_ok=True)
        with pytest.raises(UsageError) as refused:
            run_line(f"script check src/score.py --source-directory {given}", make_context())
        assert refused.value.what == what
    assert refused.value.hint == "write --source-directory src"
