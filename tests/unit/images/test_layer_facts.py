"""Facts from the archives of an image's layers."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mldeploy_jupyter.images import layer_facts
from mldeploy_jupyter.images.layer_facts import LayerFacts, clean_name, merge_layers, scan_layer
from tests.unit.images.bases import archive


def pieces(content: bytes) -> Iterator[bytes]:
    yield from (content[start : start + 700] for start in range(0, len(content), 700))


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
    monkeypatch.setattr(layer_facts, "FILE_LIMIT", 10)
    assert scan_layer(pieces(archive({"etc/passwd": bytes(11)}))).texts == {}


def test_archive_with_too_many_files_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_facts, "ENTRY_LIMIT", 2)
    with pytest.raises(ValueError, match="more than 2 files"):
        scan_layer(pieces(archive({name: b"" for name in "abc"})))
