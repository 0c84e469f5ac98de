from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.images.blob_store import BlobStore
from mldeploy_jupyter.images.oci_base import Base, read_base
from tests.unit.images.bases import DEBIAN, Files, write_base


def read(folder: Path, *layers: Files) -> Base:
    store = BlobStore(folder / "cache")
    name = write_base(folder / "base", *layers)
    return read_base(name, "linux/amd64", store, lambda *args, **kwargs: None, lambda: None)


def test_facts_of_a_base(tmp_path: Path) -> None:
    base = read(tmp_path)
    assert base.facts.system == "Debian GNU/Linux 12 (bookworm)"
    assert base.facts.libc == "glibc 2.36"
    assert base.glibc == (2, 36)
    assert base.facts.pythons == ["3.11.2"]
    assert base.facts.packages == [["deb", "python3.11", "3.11.2-6", "amd64"]]
    assert base.python("3.11.7") == "/usr/bin/python3.11"
    assert base.python("3.12.1") == ""
    assert base.texts["etc/passwd"].startswith(b"root:")


def test_later_layers_add_replace_and_remove(tmp_path: Path) -> None:
    local = {
        "usr/local/bin/python3.12": b"",
        "usr/local/lib/python3.12/asyncio/__init__.py": b"",
        "usr/local/lib/python3.12/ssl.py": b"",
        "etc/passwd": b"root:x:0:0:second\n",
    }
    base = read(tmp_path, DEBIAN, local, {"usr/bin/.wh.python3.11": b""})
    assert base.python("3.12.0") == "/usr/local/bin/python3.12"
    assert base.python("3.11.0") == ""
    assert b"second" in base.texts["etc/passwd"]


def test_python_without_its_library_does_not_count(tmp_path: Path) -> None:
    minimal = {name: content for name, content in DEBIAN.items() if "asyncio" not in name}
    base = read(tmp_path, minimal)
    assert base.facts.pythons == ["3.11.2"]
    assert base.python("3.11.2") == ""


def test_layer_with_another_content_than_its_digest_is_refused(tmp_path: Path) -> None:
    """Fault 45: what the manifest names is what is used."""
    name = write_base(tmp_path / "base")
    largest = max((tmp_path / "base" / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    content = largest.read_bytes()
    largest.write_bytes(content[:-20] + bytes(20))
    with pytest.raises(ImageError) as refused:
        read_base(name, "linux/amd64", BlobStore(tmp_path / "cache"), lambda *args, **kwargs: None, lambda: None)
    assert refused.value.code == "DigestMismatch"


def test_compression_that_is_not_read_is_named() -> None:
    from mldeploy_jupyter.images.blob_store import decompress

    with pytest.raises(ValueError, match="zstd"):
        list(decompress(iter([b"\x28\xb5\x2f\xfd rest"])))
