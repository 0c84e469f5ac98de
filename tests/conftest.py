"""What every test gets: a home of its own, so that no test sees or changes the user's workspaces."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.halves import WHOLE_RUN

pytest_plugins = ["tests.engines.fixtures", "tests.signals"]

MAX_LEFT_OPEN = 400  # files of a whole run: caches of libraries, what lasts for the session, connections that stay open


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
    """An empty current directory, and a user who knows no workspace yet and does not use MLflow."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLDEPLOY_HOME", str(tmp_path_factory.mktemp("home")))
    # Runs are looked for in MLflow where the process has imported it, as another test may have.
    monkeypatch.delitem(sys.modules, "mlflow", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    return tmp_path


@pytest.fixture(scope="session", autouse=True)
def _opened_by() -> Iterator[Counter[str]]:
    """How many files each module of tests has left open. Fails at the end of a run that leaves many.

    The stores of workspaces do not count: a process keeps some of them open.
    """
    opened_by: Counter[str] = Counter()
    yield opened_by
    left = sum(opened_by.values())
    assert left <= MAX_LEFT_OPEN, f"{WHOLE_RUN} {left} files are left open, by {opened_by.most_common(5)}"


@pytest.fixture(scope="module", autouse=True)
def _count_open_files(request: pytest.FixtureRequest, _opened_by: Counter[str]) -> Iterator[None]:
    before = _count_files()
    yield
    if _count_files() > before:
        gc.collect()
        _opened_by[request.node.nodeid] += max(0, _count_files() - before)


def _count_files() -> int:
    """The files and sockets that this process has open, without stores; 0 where the system does not tell."""
    try:
        numbers = os.listdir("/proc/self/fd")
    except OSError:
        return 0
    found = 0
    for number in numbers:
        try:
            found += "/store.db" not in os.readlink(f"/proc/self/fd/{number}")
        except OSError:  # the one with which the folder was read
            continue
    return found
