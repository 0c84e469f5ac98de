from __future__ import annotations

import errno
import gzip
import os
from pathlib import Path

import pytest

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.images.blob_store import MEMBER, BlobStore, compress, decompress, storage_errors
from mldeploy_jupyter.images.layer_tar import LayerFile, iterate_tar
from mldeploy_jupyter.images.registry.manifests import OCI_GZIP, digest_of


@pytest.mark.parametrize("size", [0, 1, MEMBER - 1, MEMBER, 3 * MEMBER + 7])
def test_compressed_pieces_are_gzip_and_always_the_same(size: int) -> None:
    content = os.urandom(1000) * (size // 1000 + 1)
    content = content[:size]
    packed = b"".join(compress(iter([content])))
    assert packed == b"".join(compress(content[start : start + 999] for start in range(0, size, 999)))
    assert (gzip.decompress(packed) if packed else b"") == content
    assert b"".join(decompress(iter([packed[:10], packed[10:]]))) == content


@pytest.mark.parametrize("cut", [11, 200, -1])
def test_gzip_that_breaks_off_is_refused(cut: int) -> None:
    packed = b"".join(compress(iter([os.urandom(1000)])))
    with pytest.raises(ValueError):
        list(decompress(iter([packed[:cut]])))


def test_layer_is_kept_and_found_by_its_key(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    entries = {"a/b": LayerFile.of(b"text" * 1000)}
    layer = store.add_layer(entries, OCI_GZIP, compressed=True, check=lambda: None)
    plain = b"".join(iterate_tar(entries))
    assert (layer.diff_id, layer.content_size) == (digest_of(plain), len(plain))
    assert gzip.decompress(b"".join(store.read(layer.digest))) == plain
    assert store.has(layer.digest, layer.size)
    store.remember("layers", "key", vars(layer))
    assert store.recall_layer("key") == layer
    assert store.recall_layer("other") is None
    (tmp_path / "layers" / "key.json").write_text('{"digest": 1}')
    assert store.recall_layer("key") is None


def test_nothing_is_left_of_a_layer_that_was_cancelled(tmp_path: Path) -> None:
    def cancel() -> None:
        raise KeyboardInterrupt

    store = BlobStore(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        store.add_layer({"a": LayerFile.of(b"x")}, OCI_GZIP, compressed=True, check=cancel)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_blob_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as gone:
        list(BlobStore(tmp_path).read("sha256:" + "0" * 64))
    assert gone.value.code == "LayerGone"


def test_what_is_not_used_is_swept(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    digest = store.add(b"x" * 100)
    assert store.sweep(min_age=60) == 0
    later = store.path(digest).stat().st_mtime + 100
    assert store.sweep(min_age=60, now=lambda: later) == 100
    assert not store.has(digest, 100)


def test_what_a_package_keeps_is_not_swept_until_the_package_is_gone(tmp_path: Path) -> None:
    store, package = BlobStore(tmp_path / "cache"), tmp_path / "package.json"
    digest, other = store.add(b"x" * 100), store.add(b"y" * 10)
    image = digest_of(b"manifest")
    store.remember("images", image, {"digest": image})
    package.write_text("{}")
    store.keep(image, [digest], package)
    later = store.path(digest).stat().st_mtime + 100
    assert store.sweep(min_age=60, now=lambda: later) == 10
    assert store.has(digest, 100) and not store.has(other, 10) and store.recall("images", image)
    package.unlink()
    assert store.sweep(min_age=60, now=lambda: later + 1e6) > 100
    assert not [path for path in store.folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("error", "code"), [(errno.ENOSPC, "DiskFull"), (errno.EDQUOT, "DiskFull"), (errno.EROFS, "ImageFailed")]
)
def test_a_disk_that_ends_a_build_is_an_error_of_three_lines(tmp_path: Path, error: int, code: str) -> None:
    with pytest.raises(ImageError) as raised, storage_errors(tmp_path):
        raise OSError(error, os.strerror(error))
    assert (raised.value.code, raised.value.why) == (code, f"[Errno {error}] {os.strerror(error)}")
    assert "mldeploy prune" in raised.value.hint


def test_a_lost_connection_is_not_the_disk_s_fault(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError), storage_errors(tmp_path):
        raise ConnectionResetError(errno.ECONNRESET, "reset")
