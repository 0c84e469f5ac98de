"""What tells a folder and a machine from their copies."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.serving.system.identity import folder_identity, machine_identity, process_start


def test_a_moved_folder_is_the_same_and_a_copy_is_another(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    identity = folder_identity(folder)
    shutil.copytree(folder, tmp_path / "copy")
    folder.rename(tmp_path / "moved")
    assert folder_identity(tmp_path / "moved") == identity != folder_identity(tmp_path / "copy")
    assert folder_identity(folder) == ""


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
