"""Whether anything that a service imported from outside of its bundle has changed."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mldeploy_jupyter.deployment.source import imported_files


@pytest.fixture
def modules(tmp_path: Path) -> dict[str, str]:
    """An editable package, an editable namespace, a module, an installed package; a helper in the working folder."""
    texts = {
        "src/mine/__init__.py": "V = 1",
        "src/mine/deep/part.py": "W = 1",
        "src/mine/rates.yml": "rate: 1",
        "src/space/inner/__init__.py": "S = 1",
        "lib/tool.py": "T = 1",
        "env/lib/python3.11/site-packages/dist/__init__.py": "D = 1",
        "app/source/helper.py": "H = 1",
    }
    for name, text in texts.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (1e9, 1e9))
    found = {
        "mine": "src/mine/__init__.py",
        "space": "src/space",
        "tool": "lib/tool.py",
        "dist": "env/lib/python3.11/site-packages/dist/__init__.py",
        "helper": "app/source/helper.py",
    }
    return {**{name: str(tmp_path / path) for name, path in found.items()}, "builtin": ""}


def record(modules: dict[str, str], tmp_path: Path) -> imported_files.Imported:
    found = imported_files.record(modules, str(tmp_path / "app"), time.time())
    assert found is not None
    return found


def write(name: str, text: str = "changed") -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


CHANGES = {
    "edited": write("src/mine/__init__.py"),
    "same length, same time": lambda folder: (
        write("src/mine/__init__.py", "V = 2")(folder),
        os.utime(folder / "src/mine/__init__.py", (1e9, 1e9 + 1)),
    ),
    "not imported yet": write("src/mine/deep/part.py"),
    "data": write("src/mine/rates.yml"),
    "namespace": write("src/space/inner/__init__.py"),
    "module": write("lib/tool.py"),
    "new file": write("src/mine/deep/new.py"),
    "removed": lambda folder: shutil.rmtree(folder / "src/mine/deep"),
    "upgraded": write("env/lib/python3.11/site-packages/dist/__init__.py"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_is_found(modules: dict[str, str], tmp_path: Path, change: Callable[[Path], object]) -> None:
    found = record(modules, tmp_path)
    assert imported_files.find_changed(found) == ""
    change(tmp_path)
    assert imported_files.find_changed(found)


def test_the_same_content_written_again_is_no_change(modules: dict[str, str], tmp_path: Path) -> None:
    found = record(modules, tmp_path)
    write("src/mine/__init__.py", "V = 1")(tmp_path)
    write("app/source/helper.py")(tmp_path)  # the bundle's digest tells of that one
    (tmp_path / "src/mine/__pycache__").mkdir()
    write("src/mine/__pycache__/x.pyc")(tmp_path)
    assert imported_files.find_changed(found) == ""


def test_a_file_that_changed_while_the_service_started_counts_as_unknown(
    modules: dict[str, str], tmp_path: Path
) -> None:
    assert imported_files.record(modules, str(tmp_path / "app"), 1e9 - 1) is None


def test_it_takes_a_few_milliseconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "big"
    package.mkdir()
    for name in ("__init__.py", *(f"m{n}.py" for n in range(999))):
        (package / name).write_text("x = 1\n" * 100)
    found = imported_files.record({"big": str(package / "__init__.py")}, "", time.time() + 1)
    assert found is not None and len(found) == 1000
    monkeypatch.setattr(imported_files, "_digest", pytest.fail)  # a file with the same times is not read
    assert imported_files.find_changed(found) == ""
    monkeypatch.setattr(imported_files, "MAX_FILES", 999)
    monkeypatch.setattr(imported_files, "_digest", lambda path: "")
    assert imported_files.record({"big": str(package / "__init__.py")}, "", time.time() + 1) is None
