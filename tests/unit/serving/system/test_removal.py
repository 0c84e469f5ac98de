"""Folders that scripts could write to are removed, however they look inside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mldeploy_jupyter.serving.system.removal import remove_tree


def make_deep(path: Path, levels: int) -> None:
    """Nested folders with a file in each; their paths may be longer than the system takes at once."""
    path.mkdir()
    folder = os.open(path, os.O_RDONLY)
    for _ in range(levels):
        os.close(os.open("file", os.O_CREAT, dir_fd=folder))
        os.mkdir("d", dir_fd=folder)
        below = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)


@pytest.mark.parametrize("levels", [0, 3, 1200])
def test_a_folder_is_removed_however_deep_it_is(tmp_path: Path, levels: int) -> None:
    make_deep(tmp_path / "folder", levels)
    (tmp_path / "folder/beside/below").mkdir(parents=True)
    assert remove_tree(tmp_path / "folder") == [] and not list(tmp_path.iterdir())


def test_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/kept").touch()
    make_deep(tmp_path / "folder", 1200)
    (tmp_path / "folder/link").symlink_to(tmp_path / "outside")
    (tmp_path / "folder/d/link").symlink_to(tmp_path / "outside")
    assert remove_tree(tmp_path / "folder") == [] and [path.name for path in tmp_path.iterdir()] == ["outside"]
    assert (tmp_path / "outside/kept").exists()
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    assert remove_tree(tmp_path / "link") == [] and (tmp_path / "outside/kept").exists()  # the link alone


def test_what_cannot_be_removed_is_told(tmp_path: Path) -> None:
    assert [os.fspath(error.filename) for error in remove_tree(tmp_path / "gone")] == [str(tmp_path / "gone")]


def test_a_file_in_the_place_of_a_folder_and_folders_without_rights_are_removed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder/closed/below").mkdir(parents=True)
    (tmp_path / "folder/closed").chmod(0)
    assert [remove_tree(tmp_path / name) for name in ("file", "folder", "nothing")][:2] == [[], []]
    assert not list(tmp_path.iterdir())
