"""Every block of every guide is run, so that the guides stay true."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.docker import RunningEngine
from tests.engines.postgres import find_binaries, postgres_server
from tests.engines.registry import RegistryServer
from tests.integration.docs.pages import Block, Reader, blocks_of, commands_of, fits

GUIDES = Path(__file__).parents[3] / "docs" / "guides"
NETWORK = {"environments.md"}
OWN_TEST = {"team-store.md", "containers.md"}
NOTHING_TO_RUN = {"troubleshooting.md", "jupyterlab.md", "front-ends.md"}  # symptoms, clicks, other programs
PAGES = sorted(page.name for page in GUIDES.glob("*.md") if page.name not in OWN_TEST | NOTHING_TO_RUN)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "demo"
    made.mkdir()
    yield made


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.network) if name in NETWORK else name for name in PAGES]
)
def test_a_guide_runs_as_printed(name: str, folder: Path) -> None:
    reader = Reader(folder)
    try:
        reader.read((GUIDES / name).read_text())
    finally:
        reader.close()
    assert reader.ran >= (1 if name == "panel-and-forms.md" else 3)  # that page is about what is clicked


@pytest.mark.postgres
def test_the_guide_to_team_stores_runs_with_postgresql(folder: Path) -> None:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL's server binaries are missing")
    with postgres_server(binaries) as url:
        artifacts = folder / "share"
        reader = Reader(folder, {"postgresql+psycopg://team@db.example.com/mldeploy": url, "/mnt/team": str(artifacts)})
        try:
            reader.read((GUIDES / "team-store.md").read_text())
        finally:
            reader.close()
    assert reader.ran >= 3
    assert any((artifacts / "churn").rglob("*"))


@pytest.mark.engines
@pytest.mark.network
@pytest.mark.slow
def test_the_guide_to_containers_runs_with_an_engine(
    folder: Path, docker_engine: RunningEngine, image_registry: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLDEPLOY_BASE_IMAGE", image_registry.base)  # the official one is on another network
    reader = Reader(folder, {"registry.example.com": image_registry.address})
    try:
        reader.read((GUIDES / "containers.md").read_text())
    finally:
        reader.close()
    assert reader.ran >= 3


def test_the_reader_detects_wrong_pages(folder: Path) -> None:
    """Wrong output, an unannounced failure, an announced failure that does not happen."""
    reader = Reader(folder)
    reader.read("```console\n$ echo one; echo two\none\n...\n```\n")
    for page in (
        "```console\n$ echo one\ntwo\n```\n",
        "```console\n$ false\n```\n",
        "```console\n$ echo 'error: no'\nerror: no\n```\n",
    ):
        with pytest.raises(AssertionError):
            reader.read(page)
    assert reader.ran == 4


def test_blocks_and_commands_of_a_page() -> None:
    page = "a\n\n```python file=x.py\n1\n```\n\n```console\n$ a \\\n  b\nout\n$ c\n```\n"
    file, console = blocks_of(page)
    assert (file, file.file) == (Block("python", ("file=x.py",), "1\n", 3), "x.py")
    assert commands_of(console) == [("a \\\n  b", "out\n"), ("c", "")]
    assert fits("a...z", "abc\nz ")
    assert not fits("a", "ab")
