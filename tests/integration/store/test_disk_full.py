"""A disk that is really full: a small file system of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mldeploy_jupyter.api.models import Model
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.artifacts import locations
from mldeploy_jupyter.core.errors import StorageError
from mldeploy_jupyter.core.files import free_bytes
from mldeploy_jupyter.core.store import database

MEGABYTE = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield place
    database._close_all()  # an open store keeps its disk
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def ws(small_disk: Path) -> Workspace:
    return Workspace.create(path=small_disk)


@pytest.mark.parametrize("foreseen", [True, False])
def test_a_model_that_does_not_fit_leaves_nothing(
    ws: Workspace, tmp_path: Path, foreseen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "small.pkl").write_bytes(b"small")
    (tmp_path / "big.pkl").write_bytes(os.urandom(20 * MEGABYTE))
    Model.register(ws, tmp_path / "small.pkl", "m")
    before = free_bytes(ws.folder.root)
    with monkeypatch.context() as patch:
        if not foreseen:  # another program fills the disk after the check
            patch.setattr(locations, "free_bytes", lambda path: 10**12 if path.name == "artifacts" else 0)
        with pytest.raises(StorageError, match="is full") as caught:
            Model.register(ws, tmp_path / "big.pkl", "m")
    assert "21.0 MB are needed" in caught.value.why
    assert free_bytes(ws.folder.root) >= before - 64 * 1024
    assert [model.id for model in Model.list(ws)] == ["m:1"]
    (tmp_path / "fits.pkl").write_bytes(os.urandom(MEGABYTE))
    assert Model.register(ws, tmp_path / "fits.pkl", "m").version == 2


def test_a_store_that_cannot_grow_says_so_and_loses_nothing(ws: Workspace, tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(b"m")
    Model.register(ws, tmp_path / "m.pkl", "m")
    filler = ws.folder.root / "filler"
    with filler.open("wb") as file:
        with pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(64 * 1024))
                file.flush()
    with pytest.raises(StorageError, match=r"could not be written|is full"):
        for _ in range(50):
            Model.register(ws, tmp_path / "m.pkl", "m", description="x" * 100_000)
    filler.unlink()
    versions = [model.version for model in Model.list(ws)]
    assert versions == list(range(len(versions), 0, -1))
    assert Model.register(ws, tmp_path / "m.pkl", "m").version == len(versions) + 1
