"""Copying and hashing in one pass."""

from __future__ import annotations

import errno
import hashlib
import io
import os
from pathlib import Path

import pytest

from mldeploy_jupyter.core.artifacts.hashed_copy import copy_file
from mldeploy_jupyter.core.copying import CHUNK, HEAD, copy_stream
from mldeploy_jupyter.core.errors import StorageError


@pytest.mark.parametrize("size", [0, 1, HEAD - 1, HEAD, HEAD + 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
def test_the_copy_and_its_digest_are_right(size: int) -> None:
    content = os.urandom(size)
    copied, reported = bytearray(), []
    assert copy_stream(io.BytesIO(content), copied.extend, reported.append) == (
        hashlib.sha256(content).hexdigest(),
        size,
    )
    assert bytes(copied) == content
    assert reported == sorted(reported) and (reported or [0])[-1] == size


def test_a_file_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"x" * 10)

    def change_file(chunk: memoryview) -> None:
        path.write_bytes(b"y" * 5)

    with pytest.raises(StorageError, match="changed while it was read"):
        copy_file(path, change_file, lambda _: None)


def test_a_full_disk_is_no_error_of_the_source(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"x")

    def fail(chunk: memoryview) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        copy_file(path, fail, lambda _: None)


def test_a_missing_source_is_explained(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="vanished while it was read"):
        copy_file(tmp_path / "gone", lambda _: None, lambda _: None)
