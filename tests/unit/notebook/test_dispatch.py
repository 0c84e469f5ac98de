"""Running a magic: its help, its value."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.commands import Context, Result, open_workspace
from mldeploy_jupyter.notebook import views
from mldeploy_jupyter.notebook.dispatch import display_result, run_magic
from mldeploy_jupyter.notebook.magics import magics
from mldeploy_jupyter.notebook.session import Session


def test_the_help_of_a_magic_names_the_magic(capsys: pytest.CaptureFixture[str], session: Session) -> None:
    by_name = {magic.name: magic for magic in magics(session)}
    for name, line, kind in (("deploy", "x --help", "%"), ("services", "-h", "%"), ("entry_script", "--help", "%%")):
        assert run_magic(session, by_name[name], line, "x = 1" if kind == "%%" else None) is None
        printed_text = capsys.readouterr().out
        assert printed_text.startswith(f"usage: {kind}{name} ") and f"  {kind}{name} " in printed_text
        assert "%mldeploy deploy" not in printed_text
    assert run_magic(session, by_name["mldeploy"], "model deploy --help") is None
    assert capsys.readouterr().out.startswith("usage: %mldeploy model deploy ")


def test_a_result_is_returned_or_its_text_printed(capsys: pytest.CaptureFixture[str]) -> None:
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
