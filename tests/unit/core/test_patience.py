"""A database that is unavailable is waited for, as long as the thread's patience lasts."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mldeploy_jupyter.core.errors import StoreError
from mldeploy_jupyter.core.patience import Wait, patience, retry
from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.core.store import sqlite
from mldeploy_jupyter.core.store.store import Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0)
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    store.save_service(ServiceRecord("svc", "local", "Local"))
    yield store
    store.close()


def test_a_wait_ends_with_the_patience_and_says_when_it_begins_and_ends() -> None:
    notes: list[str] = []
    time = [0.0]

    def sleep(seconds: float) -> None:
        time[0] += seconds

    with patience(60, notes.append):
        wait = Wait(clock=lambda: time[0], sleep=sleep)
    attempts = 0
    while wait.pause("it is gone"):
        attempts += 1
    assert 590 < attempts < 610
    wait.end()
    assert notes == [
        "the workspace's store is unavailable; waiting up to 60 s: it is gone",
        "the workspace's store is back",
    ]


def test_a_locked_store_is_waited_for_and_the_note_says_so(store: Store, tmp_path: Path) -> None:
    notes: list[str] = []
    other = sqlite3.connect(tmp_path / "store.db", check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")

    def note(text: str) -> None:
        notes.append(text)
        if len(notes) == 1:
            other.rollback()  # it is unavailable until somebody has noticed

    with patience(60, note):
        store.update_service("svc", state="Live")
    other.close()
    assert "database is locked" in notes[0] and notes[1:] == ["the workspace's store is back"]


def test_a_file_that_comes_back_costs_a_runner_nothing(store: Store, tmp_path: Path) -> None:
    path, away = tmp_path / "store.db", tmp_path / "away"
    store.close()
    tmp_path.joinpath("store.db").rename(away)
    path.mkdir()  # as where a file system is not mounted
    came_back = threading.Event()

    def note(text: str) -> None:
        if not came_back.is_set():
            came_back.set()
            path.rmdir()
            away.rename(path)

    with pytest.raises(StoreError):  # a command does not wait for what is most likely a mistake
        store.update_service("svc", state="Live")
    with patience(60, note):
        assert store.update_service("svc", state="Live").state == "Live"
    assert came_back.is_set()


def test_a_step_is_run_again_until_what_is_away_is_back() -> None:
    notes: list[str] = []
    errors = [OSError("gone"), OSError("still gone")]

    def step() -> str:
        if errors:
            raise errors.pop(0)
        return "done"

    with patience(60, notes.append):
        assert retry(step, lambda error: isinstance(error, OSError), "the disk") == "done"
    assert notes == ["the disk is unavailable; waiting up to 60 s: gone", "the disk is back"]


def test_a_step_that_fails_for_good_is_run_once() -> None:
    attempts: list[int] = []

    def step() -> None:
        attempts.append(1)
        raise ValueError("wrong")

    with patience(60), pytest.raises(ValueError, match="wrong"):
        retry(step, lambda error: isinstance(error, OSError), "the disk")
    assert len(attempts) == 1
