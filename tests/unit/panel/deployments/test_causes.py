"""Where a deployment failed: the cell with its number now, the line, the function, the lines around it."""

from __future__ import annotations

from typing import Any

import pytest

from mldeploy_jupyter.core.script.notebook_cells import CellRecord, save_cell, script_digest
from tests.unit.panel.conftest import Site

SCRIPT = """import joblib

class Reader:
    def read(self):
        try:
            return joblib.load("model")
        except KeyError:
            raise ValueError

def init():
    global coef
    coef = Reader().read()
"""


def fail(site: Site, where: str, **cause: Any) -> dict[str, Any]:
    """The cause of a deployment of the script above that failed there."""
    path = site.folder.root.parent / "score.py"
    path.write_text(SCRIPT)
    journal = site.begin(inference_config={"entry_path": str(path), "entry_script": "score.py"})
    given = {"code": "x", "what": "init() failed", "why": "KeyError", "hint": "deploy churn again", "where": where}
    site.end(journal, "failed", cause={**given, **cause})
    found: dict[str, Any] = site.ask("deployment.timeline", deployment="d1")["cause"]
    return found


@pytest.fixture
def cell(site: Site) -> CellRecord:
    """The cell that wrote the script, with its magic in the first line."""
    path = site.folder.root.parent / "score.py"
    source = f"%%entry_script\n{SCRIPT}"
    return save_cell(
        site.folder.cells, CellRecord(script_digest(SCRIPT), str(path), source, 1, "id", "n.ipynb", 3, "2026-11-22")
    )


def test_a_line_of_a_file(site: Site) -> None:
    excerpt = [{"line": 12, "text": "    coef = Reader().read()", "guilty": True}]
    where = fail(site, "score.py line 12", excerpt=excerpt)["where"]
    assert where == {"text": "in init() of score.py", "file": "score.py", "line": 12, "cell": None, "excerpt": excerpt}


def test_a_line_of_a_cell_that_was_run_again_since(site: Site, cell: CellRecord) -> None:
    asked = []

    def now(file: str, number: int | None) -> int | None:
        asked.append((file, number))
        return 8

    site.context.cell_number = now
    where = fail(site, "cell [3] line 13, run at 14:03")["where"]
    assert (where["text"], where["line"], where["cell"]) == ("in init() of score.py", 13, 8)
    assert asked == [(cell.file, 3)]


def test_a_cell_without_a_number(site: Site, cell: CellRecord) -> None:
    where = fail(site, "cell line 8")["where"]
    assert (where["text"], where["cell"]) == ("in Reader.read() of score.py", None)


def test_a_helper_module_names_its_caller(site: Site) -> None:
    where = fail(site, "helper.py line 2, called from cell [3] line 13")["where"]
    assert (where["file"], where["line"], where["cell"]) == ("helper.py", 2, None)
    assert where["text"] == "in helper.py, called from cell [3] line 13"


@pytest.mark.parametrize(
    ("line", "function"), [(1, ""), (5, "Reader.read"), (6, "Reader.read"), (8, "Reader.read"), (9, ""), (99, "")]
)
def test_the_function_of_a_line(site: Site, line: int, function: str) -> None:
    text = fail(site, f"score.py line {line}")["where"]["text"]
    assert text == (f"in {function}() of score.py" if function else "in score.py")


def test_a_configuration_file_another_place_and_none(site: Site) -> None:
    where = fail(site, "environment.yml, line 3")["where"]
    assert (where["text"], where["file"], where["line"]) == ("in environment.yml", "environment.yml", 3)


@pytest.mark.parametrize("place", ["", "the folder src"])
def test_a_place_without_a_line(site: Site, place: str) -> None:
    where = fail(site, place)["where"]
    assert where == ({"text": place, "file": "", "line": None, "cell": None, "excerpt": []} if place else None)
