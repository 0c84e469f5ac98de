"""`%%entry_script` writes the file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.commands import UsageError
from mldeploy_jupyter.notebook import entry_script


def test_the_script_is_located_in_the_cell_as_typed() -> None:
    assert entry_script.locate_script("\n\n%%entry_script s.py\nimport os\n", "s.py", "import os\n")[1] == 3
    assert entry_script.locate_script("%%entry_script s.py\nimport os\n", "s.py", "import os\n")[1] == 1
    # Run by code and not by a cell: the cell is made up.
    source, offset = entry_script.locate_script("get_ipython().run_cell_magic(...)", "s.py", "import os\n")
    assert (source, offset) == ("%%entry_script s.py\nimport os\n", 1)


def test_the_written_file_keeps_its_mode(folder: Path) -> None:
    path = entry_script.write_file("score.py", "a = 1\n")
    assert path == folder / "score.py" and path.read_text() == "a = 1\n"
    path.chmod(0o640)
    entry_script.write_file("score.py", "a = 2\n")
    assert path.stat().st_mode & 0o777 == 0o640 and not list(folder.glob(".score*"))


@pytest.mark.parametrize("name", ["score.txt", "nowhere/score.py"])
def test_file_names_that_cannot_be_a_script_are_refused(folder: Path, name: str, snapshot: SnapshotAssertion) -> None:
    with pytest.raises(UsageError) as caught:
        entry_script.write_file(name, "")
    assert str(caught.value).replace(str(folder), "FOLDER") == snapshot


@pytest.mark.parametrize("cell", ["x = 1\n", "x = '''a\\n'''\n", 'y = "\\t"\n'])
def test_the_printed_python_writes_the_same_script(folder: Path, cell: str) -> None:
    exec(compile(entry_script.write_program("s.py", cell), "printed", "exec"), {})
    assert ast.dump(ast.parse((folder / "s.py").read_text())) == ast.dump(ast.parse(cell))
