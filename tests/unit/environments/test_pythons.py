"""The Pythons of the machine, and the choice among them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.environments import pythons
from mldeploy_jupyter.environments.types import Interpreter

RUNNING = "{}.{}.{}".format(*sys.version_info[:3])


def test_the_running_interpreter_comes_first_as_its_base() -> None:
    first = pythons.interpreters(sys.executable)[0]
    assert first.version == RUNNING and first.source == "kernel"
    assert os.path.realpath(first.path) == os.path.realpath(sys.executable)


def test_places_are_searched_and_what_does_not_start_is_left_out(tmp_path: Path) -> None:
    """PATH, pyenv and uv are found by their own variables; a broken file and a script that lies are not."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "bin" / "python3").chmod(0o755)
    (tmp_path / "bin" / "python3.12").write_text("#!/bin/sh\necho hello\n")
    (tmp_path / "bin" / "python3.12").chmod(0o755)
    pyenv = tmp_path / "pyenv" / "versions" / "9" / "bin"
    pyenv.mkdir(parents=True)
    script = f"#!/bin/sh\nprintf '3.12.99\\ncpython\\n{pyenv}/python3\\n'\n"
    (pyenv / "python3").write_text(script)
    (pyenv / "python3").chmod(0o755)
    uv = tmp_path / "uv" / "cpython-3.13.1-linux" / "bin"
    uv.mkdir(parents=True)
    (uv / "python3").write_text(script.replace("3.12.99", "3.13.98").replace(str(pyenv), str(uv)))
    (uv / "python3").chmod(0o755)
    environ = {
        "PATH": f"{tmp_path}/bin:{tmp_path}/nowhere",
        "PYENV_ROOT": str(tmp_path / "pyenv"),
        "UV_PYTHON_INSTALL_DIR": str(tmp_path / "uv"),
        "HOME": str(tmp_path),
    }
    found = [(item.version, item.source) for item in pythons.interpreters(sys.executable, environ)]
    assert found == [(RUNNING, "kernel"), ("3.13.98", "uv"), ("3.12.99", "pyenv")]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> list[Interpreter]:
    found = [
        Interpreter("/k/python", "3.11.7", "kernel"),
        Interpreter("/c/python", "3.13.0", "uv"),
        Interpreter("/b/python", "3.12.1", "pyenv"),
        Interpreter("/o/python", "3.6.15", "PATH"),
    ]
    monkeypatch.setattr(pythons, "interpreters", lambda *_: found)
    return found


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        (None, "/k/python"),
        ("3.12", "/b/python"),
        (">=3.11", "/k/python"),
        (">3.11.7", "/c/python"),
        ("<3.13,>=3.12", "/b/python"),
    ],
)
def test_the_kernels_python_if_it_fits_else_the_newest(
    machine: list[Interpreter], asked: str | None, path: str
) -> None:
    assert pythons.select(asked, "/k/python").path == path


@pytest.mark.parametrize("asked", ["3.6.2", "3.10", "<3.11", "2.7", "3.6"])
def test_below_the_floor_is_always_refused(machine: list[Interpreter], asked: str, snapshot: object) -> None:
    with pytest.raises(EnvironmentBuildError) as caught:
        pythons.select(asked, "/k/python")
    assert caught.value.code == "PythonTooOld"
    assert str(caught.value) == snapshot


@pytest.mark.parametrize("asked", ["3.12.7", "3.14", ">=3.15"])
def test_none_that_fits_lists_those_found(machine: list[Interpreter], asked: str, snapshot: object) -> None:
    with pytest.raises(EnvironmentBuildError) as caught:
        pythons.select(asked, "/k/python")
    assert caught.value.code == "PythonNotFound"
    assert str(caught.value) == snapshot


def test_a_kernel_below_the_floor_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = Interpreter("/o/python", "3.10.9", "kernel"), Interpreter("/b/python", "3.12.1", "pyenv")
    monkeypatch.setattr(pythons, "interpreters", lambda *_: [old, new])
    assert pythons.select(None, "/o/python") == new
