"""Every tutorial runs from its first cell to its last, and is saved with the outputs of a run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.integration.notebook.conftest import end_services

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
CHECKED = "nbval-check-output"
PLOTLY = "application/vnd.plotly.v1+json"


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.slow
def test_a_tutorial_runs(
    notebook: Path, folder: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "containers" in notebook.name:
        request.getfixturevalue("docker_engine")
        monkeypatch.setenv("MLDEPLOY_BASE_IMAGE", request.getfixturevalue("base_image"))
    shutil.copy(notebook, folder)
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=120"]
    command += ["-p", "no:cacheprovider", "-q", "-x", "--rootdir", str(folder), notebook.name]
    try:
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280, check=False)
        left = list(folder.rglob(".mldeploy/services/*/supervisor.json"))
    finally:
        for store in folder.rglob(".mldeploy"):
            end_services(store.parent)  # of a tutorial that failed
    assert ran.returncode == 0, ran.stdout + ran.stderr
    cells = [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    assert f"{len(cells)} passed" in ran.stdout
    assert not left, "the tutorial must delete its services"
    written = {path.name for path in folder.iterdir()} - {notebook.name}
    assert len(written) == 1, f"a tutorial writes into one folder, not {written}"
    ignored = (notebook.parents[1] / ".gitignore").read_text().splitlines()
    assert f"/notebooks/{written.pop()}/" in ignored


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_tutorial_is_saved_with_its_outputs(path: Path) -> None:
    """A reader sees them without running it. `python docs/pictures/save_outputs.py` makes them anew."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert "widgets" not in notebook.metadata
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    timelines = [output.data["text/html"] for output in outputs if "Switch traffic" in str(output)]
    assert len(timelines) >= 2 and all("\u2713 done" in html for html in timelines)
    text = path.read_text()
    assert "Traceback" not in text and not re.search(r"[\"\s](?:/tmp|/root|/home|/work)/", text)


def test_the_quickstart_opens_a_copy_of_the_notebook(tmp_path: Path) -> None:
    """Running a tutorial changes it, and git would show that. JupyterLab itself is not started."""
    root = NOTEBOOKS[0].parents[1]
    shutil.copytree(root / "notebooks", tmp_path / "notebooks", ignore=shutil.ignore_patterns("quickstart-run"))
    for name, line in ((".ci/venv", "true"), (".venv/bin/jupyter", 'echo "${@: -1}"')):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(f"#!/usr/bin/env bash\n{line}\n")
        path.chmod(0o755)
    command = ["bash", str(tmp_path / "notebooks/quickstart"), "--lab"]
    for changed in (False, True):
        opened = tmp_path / subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        assert opened.parent.name == "quickstart-run"
        assert (opened.read_text() == "worked on") is changed
        opened.write_text("worked on")
    tracked = tmp_path / "notebooks" / NOTEBOOKS[0].name
    assert tracked.read_bytes() == NOTEBOOKS[0].read_bytes()


def test_a_python_that_is_too_old_is_called_that(tmp_path: Path) -> None:
    venv = tmp_path / ".ci" / "venv"
    venv.parent.mkdir()
    shutil.copy(NOTEBOOKS[0].parents[1] / ".ci" / "venv", venv)
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\ncase "$2" in *print*) echo 3.9 ;; *) exit 1 ;; esac\n')
    old.chmod(0o755)
    for named, cause in (
        (old, f"{old} is Python 3.9"),
        (tmp_path / "none", f"looked for {tmp_path / 'none'} on the PATH"),
    ):
        ran = subprocess.run([venv, "demo"], env={**os.environ, "PYTHON": str(named)}, capture_output=True, text=True)
        assert (ran.returncode, ran.stderr.splitlines()[1]) == (1, f"cause: {cause}")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_tutorial_is_in_the_readme_with_its_picture(path: Path) -> None:
    """`docs/pictures/take.py` makes the pictures."""
    root = path.parents[1]
    readme = (root / "README.md").read_text("utf-8")
    assert re.match(r"\d\d-", path.name) and f"](notebooks/{path.name})" in readme
    for name in (f"{path.stem}.png", f"{path.stem}-dark.png"):
        assert (root / "docs" / "pictures" / name).is_file() and f"docs/pictures/{name}" in readme


def test_there_is_a_quickstart() -> None:
    assert [path.name for path in NOTEBOOKS][:1] == ["01-quickstart.ipynb"]


def test_the_latency_tutorial_is_saved_with_figures_that_need_no_script() -> None:
    path = next(path for path in NOTEBOOKS if "latency" in path.name)
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    figures = [output.data for cell in cells for output in cell.outputs if PLOTLY in output.get("data", {})]
    assert len(figures) >= 5 and all("<svg" in data["text/html"] for data in figures)
    assert path.stat().st_size < 400_000
