"""Of the three ignore files, the first that is there decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.core.errors import StorageError
from mldeploy_jupyter.images.build_context import list_context_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("data/big.csv", "src/a.py", "src/.git/config", "note.txt", "build.sh"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "build.sh").chmod(0o700)
    return tmp_path


def visible(folder: Path) -> list[str]:
    return [name for name in list_context_files(folder) if "ignore" not in name]


def test_folders_of_tools_are_left_out(folder: Path) -> None:
    assert visible(folder) == ["build.sh", "data/big.csv", "note.txt", "src/a.py"]


def test_git_s_rules_hold_for_gitignore_and_amlignore(folder: Path) -> None:
    (folder / ".gitignore").write_text("*.csv\n*.txt\n")
    assert visible(folder) == ["build.sh", "src/a.py"]
    (folder / ".amlignore").write_text("*.csv\n")  # v1's own comes before git's
    assert visible(folder) == ["build.sh", "note.txt", "src/a.py"]


def test_docker_s_rules_hold_for_dockerignore(folder: Path) -> None:
    (folder / ".amlignore").write_text("*\n")
    (folder / ".dockerignore").write_text("# all but one\n*\n!src\n**/.git\n*.csv\n")
    assert visible(folder) == ["src/a.py"]


def test_programs_stay_executable_and_owners_and_times_do_not_count(folder: Path) -> None:
    files = list_context_files(folder)
    assert (files["build.sh"].mode, files["note.txt"].mode) == (0o755, 0o644)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="build context cannot be read"):
        list_context_files(tmp_path / "gone")
