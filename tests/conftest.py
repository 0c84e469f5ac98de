"""What every test gets: a home of its own, so that no test sees or changes the user's workspaces."""

from __future__ import annotations

import os
import signal
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


@pytest.fixture(scope="session", autouse=True)
def _interrupts_arrive() -> None:
    """A shell that starts the tests with `&` has them, and all they start, ignore Ctrl-C, which some tests press."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def folder(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory, and a user who knows no workspace yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLDEPLOY_HOME", str(tmp_path_factory.mktemp("home")))
    return tmp_path
