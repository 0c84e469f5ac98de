"""Downloading models: complete and verified, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mldeploy_jupyter.api.models import Model
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import (
    StorageError,
    WebserviceException,
)

from .conftest import CollectErrors


def test_a_download_replaces_files_only_with_exist_ok(ws: Workspace, folder: Path) -> None:
    file, tree = Model.register(ws, "m.pkl", "m"), Model.register(ws, "tree", "t")
    assert file.download("out") == "out/m.pkl"
    assert tree.download("out") == "out/tree"
    assert (folder / "out/tree/deep/b.txt").read_bytes() == b"b"
    (folder / "out/m.pkl").write_bytes(b"mine")
    (folder / "out/tree/keep").write_bytes(b"mine")
    with pytest.raises(WebserviceException, match="already"):
        file.download("out")
    assert (folder / "out/m.pkl").read_bytes() == b"mine"
    assert file.download("out", exists_ok=True) == file.download("out", exist_ok=True) == "out/m.pkl"
    assert tree.download("out", exist_ok=True) == "out/tree"
    assert (folder / "out/m.pkl").read_bytes() == b"model"
    assert (folder / "out/tree/keep").exists()
    assert sorted(os.listdir(folder / "out")) == ["m.pkl", "tree"]


def test_a_damaged_model_replaces_nothing(ws: Workspace, folder: Path) -> None:
    model = Model.register(ws, "m.pkl", "m")
    blob = next((ws.folder.root / "artifacts" / "blobs").glob("*/*"))
    blob.chmod(0o600)
    blob.write_bytes(b"moDel")
    with pytest.raises(StorageError, match="damaged"):
        model.download(".", exist_ok=True)
    assert (folder / "m.pkl").read_bytes() == b"model"
    assert not list(folder.glob(".mldeploy-download*"))


def test_a_download_that_cannot_be_written_is_refused(
    ws: Workspace, folder: Path, collect_errors: CollectErrors, snapshot
) -> None:
    Model.register(ws, "m.pkl", "m")
    Model.register(ws, "m.pkl", "m")
    model = Model(ws, "m")
    (folder / "out").mkdir()
    (folder / "out" / "m.pkl").mkdir()
    cases = {
        "download": lambda: model.download("."),
        "download to nothing": lambda: model.download(None),  # type: ignore[arg-type]
        "download to a file": lambda: model.download("m.pkl"),
        "download below a file": lambda: model.download("m.pkl/sub", exist_ok=True),
        "download to the kernel": lambda: model.download("/proc/x"),
        "download folder": lambda: model.download("out", exist_ok=True),
    }
    assert collect_errors(cases) == snapshot
