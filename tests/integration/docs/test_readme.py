"""The README's own examples run as they are printed."""

from __future__ import annotations

import re
from pathlib import Path

from tests.integration.docs.pages import Reader

README = Path(__file__).resolve().parents[3] / "README.md"


def test_the_examples_run_as_printed_one_after_the_other(tmp_path: Path) -> None:
    """The cells in a notebook in an empty folder, then the Python program and the commands in the same folder."""
    page = README.read_text()
    begin, end = page.index("## In a notebook"), page.index("## What it does today")
    folder = tmp_path / "demo"
    folder.mkdir()
    reader = Reader(folder)
    try:
        reader.read(page[begin:end])
    finally:
        reader.close()
    assert reader.ran == 11


def test_pictures_are_small() -> None:
    pictures = sorted((README.parent / "docs" / "pictures").glob("*.png"))
    assert 0 < len(pictures) <= 20  # ten, each light and dark
    assert all(picture.stat().st_size < 150_000 for picture in pictures)


def test_links_of_the_readme_resolve() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README.read_text())
    assert links
    for link in links:
        assert (README.parent / link).exists(), link
