"""Listing the files of a model, and the manifest's digest."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.core.artifacts.file_tree import list_files, manifest_digest, total_size
from mldeploy_jupyter.core.errors import StorageError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "weights").mkdir(parents=True)
    (folder / "weights" / "w.bin").write_bytes(b"12345")
    (folder / ".hidden").write_bytes(b"1")
    (folder / "m.pkl").write_bytes(b"123")
    return folder


def test_a_folders_files_are_listed_under_its_name(model: Path) -> None:
    files = list_files(model)
    assert list(files) == ["model/.hidden", "model/m.pkl", "model/weights/w.bin"]
    assert list(list_files(model, "churn")) == ["churn/.hidden", "churn/m.pkl", "churn/weights/w.bin"]
    assert total_size(files.values()) == 9


def test_a_file_is_listed_under_its_name(model: Path) -> None:
    assert list_files(model / "m.pkl") == {"m.pkl": model / "m.pkl"}
    assert list_files(model / "m.pkl", "renamed.pkl") == {"renamed.pkl": model / "m.pkl"}


def test_selected_files_and_folders_only(model: Path) -> None:
    assert list(list_files(model, select=["weights", ".hidden"])) == ["model/.hidden", "model/weights/w.bin"]
    with pytest.raises(StorageError, match="vanished"):
        list_files(model, select=["nowhere"])


def test_a_vanished_file_has_no_size(model: Path) -> None:
    with pytest.raises(StorageError, match="vanished"):
        total_size([model / "m.pkl", model / "gone"])


def test_the_manifest_digest_is_of_names_and_contents() -> None:
    manifest = {"a": ["00", 1], "b": ["11", 2]}
    assert manifest_digest(dict(reversed(manifest.items()))) == manifest_digest(manifest)
    others = [{"a": ["00", 1]}, {"a": ["00", 1], "c": ["11", 2]}, {"a": ["00", 1], "b": ["22", 2]}]
    assert manifest_digest(manifest) not in map(manifest_digest, others)
