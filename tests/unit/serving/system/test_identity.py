"""What tells a folder and a machine from their copies."""

from __future__ import annotations

import shutil
from pathlib import Path

from mldeploy_jupyter.serving.system.identity import folder_identity, machine_identity


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
