"""Interpreters that are started to read their packages import nothing from the current folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.environments import current, pins, pythons


@pytest.fixture
def folder_of_strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a module of each name in the standard library; each leaves a file when it is imported."""
    for name in sys.stdlib_module_names:
        (tmp_path / f"{name}.py").write_text(
            f"open({str(tmp_path / f'imported-{name}')!r}, 'w'); raise SystemExit(3)\n"
        )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def link_to_base(folder: Path) -> str:
    """An interpreter that is not this one: without `pyvenv.cfg` beside it, it is the base, which has no packages."""
    link = folder / "bin/python"
    link.parent.mkdir()
    link.symlink_to(sys.executable)
    return str(link)


def test_pins_are_read_without_the_modules_of_the_current_folder(folder_of_strangers: Path) -> None:
    assert [line.partition("==")[0] for line in pins.capture(["httptools"], sys.executable)] == ["httptools"]
    assert not list(folder_of_strangers.glob("imported-*"))


def test_packages_are_read_without_the_modules_of_the_current_folder(folder_of_strangers: Path) -> None:
    other = link_to_base(folder_of_strangers)
    with pytest.raises(EnvironmentBuildError, match="lacks what the scoring server needs"):
        current.lock_current(other)
    assert not list(folder_of_strangers.glob("imported-*"))


def test_interpreters_are_probed_without_the_modules_of_the_current_folder(folder_of_strangers: Path) -> None:
    assert pythons.probe(link_to_base(folder_of_strangers)) is not None
    assert not list(folder_of_strangers.glob("imported-*"))
