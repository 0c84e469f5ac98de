"""Layers depend on what is in them, and on nothing of the machine that makes them."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from mldeploy_jupyter.core.errors import StorageError
from mldeploy_jupyter.images.layer_tar import iterate_tar
from tests.unit.images.contents import SCRIPT, make_content

MODELS = {"churn": b"weights", "scaler": b"numbers"}


def test_what_changes_more_often_comes_later(tmp_path: Path) -> None:
    layers = make_content(tmp_path, models=MODELS).layers()
    assert [layer.name for layer in layers] == ["server", "model churn:1", "model scaler:1", "code"]
    assert list(layers[1].entries) == ["var/azureml-app/azureml-models/churn/1/model.bin"]
    assert {"opt/mldeploy/service.json", "var/azureml-app/source/score.py"} < layers[-1].entries.keys()


def test_only_the_layer_that_changed_has_another_key(tmp_path: Path) -> None:
    before, script, model = (
        [layer.key for layer in make_content(tmp_path / name, script=text, models=models).layers()]
        for name, text, models in [
            ("1", SCRIPT, MODELS),
            ("2", SCRIPT + "# changed\n", MODELS),
            ("3", SCRIPT, {**MODELS, "scaler": b"other"}),
        ]
    )
    assert [one == other for one, other in zip(before, script, strict=True)] == [True, True, True, False]
    assert [one == other for one, other in zip(before, model, strict=True)] == [True, True, False, False]


def test_bytes_do_not_depend_on_place_time_mode_or_umask(tmp_path: Path) -> None:
    def archive(folder: Path) -> bytes:
        content = make_content(folder, models=MODELS)
        return b"".join(piece for layer in content.layers() for piece in iterate_tar(layer.entries))

    first = archive(tmp_path / "one")
    old = os.umask(0o002)
    try:
        content = make_content(tmp_path / "two" / "deeper", models=MODELS)
    finally:
        os.umask(old)
    for path in content.bundle.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o777)
    assert b"".join(piece for layer in content.layers() for piece in iterate_tar(layer.entries)) == first


def test_the_container_is_told_what_to_run(tmp_path: Path) -> None:
    content = make_content(tmp_path, models={"churn": b"x"}, settings={"workers": 2})
    data = json.loads(content.service_file())
    assert data["model_dir"] == "/var/azureml-app/azureml-models/churn/1"
    assert (data["entry_script"], data["source_directory"]) == ("source/score.py", "source")
    assert (data["env"], data["defaults"]) == ({"MODE": "fast"}, {"workers": 2})
    assert data["bundle"] == content.bundle.name == content.image_labels()["io.mldeploy.bundle"]


def test_the_state_folder_belongs_to_the_service_s_user(tmp_path: Path) -> None:
    data = b"".join(iterate_tar(make_content(tmp_path).server_layer().entries))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        state = archive.getmember("var/lib/mldeploy")
        assert (state.uid, state.gid, state.mode) == (10001, 10001, 0o1777)
        assert archive.getmember("var/lib").mode == 0o755


def test_a_model_without_a_file_is_refused_by_name(tmp_path: Path) -> None:
    content = replace(make_content(tmp_path, models=MODELS), model_files=lambda model: {})
    with pytest.raises(StorageError, match=r"azureml-models/churn/1/model\.bin"):
        content.layers()


def test_a_bundle_that_is_gone_is_found_when_it_is_read(tmp_path: Path) -> None:
    content = make_content(tmp_path)
    shutil.rmtree(content.bundle)
    with pytest.raises(StorageError, match="could not be read"):
        list(iterate_tar(content.code_layer().entries))
