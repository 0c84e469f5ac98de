"""The digest of a file is remembered as long as the file cannot have changed, and no longer."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mldeploy_jupyter.core import file_digests
from mldeploy_jupyter.core.file_digests import find_digest


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were read, in a system where each file counts as settled at once."""
    found: list[str] = []
    whole = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, name: found.append(file.name) or whole(file, name))
    monkeypatch.setattr(file_digests, "SETTLED_NS", -(10**10))
    monkeypatch.setattr(file_digests, "_known", {})
    monkeypatch.setattr(file_digests, "_local_devices", {})
    return found


def digest_of(content: bytes) -> tuple[str, int]:
    return hashlib.sha256(content).hexdigest(), len(content)


def test_a_file_that_is_as_it_was_is_read_once(tmp_path: Path, reads: list[str]) -> None:
    path = tmp_path / "score.py"
    path.write_bytes(b"one")
    assert find_digest(path) == find_digest(str(path)) == digest_of(b"one") and len(reads) == 1


def write_in_place(path: Path, content: bytes) -> None:
    """Of the same size, and with its time of content set back: only its time of change tells."""
    before = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path: Path, content: bytes) -> None:
    before, other = path.stat(), path.with_suffix(".other")
    other.write_bytes(content)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(other, path)


@pytest.mark.parametrize("change", [write_in_place, replace])
def test_a_change_is_found_though_size_and_time_are_the_same(
    tmp_path: Path, reads: list[str], change: Callable[[Path, bytes], None]
) -> None:
    path = tmp_path / "score.py"
    path.write_bytes(b"one")
    find_digest(path)
    before = path.stat().st_ctime_ns
    while path.stat().st_ctime_ns == before:  # the clock of a file system stands still for some milliseconds
        change(path, b"two")
    assert find_digest(path) == digest_of(b"two")


def test_a_file_that_has_just_changed_is_read_each_time(
    tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_digests, "SETTLED_NS", 2_000_000_000)
    path = tmp_path / "score.py"
    path.write_bytes(b"one")
    os.utime(path, (0, 0))  # its content looks old; its time of change is now
    find_digest(path)
    path.write_bytes(b"two")
    assert find_digest(path) == digest_of(b"two") and len(reads) == 2


def test_a_file_on_a_network_file_system_is_read_each_time(
    tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_digests, "on_network_filesystem", lambda path: True)
    path = tmp_path / "score.py"
    path.write_bytes(b"one")
    assert find_digest(path) == find_digest(path) and len(reads) == 2


def test_so_many_are_remembered_and_no_more(tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_digests, "MAX_FILES", 3)
    for number in range(7):
        (tmp_path / str(number)).touch()
        find_digest(tmp_path / str(number))
    assert len(file_digests._known) <= 3
    with pytest.raises(FileNotFoundError):
        find_digest(tmp_path / "missing")
