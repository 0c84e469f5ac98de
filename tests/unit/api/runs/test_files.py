"""A run's files: names, uploads, folders and downloads."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from mldeploy_jupyter.api.runs import Run
from mldeploy_jupyter.api.runs.files import check_file_name, walk_folder
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import UserErrorException, WebserviceException


def test_uploaded_files_are_downloaded_again(ws: Workspace, run: Run, folder: Path) -> None:
    run.upload_files(["a/1", "a/2"], ["m.pkl", io.BytesIO(b"stream")])
    (folder / "tree" / "deep").mkdir(parents=True)
    (folder / "tree" / "deep" / "x").write_bytes(b"x")
    run.upload_folder("up", "tree")
    assert {"a/1", "a/2", "up/deep/x"} < set(run.get_file_names())
    run.download_file("a/2", "out/copy")
    run.download_file("a/2")
    assert (folder / "out" / "copy").read_bytes() == (folder / "2").read_bytes() == b"stream"
    run.download_files("a/", "all")
    run.download_files("a/", "short", append_prefix=False)
    run.download_files("a/", output_paths=["p", "q"])
    assert (folder / "all/a/1").is_file() and (folder / "short/2").read_bytes() == b"stream"
    assert (folder / "q").read_bytes() == b"stream"


def test_a_name_is_relative_and_stays_in_the_run() -> None:
    assert check_file_name("./a\\b/c") == "a/b/c"
    for name in ("", ".", "/a", "../a", "a/../../b"):
        with pytest.raises(WebserviceException, match="is not a name inside a run"):
            check_file_name(name)


def test_a_folder_is_walked_in_order(folder: Path) -> None:
    (folder / "tree" / "b").mkdir(parents=True)
    for name in ("z", "b/x"):
        (folder / "tree" / name).touch()
    assert [name for _, name in walk_folder("tree")] == ["b/x", "z"]
    with pytest.raises(UserErrorException, match="it is a file"):
        list(walk_folder("tree/z"))
