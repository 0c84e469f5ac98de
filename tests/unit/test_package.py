"""The package as a whole: light to import, one version, no host names in its files."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import mldeploy_jupyter

ROOT = Path(__file__).resolve().parents[2]
HEAVY = (
    "sqlalchemy",
    "IPython",
    "ipywidgets",
    "plotly",
    "requests",
    "docker",
    "kubernetes",
    "yaml",
    "httptools",
    "numpy",
)


def loaded_after(code: str) -> list[str]:
    show = f"import json, sys; print(json.dumps([n for n in {HEAVY!r} if n in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_after("import mldeploy_jupyter") == []


def test_the_public_names_load_no_database_and_no_notebook() -> None:
    names = ", ".join(mldeploy_jupyter.__all__)
    assert loaded_after(f"from mldeploy_jupyter import {names}") == []


def test_registering_a_model_loads_nothing_of_deployments(tmp_path: Path) -> None:
    code = """
import json, os, sys
from pathlib import Path
from mldeploy_jupyter import Model, Workspace
Path("m.pkl").write_bytes(b"1")
Model.register(Workspace.create(path="."), "m.pkl", "m")
rooms = ("core.configs", "core.journal", "core.bundle", "deployment", "targets", "environments", "commands")
names = [*(f"mldeploy_jupyter.{room}" for room in rooms), "requests", "yaml", "fsspec", "numpy", "packaging"]
print(json.dumps([name for name in names if name in sys.modules]))
"""
    environ = {**os.environ, "MLDEPLOY_HOME": str(tmp_path), "MLDEPLOY_WORKSPACE": ""}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []


# What a command needs once it runs, not the program that finds it: 50 ms of imports.
OF_COMMANDS = ("difflib", "hashlib", "secrets", "shutil", "socket", "subprocess", "mldeploy_jupyter.core.configs")


@pytest.mark.parametrize("words", [["--help"], ["service", "--help"], ["__complete", "--", "service", "up"]])
def test_help_and_completion_load_only_the_commands(words: list[str]) -> None:
    show = f"import json, sys; print(json.dumps([n for n in {(*HEAVY, *OF_COMMANDS)!r} if n in sys.modules]))"
    code = f"from mldeploy_jupyter.cli import main; main({words!r}); {show}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []


@pytest.mark.parametrize("name", mldeploy_jupyter.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(mldeploy_jupyter, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Modell'"):
        mldeploy_jupyter.Modell  # noqa: B018


def test_there_is_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == mldeploy_jupyter.__version__
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text()


def _tracked() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: the list of files comes from git")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_package_registry() -> None:
    # Assembled, so that this file does not name them either.
    hosts = re.compile(
        r"(py" r"pi\.org|files\.python" r"hosted|registry\.npm" r"js|deb\." r"debian|crates\." r"io|repo\.ana" r"conda)"
    )
    named = [path.name for path in _tracked() if hosts.search(path.read_text("utf-8", "replace"))]
    assert named == []


def test_no_file_is_large() -> None:
    large = [path.name for path in _tracked() if path.stat().st_size > 500_000]
    assert large == []
