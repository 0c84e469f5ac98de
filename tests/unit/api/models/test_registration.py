"""Registering models from files, folders and other models: versions, digests, refused arguments."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mldeploy_jupyter.api.models import Model
from mldeploy_jupyter.api.workspace import Workspace

from .conftest import CollectErrors


@pytest.mark.parametrize(
    ("children", "files"),
    [
        (None, ["tree/.hidden", "tree/a.txt", "tree/deep/b.txt"]),
        (["deep"], ["tree/deep/b.txt"]),
        (["tree/a.txt", "./deep/b.txt"], ["tree/a.txt", "tree/deep/b.txt"]),
    ],
)
def test_a_registered_folder_keeps_its_name(ws: Workspace, children: list[str] | None, files: list[str]) -> None:
    for path in ("tree", "tree/", "./tree", os.path.abspath("tree")):
        assert Model.register(ws, path, "t", child_paths=children).files == files


def test_the_current_directory_has_its_own_name(ws: Workspace, folder: Path) -> None:
    os.chdir(folder / "tree" / "deep")
    assert Model.register(ws, ".", "t").files == ["deep/b.txt"]


def test_the_same_content_has_the_same_digest_and_another_version(ws: Workspace) -> None:
    first, second = (Model.register(ws, "tree", "t") for _ in range(2))
    assert (first.version, second.version) == (1, 2)
    assert first.digest == second.digest != Model.register(ws, "m.pkl", "t").digest


def test_a_registered_model_is_copied_by_its_uri(ws: Workspace) -> None:
    first = Model.register(ws, "tree", "t", model_framework="Custom", tags={"a": 1})
    Model.register(ws, "m.pkl", "t")
    copy = Model.register(ws, "models:/t/1", "copy")
    assert (copy.id, copy.digest, copy.files) == ("copy:1", first.digest, first.files)
    assert (copy.parent_id, copy.tags, copy.model_framework) == ("t:1", {}, "Custom")
    assert first.derived_model_ids == ["copy:1"]
    assert Model.register(ws, "models:/t/latest", "copy").files == ["m.pkl"]


def test_the_libraries_of_a_model_file_are_kept_in_its_details(ws: Workspace) -> None:
    import joblib
    import sklearn
    from sklearn.linear_model import Ridge

    joblib.dump(Ridge().fit([[1.0], [2.0]], [1.0, 2.0]), "ridge.pkl")
    details = Model.register(ws, "ridge.pkl", "r").record.details
    assert details["libraries"]["scikit-learn"] == sklearn.__version__ and details["python"]


def test_refused_arguments_register_nothing(
    ws: Workspace, folder: Path, collect_errors: CollectErrors, snapshot
) -> None:
    Model.register(ws, "m.pkl", "m")
    Model.register(ws, "m.pkl", "m")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "hollow").mkdir()
    cases = {
        "name": lambda: Model.register(ws, "nowhere", "größe x"),
        "name length": lambda: Model.register(ws, "m.pkl", "x" * 256),
        "empty name": lambda: Model.register(ws, "m.pkl", ""),
        "version without framework": lambda: Model.register(ws, "nowhere", "m", model_framework_version="1"),
        "framework": lambda: Model.register(ws, "m.pkl", "m", model_framework="sklearn"),
        "path": lambda: Model.register(ws, "nowhere.pkl", "m"),
        "path in no folder": lambda: Model.register(ws, "no/where.pkl", "m"),
        "dangling path": lambda: Model.register(ws, "dangling", "m"),
        "no path": lambda: Model.register(ws, None, "m"),  # type: ignore[arg-type]
        "empty folder": lambda: Model.register(ws, "hollow", "m"),
        "tags list": lambda: Model.register(ws, "m.pkl", "m", tags=["a"]),  # type: ignore[arg-type]
        "tags key": lambda: Model.register(ws, "m.pkl", "m", tags={1: 2}),  # type: ignore[dict-item]
        "tags value": lambda: Model.register(ws, "m.pkl", "m", tags={"a": {1}}),
        "properties nan": lambda: Model.register(ws, "m.pkl", "m", properties={"a": float("nan")}),
        "child": lambda: Model.register(ws, "tree", "m", child_paths=["nope"]),
        "child outside": lambda: Model.register(ws, "tree", "m", child_paths=["../m.pkl"]),
        "children of a file": lambda: Model.register(ws, "m.pkl", "m", child_paths=["x"]),
        "no children": lambda: Model.register(ws, "tree", "m", child_paths=[]),
        "child string": lambda: Model.register(ws, "tree", "m", child_paths="a.txt"),  # type: ignore[arg-type]
        "resources type": lambda: Model.register(ws, "m.pkl", "m", resource_configuration={"cpu": 1}),  # type: ignore[arg-type]
        "datasets": lambda: Model.register(ws, "m.pkl", "m", datasets=["x"]),
        "models uri": lambda: Model.register(ws, "models:/m", "m"),
        "models uri version": lambda: Model.register(ws, "models:/m/newest", "m"),
        "models uri missing": lambda: Model.register(ws, "models:/m/9", "m"),
        "models uri alias": lambda: Model.register(ws, "models:/m@best", "m"),
        "models uri id": lambda: Model.register(ws, f"models:/m-{'0' * 32}", "m"),
        "description": lambda: Model.register(ws, "m.pkl", "m", description={"a": 1}),  # type: ignore[arg-type]
        "datasets number": lambda: Model.register(ws, "m.pkl", "m", datasets=5),  # type: ignore[arg-type]
    }
    assert collect_errors(cases) == snapshot
    assert [model.id for model in Model.list(ws)] == ["m:2", "m:1"]
    with pytest.raises(FileNotFoundError):  # as in v1
        Model.register(ws, "nowhere.pkl", "m")
