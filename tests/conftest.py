"""What every test gets: a home of its own, so that no test sees or changes the user's workspaces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The per-user index goes to a temporary folder; built environments are shared by the tests of one run."""
    before = dict(os.environ)
    os.environ["MLDEPLOY_HOME"] = str(tmp_path_factory.mktemp("home"))
    os.environ.setdefault("MLDEPLOY_CACHE", str(tmp_path_factory.mktemp("cache")))
    os.environ.pop("MLDEPLOY_WORKSPACE", None)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def folder(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory, and a user who knows no workspace yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLDEPLOY_HOME", str(tmp_path_factory.mktemp("home")))
    return tmp_path
