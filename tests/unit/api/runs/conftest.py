"""A workspace with a file to upload, and a run of this process with three files."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.api.runs import Run
from mldeploy_jupyter.api.runs import run as run_module
from mldeploy_jupyter.api.workspace import Workspace


@pytest.fixture
def ws(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(run_module, "_offline_run", None)
    (folder / "m.pkl").write_bytes(b"model")
    return Workspace.create("test")


@pytest.fixture
def run(ws: Workspace) -> Run:
    run = Run.get_context()
    run.upload_file("outputs/model.pkl", "m.pkl")
    run.upload_file("outputs/deep/x", "m.pkl")
    run.upload_file("other", "m.pkl")
    return run
