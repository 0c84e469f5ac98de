from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mldeploy_jupyter.core.files import (
    atomic_write,
    filesystem_type,
    make_private_dir,
    on_network_filesystem,
)

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:30 / /home rw shared:2 - nfs4 server:/home rw
31 30 8:2 / /home/ann/local rw - xfs /dev/sdb rw
32 22 0:32 / /mnt/my\\040share rw - cifs //server/share rw
33 22 0:33 / /work rw master:1 - fuse.sshfs host:/work rw
34 22 0:34 / /twice rw - nfs4 server:/x rw
35 34 8:3 / /twice rw - ext4 /dev/sdc rw
"""


@pytest.mark.parametrize(
    ("path", "kind", "network"),
    [
        ("/", "ext4", False),
        ("/homes/x", "ext4", False),
        ("/home/ann/model", "nfs4", True),
        ("/home/ann/local/x", "xfs", False),
        ("/mnt/my share/x", "cifs", True),
        ("/work", "fuse.sshfs", True),
        ("/twice/x", "ext4", False),
    ],
)
def test_the_file_system_of_a_path(tmp_path: Path, path: str, kind: str, network: bool) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert filesystem_type(Path(path), mounts) == kind
    assert on_network_filesystem(Path(path), mounts) is network


def test_no_mountinfo_is_no_error(tmp_path: Path) -> None:
    assert filesystem_type(tmp_path, tmp_path / "nothing") == ""
    assert filesystem_type(tmp_path) != ""


def test_a_write_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "f"
    atomic_write(path, "ä")
    assert path.read_bytes() == "ä".encode() and stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        atomic_write(path, "b", exclusive=True)
    with pytest.raises(UnicodeEncodeError):
        atomic_write(path, "\ud800")
    assert path.read_text() == "ä"
    assert os.listdir(tmp_path) == ["f"]


def test_missing_parents_are_private_too(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_private_dir(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "a", tmp_path / "a" / "b")} == {0o700}
