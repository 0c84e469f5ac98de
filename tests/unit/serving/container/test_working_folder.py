"""Working folders in a container: writable copies of code, links to models."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mldeploy_jupyter.serving.container.working_folder import create_working_folder, remove_unused


@pytest.fixture
def image_app(tmp_path: Path) -> Path:
    app = tmp_path / "image"
    (app / "src").mkdir(parents=True)
    (app / "src" / "score.py").write_text("code")
    (app / "src" / "link.py").symlink_to("score.py")
    (app / "azureml-models" / "m" / "1").mkdir(parents=True)
    (app / "src" / "azureml-models").mkdir()  # a folder of the user's with that name is code
    (app / "src" / "azureml-models" / "mine").write_text("mine")
    for path in [app, *app.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o555 if path.is_dir() else 0o444)
    return app


def test_code_is_copied_and_models_are_linked(tmp_path: Path, image_app: Path) -> None:
    app = create_working_folder(tmp_path, 3, image_app)
    assert app == tmp_path / "revisions" / "3" / "app"
    (app / "src" / "score.py").write_text("changed")
    (app / "src" / "new").write_text("new")
    assert (image_app / "src" / "score.py").read_text() == "code"
    assert os.readlink(app / "src" / "link.py") == "score.py"
    assert (app / "src" / "azureml-models" / "mine").read_text() == "mine"
    assert os.readlink(app / "azureml-models") == str(image_app / "azureml-models")


def test_a_folder_in_use_is_never_taken(tmp_path: Path, image_app: Path) -> None:
    first, second = (create_working_folder(tmp_path, 3, image_app) for _ in range(2))
    assert first != second and second.parent.name == "3-2"
    remove_unused(tmp_path, second)
    assert not first.exists() and second.exists()
    remove_unused(tmp_path, None)
    assert list((tmp_path / "revisions").iterdir()) == []


def test_code_that_came_later_is_moved(tmp_path: Path, image_app: Path) -> None:
    source = tmp_path / "incoming"
    (source / "src").mkdir(parents=True)
    (source / "src" / "score.py").write_text("later")
    app = create_working_folder(tmp_path, 4, image_app, source)
    assert not source.exists() and (app / "src" / "score.py").read_text() == "later"
    assert (app / "azureml-models" / "m" / "1").is_dir()
    with pytest.raises(OSError, match="incoming"):
        create_working_folder(tmp_path, 5, image_app, source)
    assert not (tmp_path / "revisions" / "5").exists()
