"""Folders that scripts could write to are removed, however they look inside."""

from __future__ import annotations

import os
import threading
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


def test_what_cannot_be_removed_is_told() -> None:
    path = Path("/proc") / str(os.getpid()) / "fdinfo"  # the system makes what is in it, for root, too
    assert remove_tree(path)
    assert path.is_dir()


def test_what_is_gone_is_no_error(tmp_path: Path) -> None:
    assert remove_tree(tmp_path / "gone") == [] and remove_tree(tmp_path / "gone/below") == []


@pytest.mark.parametrize("place", ["", "revisions"])
def test_what_is_made_in_it_meanwhile_is_removed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """A file appears in a folder, and then another folder, when its entries have just been removed."""
    (tmp_path / "service/revisions/1").mkdir(parents=True)
    (tmp_path / "service/keys.json").touch()
    made: list[Path] = []
    remove = os.rmdir

    def make_first(path: str, **options: int | None) -> None:
        if os.path.basename(path) == (place or "service") and len(made) < 2:
            made.append(tmp_path / "service" / place / f"late-{len(made)}")
            made[-1].touch() if len(made) == 1 else (made[-1] / "below").mkdir(parents=True)
        remove(path, **options)

    monkeypatch.setattr(os, "rmdir", make_first)
    assert remove_tree(tmp_path / "service") == []
    assert len(made) == 2 and not list(tmp_path.iterdir())


def test_two_may_remove_it_at_once(tmp_path: Path) -> None:
    make_deep(tmp_path / "folder", 300)
    found: list[list[OSError]] = []
    threads = [threading.Thread(target=lambda: found.append(remove_tree(tmp_path / "folder"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[], [], [], []] and not list(tmp_path.iterdir())


def test_a_file_in_the_place_of_a_folder_and_folders_without_rights_are_removed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder/closed/below").mkdir(parents=True)
    (tmp_path / "folder/closed").chmod(0)
    assert [remove_tree(tmp_path / name) for name in ("file", "folder")] == [[], []]
    assert not list(tmp_path.iterdir())
