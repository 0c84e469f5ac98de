"""Archives hold what their entries say, or nothing."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mldeploy_jupyter.core.errors import StorageError
from mldeploy_jupyter.images.layer_tar import TIME, Entry, LayerFile, LayerFolder, iterate_tar, tar_size, write_tar

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=150)


@given(st.dictionaries(NAMES.filter(lambda name: name not in (".", "..")), st.binary(max_size=1500), max_size=5))
def test_every_name_and_content_comes_back(files: dict[str, bytes]) -> None:
    entries: dict[str, Entry] = {f"a/{name}": LayerFile.of(content) for name, content in files.items()}
    data = b"".join(iterate_tar(entries))
    assert len(data) == tar_size(entries)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}  # type: ignore[union-attr]
    assert found == {f"a/{name}": content for name, content in files.items()}


def test_folders_lead_to_every_entry_and_have_fixed_owners_and_times() -> None:
    entries: dict[str, Entry] = {"b/c/file": LayerFile.of(b"1", 0o755), "b/empty": LayerFolder(7, 8, 0o700)}
    out = io.BytesIO()
    digest, size = write_tar(entries, out)
    assert (hashlib.sha256(out.getvalue()).hexdigest(), len(out.getvalue())) == (digest, size)
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        found = [(m.name, m.mode, m.uid, m.gid, m.mtime) for m in archive]
    assert found == [
        ("b", 0o755, 0, 0, TIME),
        ("b/c", 0o755, 0, 0, TIME),
        ("b/c/file", 0o755, 0, 0, TIME),
        ("b/empty", 0o700, 7, 8, TIME),
    ]


@pytest.mark.parametrize("content", [b"other", b"short", b"much longer than before"])
def test_a_file_that_changed_ends_the_archive(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"bytes")
    entry = LayerFile(path, hashlib.sha256(b"bytes").hexdigest(), 5)
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"damaged: models/model\.bin"):
        list(iterate_tar({"models/model.bin": entry}))


def test_the_check_is_asked_within_large_files(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(bytes(8_000_000))
    entry = LayerFile(path, hashlib.sha256(bytes(8_000_000)).hexdigest(), 8_000_000)
    asked = []
    assert sum(map(len, iterate_tar({"m": entry}, check=lambda: asked.append(1)))) > 8_000_000
    assert len(asked) > 7
