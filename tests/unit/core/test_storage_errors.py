"""Errors of storage say what to do."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from mldeploy_jupyter.core.errors import StorageError
from mldeploy_jupyter.core.storage_errors import (
    check_digest,
    explain_remote_errors,
    explain_unusable,
    explain_write_errors,
    may_come_back,
)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_explained_with_the_bytes_needed(tmp_path: Path, number: int) -> None:
    with pytest.raises(StorageError, match=f"the disk of {tmp_path} is full") as caught:
        with explain_write_errors(tmp_path, needed=2_500_000):
            raise OSError(number, "no space")
    assert caught.value.why.startswith("2.5 MB are needed") and "mldeploy prune" in caught.value.hint


def test_another_write_error_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=f"files could not be written under {tmp_path}"):
        with explain_write_errors(tmp_path):
            raise PermissionError(errno.EACCES, "Permission denied")


def test_an_existing_file_passes_through(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError), explain_write_errors(tmp_path):
        raise FileExistsError


def test_any_error_of_a_remote_location_is_explained_but_a_missing_file() -> None:
    with (
        pytest.raises(StorageError, match="cannot be reached: memory://x") as caught,
        explain_remote_errors("memory://x"),
    ):
        raise RuntimeError("no route")
    assert caught.value.why == "RuntimeError: no route"
    with pytest.raises(FileNotFoundError), explain_remote_errors("memory://x"):
        raise FileNotFoundError


def test_a_wrong_digest_or_size_is_damage() -> None:
    check_digest("m.pkl", "ab", 3, "ab", 3)
    for digest, size in (("cd", 3), ("ab", 4)):
        with pytest.raises(StorageError, match=r"damaged: m\.pkl"):
            check_digest("m.pkl", "ab", 3, digest, size)


def explain(error: OSError, root: Path) -> StorageError:
    with pytest.raises(StorageError) as raised, explain_write_errors(root):
        raise error
    return raised.value


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT])
def test_a_disk_or_server_that_is_away_may_come_back(tmp_path: Path, number: int) -> None:
    error = OSError(number, "away")
    assert may_come_back(error) and may_come_back(explain(error, tmp_path))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT])
def test_a_full_or_read_only_disk_is_not_waited_for(tmp_path: Path, number: int) -> None:
    error = OSError(number, "no")
    assert not may_come_back(error, tmp_path) and not may_come_back(explain(error, tmp_path), tmp_path)


def test_a_missing_file_is_waited_for_where_the_folder_is_missing_too(tmp_path: Path) -> None:
    error = FileNotFoundError(errno.ENOENT, "none")
    assert not may_come_back(error) and not may_come_back(error, tmp_path)
    assert may_come_back(error, tmp_path / "away") and may_come_back(explain(error, tmp_path), tmp_path / "away")


def test_a_bucket_that_cannot_be_reached_may_come_back() -> None:
    with pytest.raises(StorageError) as raised, explain_remote_errors("s3://b"):
        raise RuntimeError("throttled")
    assert may_come_back(raised.value)


def test_a_file_that_cannot_be_used_is_named_with_the_way_on(tmp_path: Path) -> None:
    file, closed = tmp_path / "file", tmp_path / "closed"
    file.write_text("in the way")
    closed.mkdir(mode=0)
    cases = {
        NotADirectoryError(errno.ENOTDIR, "x", str(file / "below")): f"mv {file} {file}.aside",
        IsADirectoryError(errno.EISDIR, "x", str(tmp_path)): f"mv {tmp_path} {tmp_path}.aside",
        PermissionError(errno.EACCES, "x", str(closed / "a")): f"chmod u+rwX {closed}",
        FileNotFoundError(errno.ENOENT, "x", str(tmp_path / "gone")): "run the command again",
    }
    for error, way_on in cases.items():
        explained = explain_unusable(error, (tmp_path,))
        assert explained is not None and way_on in explained.hint and str(error.filename) in explained.what
        assert explain_unusable(error, (tmp_path / "elsewhere",)) is None
    assert explain_unusable(OSError(errno.EIO, "no file")) is None
