from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.images import oci_base
from mldeploy_jupyter.images.blob_store import BlobStore
from mldeploy_jupyter.images.oci_base import Base, LayerFacts, clean_name, merge_layers, read_base, scan_layer
from tests.unit.images.bases import DEBIAN, Files, archive, write_base


def pieces(content: bytes) -> Iterator[bytes]:
    yield from (content[start : start + 700] for start in range(0, len(content), 700))


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


def test_folder_that_is_emptied() -> None:
    first = LayerFacts(files=["usr/bin/python3.11", "etc/passwd"], texts={"etc/passwd": "a"})
    second = LayerFacts(files=["usr/bin/python3.12"], emptied=["usr/bin"])
    files, texts = merge_layers([first, second])
    assert files == {"usr/bin/python3.12", "etc/passwd"}
    assert texts == {"etc/passwd": b"a"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("./etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("a//b/./c", "a/b/c"),
        ("../etc/passwd", None),
        ("a/../../b", None),
        ("a\0b", None),
    ],
)
def test_names_stay_inside_of_the_image(name: str, expected: str | None) -> None:
    assert clean_name(name) == expected


def test_hostile_archive_is_only_read(tmp_path: Path) -> None:
    """Fault 27: names that lead out, links, devices and files of a great size; nothing is written anywhere."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("../../etc/passwd", "/etc/group", "etc/os-release"):
            info = tarfile.TarInfo(name)
            info.size = 2
            tar.addfile(info, io.BytesIO(b"hi"))
        for kind in (tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE):
            info = tarfile.TarInfo("etc/passwd")
            info.type, info.linkname = kind, "/etc/shadow"
            tar.addfile(info)
        link = tarfile.TarInfo("lib")
        link.type, link.linkname = tarfile.SYMTYPE, "../../../../etc"
        tar.addfile(link)
    before = sorted(tmp_path.rglob("*"))
    facts = scan_layer(pieces(out.getvalue()))
    files, texts = merge_layers([facts])
    assert texts["etc/group"] == b"hi"
    assert "etc/passwd" not in texts
    assert not any(name.startswith("..") for name in files)
    assert sorted(tmp_path.rglob("*")) == before


def test_large_files_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oci_base, "FILE_LIMIT", 10)
    assert scan_layer(pieces(archive({"etc/passwd": bytes(11)}))).texts == {}


def test_archive_with_too_many_files_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oci_base, "ENTRY_LIMIT", 2)
    with pytest.raises(ValueError, match="more than 2 files"):
        scan_layer(pieces(archive({name: b"" for name in "abc"})))


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
