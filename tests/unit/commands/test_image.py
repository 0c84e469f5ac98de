"""`mldeploy image ...`: help, usage errors, and what is printed; no engine is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.api import images
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.commands import Command, UsageError, image
from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.deployment.images.registries import ListedImage, Pushed
from tests.unit.commands.support import check_help, check_usage_error, make_context, notes, run_line

WRONG = ["image push", "image export", "image build --builder podman"]


@pytest.mark.parametrize("item", image.COMMANDS, ids=lambda item: item.name)
def test_help(item: Command, snapshot: SnapshotAssertion) -> None:
    check_help(item, snapshot)


@pytest.mark.parametrize("line", WRONG)
def test_usage_errors(line: str, folder: Path, snapshot: SnapshotAssertion) -> None:
    check_usage_error(line, folder, snapshot)


def test_a_folder_goes_with_a_dockerfile_only(folder: Path) -> None:
    Workspace.create("test")
    (folder / "score.py").write_text("def init(): pass\ndef run(data): return data\n")
    (folder / "m.txt").write_text("m")
    with pytest.raises(UsageError, match="--folder goes with --dockerfile only"):
        run_line("image build -m m.txt --entry-script score.py --folder out")
    assert not (folder / ".mldeploy" / "packages").exists()


def test_a_list_is_a_table_and_rows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Workspace.create("test")
    assert run_line("image list").text == "No image was made in this workspace."
    listed = [
        ListedImage("sha256:" + "a" * 64, "ws/svc:2", "2026-05-04T03:02:01Z", ["svc revision 2"], True, 5_000_000),
        ListedImage("sha256:" + "b" * 64, "own:1", "2026-05-03T03:02:01Z", ["package 1-a"], digest="sha256:d"),
    ]
    monkeypatch.setattr(images, "list_images", lambda workspace: listed)
    result = run_line("image list")
    head, first, second = [line for line in result.text.splitlines() if "─" not in line and line.strip("- ")]
    assert head.split() == ["IMAGE", "ID", "MADE", "SIZE", "USED", "BY"]
    assert first.split() == [
        "ws/svc:2",
        "aaaaaaaaaaaa",
        "2026-05-04",
        "03:02",
        "UTC",
        "5.0",
        "MB",
        "svc",
        "revision",
        "2",
        "(serves)",
    ]
    assert " ".join(second.split()) == "own:1 bbbbbbbbbbbb 2026-05-03 03:02 UTC - package 1-a"
    assert [(row["image"], row["serves"], row["digest"]) for row in result.data] == [
        ("ws/svc:2", True, None),
        ("own:1", False, "sha256:d"),
    ]
    json.dumps(result.data)


def test_a_push_says_where_the_image_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Workspace.create("test")

    def push(workspace: Any, name: str, to: str | None, tell: Any) -> Pushed:
        tell("layer aa  pushed", None)
        tell("5 kB of 10 kB", 0.5)
        return Pushed(to or name, "sha256:d", "1 of 2 layers were new")

    monkeypatch.setattr(images, "push_image", push)
    context = make_context()
    result = run_line("image push svc --to here:5000/own:1", context)
    assert result.text == "Pushed here:5000/own:1: 1 of 2 layers were new\nsha256:d"
    assert result.data["image"] == "here:5000/own:1" and "layer aa" in notes(context) and "50 %" not in notes(context)
    assert result.python == (
        "from mldeploy_jupyter.api.images import push_image\npush_image(ws, 'svc', to='here:5000/own:1')"
    )


@pytest.mark.parametrize(("given", "file"), [("", "team-own-1.tar"), (" -f out.tar", "out.tar")])
def test_an_export_says_how_it_is_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch, given: str, file: str) -> None:
    Workspace.create("test")
    monkeypatch.setattr(images, "export_image", lambda workspace, name, path: 2_000_000)
    result = run_line(f"image export team/own:1{given}")
    assert result.text == f"Wrote {file} (2.0 MB). Load it elsewhere with: docker load -i {file}"
    assert result.data == {"file": str(folder / file), "bytes": 2_000_000}


def test_an_export_of_what_there_is_not_is_an_error(folder: Path) -> None:
    from mldeploy_jupyter.core.records import ServiceRecord

    Workspace.create("test").folder.open_store().save_service(ServiceRecord("svc", "local"))
    with pytest.raises(ImageError, match="the service svc has no image"):
        run_line("image export svc")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", "Building an image with no model (name one with -m)"),
        ("-n churn", "The model is churn:1, after the image's name. Choose others with -m, or -m none."),
        ("-m none", ""),
        ("-m churn", ""),
    ],
)
def test_an_image_says_which_models_it_takes_where_none_are_named(folder: Path, options: str, said: str) -> None:
    (folder / "model.txt").write_text("1")
    (folder / "score.py").write_text("def init():\n    pass\n\ndef run(data):\n    return data\n")
    run_line("model register -n churn -p model.txt")
    context = make_context()
    run_line(f"image build {options} --entry-script score.py --dockerfile --folder out", context)
    found = [line for line in notes(context).splitlines() if line.startswith(("Building an image", "The model is"))]
    assert found == ([said] if said else [])
