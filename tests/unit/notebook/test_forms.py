from __future__ import annotations

from pathlib import Path

import pytest

import mldeploy_jupyter
from mldeploy_jupyter.commands import UsageError
from mldeploy_jupyter.core.script.notebook_cells import CellRecord, script_digest
from mldeploy_jupyter.notebook.dispatch import run_magic
from mldeploy_jupyter.notebook.forms import SessionScripts, form_bundle, scripts_of_cells, show_form
from mldeploy_jupyter.notebook.magics import magics
from mldeploy_jupyter.notebook.session import FailedCheck, Session

SCRIPT = "def init():\n    pass\n\ndef run(data, scale=1):\n    return data\n"


@pytest.mark.parametrize(
    "line, what",
    [
        ("deploy --form", "the form of %deploy cannot be shown here"),
        ("deploy churn --form", "--form cannot be combined with --name"),
        ("register --form", "the form of %register cannot be shown here"),
        ("register", "%register needs NAME"),
    ],
)
def test_a_form_that_cannot_be_shown_is_an_error(session: Session, line: str, what: str) -> None:
    name, _, words = line.partition(" ")
    magic = next(magic for magic in magics(session) if magic.name == name)
    with pytest.raises(UsageError) as raised:
        run_magic(session, magic, words)
    assert raised.value.what == what


def test_a_terminal_shows_no_form(session: Session) -> None:
    assert not show_form(session, "deploy")
    assert "mldeploy model deploy -n NAME" in repr(mldeploy_jupyter.deploy_form())


def test_a_saved_form_says_what_to_type() -> None:
    for kind, line in (("deploy", "%deploy NAME"), ("register", "%register NAME FILE")):
        bundle = form_bundle(kind)  # type: ignore[arg-type]
        assert line in bundle["text/plain"] and line in bundle["text/html"]
    assert "<b>" not in form_bundle("update", "<b>")["text/html"]


def test_scripts_of_cells_come_last_one_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cells = {}
    for number, name in ((4, "a.py"), (9, "b.py")):
        (tmp_path / name).write_text(SCRIPT)
        cells[tmp_path / name] = CellRecord("", name, "", execution_count=number, time=f"2026-01-01T00:00:0{number}Z")
    cells[tmp_path / "gone.py"] = CellRecord("", "gone.py", "", time="2026-01-02")
    assert scripts_of_cells(cells) == [
        {"value": "b.py", "label": "Cell 9: b.py", "detail": "init() and run(data, scale)"},
        {"value": "a.py", "label": "Cell 4: a.py", "detail": "init() and run(data, scale)"},
    ]


def test_a_form_says_what_was_done_to_the_script_since(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "score.py"
    script.write_text(SCRIPT)
    scripts = SessionScripts(session)
    assert scripts.warning(script) == ""
    session.cells[script] = CellRecord(script_digest(SCRIPT), str(script), SCRIPT, execution_count=4)
    assert scripts.warning(script) == ""
    session.failed_check = FailedCheck(script, SCRIPT, "name 'modle' is not defined")
    assert scripts.warning(script) == "It failed its check: name 'modle' is not defined"
    script.write_text(SCRIPT.replace("scale=1", "scale=2"))
    assert scripts.warning(script).startswith("It is deployed as the file is now: it was written by cell [4]")
    assert "another program" in scripts.warning(script)
    script.unlink()
    assert scripts.warning(script) == ""


def test_a_form_begins_with_the_folder_of_the_last_script(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert SessionScripts(session).source_directory() == ""
    session.source_directory = tmp_path / "src"
    assert SessionScripts(session).source_directory() == "src"
