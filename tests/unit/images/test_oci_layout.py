from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.images.oci_layout import iterate_archive, read_layout, write_archive, write_layout
from tests.unit.images.bases import write_base


def test_layout_is_read_as_it_was_written(tmp_path: Path) -> None:
    image = read_layout(Path(write_base(tmp_path / "base").removeprefix("oci:")))
    write_layout(image, tmp_path / "out", "1")
    write_layout(image, tmp_path / "out", "2")
    write_layout(image, tmp_path / "out", "2")
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    assert [entry["annotations"]["org.opencontainers.image.ref.name"] for entry in index["manifests"]] == ["1", "2"]
    again = read_layout(tmp_path / "out", "2")
    assert again.manifest.digest == image.manifest.digest
    assert [b"".join(blob.read(0)) for blob in again.blobs] == [b"".join(blob.read(0)) for blob in image.blobs]
    with pytest.raises(ImageError, match="has 2 images"):
        read_layout(tmp_path / "out")
    with pytest.raises(ImageError, match="no image '3'"):
        read_layout(tmp_path / "out", "3")


def test_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    image = read_layout(Path(write_base(tmp_path / "base").removeprefix("oci:")))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(ImageError) as refused:
        write_layout(image, tmp_path / "mine")
    assert refused.value.code == "NotALayout"
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"manifests": [{"digest": 1}]}', '{"manifests": [{"digest": "sha256:../../../etc/passwd"}]}']
)
def test_damaged_layout_is_refused(tmp_path: Path, text: str) -> None:
    write_base(tmp_path / "base")
    (tmp_path / "base" / "index.json").write_text(text)
    with pytest.raises(ImageError):
        read_layout(tmp_path / "base")


def test_blob_that_was_changed_is_refused_and_not_kept(tmp_path: Path) -> None:
    image = read_layout(Path(write_base(tmp_path / "base").removeprefix("oci:")))
    path = tmp_path / "base" / "blobs" / "sha256" / image.layers[0].digest.removeprefix("sha256:")
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(ImageError) as refused:
        write_layout(image, tmp_path / "out")
    assert refused.value.code == "DigestMismatch"
    assert not (tmp_path / "out" / "index.json").exists()


def test_archive_for_docker_load(tmp_path: Path) -> None:
    image = read_layout(Path(write_base(tmp_path / "base").removeprefix("oci:")))
    write_archive(image, tmp_path / "image.tar", "churn:1")
    assert (tmp_path / "image.tar").read_bytes() == b"".join(iterate_archive(image, "churn:1"))
    with tarfile.open(fileobj=io.BytesIO((tmp_path / "image.tar").read_bytes())) as tar:
        file = tar.extractfile("manifest.json")
        assert file is not None
        manifest = json.loads(file.read())[0]
        assert manifest["RepoTags"] == ["churn:1"]
        layer = tar.extractfile(manifest["Layers"][0])
        assert layer is not None
        assert layer.read() == b"".join(image.layers[0].read(0))
