"""The README's own examples run as they are printed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[3] / "README.md"
TRAIN = """
import joblib
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
joblib.dump(Ridge().fit(*load_diabetes(return_X_y=True)), "ridge.pkl")
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


@pytest.fixture
def trained(folder: Path) -> Path:
    """A folder with the model and the entry script of the README."""
    (cell,) = [block for block in blocks("python") if block.startswith("%%entry_script")]
    (folder / "score.py").write_text(cell.partition("\n")[2])
    subprocess.run([sys.executable, "-c", TRAIN], check=True, cwd=folder)
    return folder


def test_the_python_example_runs_as_printed(trained: Path) -> None:
    (example,) = [block for block in blocks("python") if "Workspace.create" in block]
    shown = subprocess.run(
        [sys.executable, "-c", example], cwd=trained, capture_output=True, text=True, timeout=120, check=False
    )
    assert shown.returncode == 0, shown.stderr
    assert "Live at http://127.0.0.1:8890/score" in shown.stdout


def test_the_commands_run_as_printed(trained: Path) -> None:
    (commands,) = [block for block in blocks("console") if "mldeploy model register" in block]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    outputs = []
    for line in commands.strip().splitlines():
        done = subprocess.run(
            shlex.split(line.removeprefix("$ ")),
            cwd=trained,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        outputs.append(done.stdout)
    assert re.search(r"\d+\.\d+", outputs[2]), "no prediction was printed"


def test_links_of_the_readme_resolve() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README.read_text())
    assert links
    for link in links:
        assert (README.parent / link).exists(), link
