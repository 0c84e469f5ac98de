"""What a process has imported, and which modules are worth importing before a fork."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mldeploy_jupyter.serving.worker import preload

ROOT = str(Path(__file__).parents[4])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("json.decoder", True),
        ("numpy", True),
        ("azureml.core", False),
        ("__main__", False),
        ("no_such_module", False),
        ("own_code", False),
    ],
)
def test_only_installed_packages_are_libraries(
    name: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_code.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert preload.is_library(name, preload.library_folders()) is expected


def test_a_package_comes_before_its_modules() -> None:
    assert preload.with_packages(["a.b.c", "d", "a.e"]) == ["a", "a.b", "a.b.c", "d", "a.e"]


def test_imports_are_told_apart_in_a_fresh_and_in_a_forked_process(tmp_path: Path) -> None:
    """The second half records the imports, as a zygote does before it forks."""
    (tmp_path / "own_code.py").write_text("import colorsys, orjson")
    program = f"""
import sys; sys.path[:0] = [{ROOT!r}, {str(tmp_path)!r}]
from mldeploy_jupyter.serving.worker import preload
server = set(sys.modules)
before = preload.snapshot()
import own_code
assert {{"own_code", "orjson"}} <= preload.packages_since(before).keys(), preload.packages_since(before)
assert "colorsys" not in preload.packages_since(before), "of the standard library"
libraries = preload.libraries_since(before)
assert {{"orjson", "colorsys"}} <= set(libraries) and "own_code" not in libraries, libraries
preload.record_imports(server, "mldeploy_jupyter.serving")
assert preload.snapshot() == set() and preload.imported_since(set()) == []
import wave
assert preload.imported_since(set())[-1] == "wave" and {{"own_code", "orjson"}} <= preload.packages_since(set()).keys()
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_file_that_changed_since_its_import_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "changing_module.py"
    file.write_text("value = 1")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "changing_module", raising=False)
    importlib.import_module("changing_module")
    try:
        files = preload.ImportedFiles()
        files.update()
        assert files.find_changed() == ""
        os.utime(file, ns=(1, 1))
        assert files.find_changed() == str(file)
        file.unlink()
        assert files.find_changed() == str(file)
    finally:
        del sys.modules["changing_module"]
