"""What tells a folder and a machine from their copies."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.serving.system.identity import (
    folder_identity,
    is_removed,
    machine_identity,
    open_folder,
    process_start,
)


def test_a_moved_folder_is_the_same_and_a_copy_is_another(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    identity = folder_identity(folder)
    shutil.copytree(folder, tmp_path / "copy")
    folder.rename(tmp_path / "moved")
    assert folder_identity(tmp_path / "moved") == identity != folder_identity(tmp_path / "copy")
    assert folder_identity(folder) == ""


def test_a_deleted_folder_is_told_from_a_moved_one(tmp_path: Path) -> None:
    folder = tmp_path / "workspace" / "service"
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    descriptor = open_folder(folder)
    assert not os.get_inheritable(descriptor)
    assert not is_removed(descriptor)
    folder.parent.rename(tmp_path / "moved")
    assert not is_removed(descriptor)
    (tmp_path / "moved" / "service" / "lock").unlink()
    assert not is_removed(descriptor)
    shutil.rmtree(tmp_path / "moved")
    folder.mkdir(parents=True)  # another one of the same name
    assert is_removed(descriptor)
    os.close(descriptor)
    assert not is_removed(descriptor)


def test_a_machine_is_another_one_after_a_reboot(tmp_path: Path) -> None:
    boot_id = tmp_path / "sys" / "kernel" / "random" / "boot_id"
    boot_id.parent.mkdir(parents=True)
    boot_id.write_text("one\n")
    first = machine_identity(tmp_path)
    boot_id.write_text("two\n")
    assert first.endswith("/one") and machine_identity(tmp_path).endswith("/two")


def test_without_proc_a_process_says_its_start_as_others_find_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS, in whatever time zone either of them is."""
    monkeypatch.setattr(process_identity.sys, "platform", "darwin")
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    started = process_start(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    assert started and started == process_identity.start_time(os.getpid())
