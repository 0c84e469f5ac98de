"""A module that a service lacks is looked for among the user's own files, and never among installed packages."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from mldeploy_jupyter.core.script.local_modules import find_local_module, list_submodules


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("lib/cleaning.py", "src/__init__.py", "src/helper.py", "src/score.py", "nb/score.py", "top_module.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path / "nb")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "script", "found"),
    [
        ("cleaning", "nb/score.py", "lib/cleaning.py"),
        ("src", "src/score.py", "src"),
        ("src.helper", "src/score.py", "src"),
        ("helper", "src/score.py", "src/helper.py"),
        ("top_module", "nb/score.py", "top_module.py"),
        ("score", "nb/score.py", None),
        ("numpy", "nb/score.py", None),
        ("mldeploy_jupyter", "nb/score.py", None),
        ("no_such_module", "nb/score.py", None),
        ("", "nb/score.py", None),
    ],
)
def test_modules_around_the_script_are_found(project: Path, name: str, script: str, found: str | None) -> None:
    if name == "score":
        (project / "src" / "score.py").unlink()  # the script itself is not a module that it lacks
    assert find_local_module(name, str(project / script)) == (project / found if found else None)


def test_a_module_of_the_kernel_is_found_wherever_it_lies(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "far.py"
    elsewhere.touch()
    module = types.ModuleType("far")
    module.__file__ = str(elsewhere)
    monkeypatch.setitem(sys.modules, "far", module)
    assert find_local_module("far", "") == elsewhere
    monkeypatch.delitem(sys.modules, "far")
    assert find_local_module("far", str(project / "nb" / "score.py")) is None
    monkeypatch.syspath_prepend(str(elsewhere.parent))
    assert find_local_module("far", str(project / "nb" / "score.py")) == elsewhere


def test_the_modules_of_a_package_are_listed_without_importing_it() -> None:
    before = set(sys.modules)
    assert {"ensemble", "linear_model"} <= set(list_submodules("sklearn"))
    assert "etree" in list_submodules("xml")
    assert list_submodules("xml.etree") == ["ElementInclude", "ElementPath", "ElementTree", "cElementTree"]
    assert list_submodules("math") == list_submodules("nowhere") == list_submodules("") == []
    assert set(sys.modules) == before
