from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mldeploy_jupyter.core.errors import StorageError
from mldeploy_jupyter.core.files import (
    atomic_write,
    file_identity,
    file_lock,
    file_version,
    filesystem_type,
    make_private_dir,
    on_network_filesystem,
    read_json,
    read_json_if_valid,
    write_json,
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
def test_filesystem_type_of_a_path(tmp_path: Path, path: str, kind: str, network: bool) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert filesystem_type(Path(path), mounts) == kind
    assert on_network_filesystem(Path(path), mounts) is network


def test_no_mountinfo_is_no_error(tmp_path: Path) -> None:
    assert filesystem_type(tmp_path, tmp_path / "nothing") == ""
    assert filesystem_type(tmp_path) != ""


def test_atomic_write_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "f"
    atomic_write(path, "ä")
    assert path.read_bytes() == "ä".encode() and stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        atomic_write(path, "b", exclusive=True)
    with pytest.raises(UnicodeEncodeError):
        atomic_write(path, "\ud800")
    assert path.read_text() == "ä"
    assert os.listdir(tmp_path) == ["f"]


def test_make_private_dir_makes_private_parents(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_private_dir(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "a", tmp_path / "a" / "b")} == {0o700}


def test_make_private_dir_puts_nothing_in_the_place_of_a_workspace_that_is_away(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"\.mldeploy"):
        make_private_dir(tmp_path / ".mldeploy" / "deployments" / "one")
    assert os.listdir(tmp_path) == []
    make_private_dir(tmp_path / ".mldeploy")
    make_private_dir(tmp_path / ".mldeploy" / "deployments" / "one")


def test_json_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    write_json(path, {"name": "ä"}, mode=0o640)
    assert read_json(path) == read_json_if_valid(path) == {"name": "ä"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.write_bytes(b'\xef\xbb\xbf{"with": "a byte order mark"}')
    assert read_json(path) == {"with": "a byte order mark"}


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\udcff"])
def test_what_is_no_json_object_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "data.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError):
        read_json(path)
    assert read_json_if_valid(path) is None


def test_a_missing_json_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "nothing.json")
    assert read_json_if_valid(tmp_path / "nothing.json") is None


def test_identity_and_version_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("one")
    before = path.stat()
    path.write_text("longer")
    after = path.stat()
    assert file_identity(after) == file_identity(before) and file_version(after) != file_version(before)
    path.rename(tmp_path / "renamed")
    path.write_text("another")
    assert file_identity(path.stat()) != file_identity(before)


def test_a_lock_whose_holder_a_signal_has_stopped_names_it(tmp_path: Path) -> None:
    code = "import sys\nfrom pathlib import Path\nfrom mldeploy_jupyter.core.files import file_lock\n"
    code += "with file_lock(Path(sys.argv[1]), shared=True):\n    print('locked', flush=True)\n    input()\n"
    command = [sys.executable, "-c", code, str(tmp_path / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline() == b"locked\n"
        with file_lock(tmp_path / ".lock", shared=True):  # shared holders do not wait for each other
            pass
        holder.send_signal(signal.SIGSTOP)
        with pytest.raises(StorageError) as error, file_lock(tmp_path / ".lock"):
            pass
        assert f"process {holder.pid} has the lock" in error.value.why
        assert f"kill -CONT {holder.pid}" in error.value.hint
        holder.send_signal(signal.SIGCONT)
        threading.Timer(0.2, holder.stdin.close).start()
        with file_lock(tmp_path / ".lock"):  # one that works is waited for
            assert holder.wait(60) is not None
