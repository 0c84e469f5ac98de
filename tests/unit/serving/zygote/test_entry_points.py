"""`importlib.metadata.entry_points` in a process that was forked: the same answers, without reading everything anew."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.serving.zygote import entry_points


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """How often the standard library was asked once more."""
    asked: list[str] = []
    original = metadata.entry_points

    def ask(**params: Any) -> Any:
        asked.append(repr(params))
        return original(**params)

    monkeypatch.setattr(entry_points, "_read_entry_points", ask)
    yield asked
    metadata.entry_points = original


def install(folder: Path, name: str, group: str) -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {name}:main\n")


def test_is_read_once(tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "one", "plugins")
    monkeypatch.syspath_prepend(str(tmp_path))
    entry_points.cache_entry_points()
    assert [point.name for point in metadata.entry_points(group="plugins")] == ["one"]
    assert list(metadata.entry_points(group="plugins", name="two")) == []
    assert reads == ["{}"]


def test_without_a_selection_the_standard_library_answers(reads: list[str]) -> None:
    entry_points.cache_entry_points()
    assert type(metadata.entry_points()) is type(entry_points._read_entry_points())


def test_a_package_that_was_installed_since_is_found(
    tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "one", "plugins")
    monkeypatch.syspath_prepend(str(tmp_path))
    entry_points.cache_entry_points()
    before = tmp_path.stat().st_mtime_ns
    install(tmp_path, "two", "plugins")
    os.utime(tmp_path, ns=(before, before + 10**9))  # also where the clock of the file system is slow
    assert {point.name for point in metadata.entry_points(group="plugins")} == {"one", "two"}


def test_a_folder_that_the_script_adds_counts_only_with_packages(
    tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry_points.cache_entry_points()
    (tmp_path / "source").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "source"))
    assert list(metadata.entry_points(group="plugins")) == []
    assert reads == ["{}"]
    install(tmp_path / "more", "three", "plugins")
    monkeypatch.syspath_prepend(str(tmp_path / "more"))
    assert [point.name for point in metadata.entry_points(group="plugins")] == ["three"]


def test_another_finder_of_packages_is_asked(reads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    class Finder:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> None:
            return None

        @staticmethod
        def find_distributions(context: object) -> list[metadata.Distribution]:
            return []

    entry_points.cache_entry_points()
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert list(metadata.entry_points(group="plugins")) == []
    assert len(reads) == 2


def test_a_zygote_begins_without_what_its_forks_may_never_need() -> None:
    """Its own imports are what a first deployment waits for before those of the script begin."""
    source = (
        "import sys, mldeploy_jupyter.serving.zygote.__main__\n"
        "from mldeploy_jupyter.serving.worker import __main__, script_check, service\n"
        "heavy = ('importlib.metadata', 'email', 'numpy', 'pandas', 'werkzeug', 'requests')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
