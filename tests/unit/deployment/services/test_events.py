"""A service's events: each change once, whoever finds it."""

from __future__ import annotations

import threading
from pathlib import Path

from mldeploy_jupyter.core.records import utc_time
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder, create_workspace
from mldeploy_jupyter.deployment import read_service_events, record_service_event
from mldeploy_jupyter.deployment.services import events as service_events


def make_folder(path: Path) -> WorkspaceFolder:
    folder = create_workspace(path, exist_ok=True)
    (folder.services / "churn").mkdir(parents=True)
    return folder


def kinds(folder: WorkspaceFolder) -> list[str]:
    return [event["kind"] for event in read_service_events(folder, "churn")][::-1]


def test_a_change_is_written_once_by_whoever_finds_it(folder: Path) -> None:
    home = make_folder(folder)
    assert not record_service_event(home, "churn", "live", "Answers again")  # no news
    threads = [
        threading.Thread(target=record_service_event, args=(home, "churn", "died", "It is gone")) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kinds(home) == ["died"]
    assert record_service_event(home, "churn", "live", "Answers again")
    assert kinds(home) == ["died", "live"]


def test_who_asked_earlier_does_not_undo_what_was_found_later(folder: Path) -> None:
    """On a busy machine an answer may be written long after it was given."""
    home = make_folder(folder)
    early, late = utc_time(1_000_000_000.0), utc_time(1_000_000_001.0)
    assert record_service_event(home, "churn", "unhealthy", "It does not answer", asked=early)
    assert record_service_event(home, "churn", "died", "It is gone", asked=late)
    assert not record_service_event(home, "churn", "live", "Answers again", asked=early)
    assert not record_service_event(home, "churn", "unhealthy", "It does not answer", asked=early)
    assert record_service_event(home, "churn", "worker-replaced", "Another", {"pid": 2}, asked=late)
    assert not record_service_event(home, "churn", "worker-replaced", "Another", {"pid": 1}, asked=early)
    assert [event["time"] for event in read_service_events(home, "churn")] == [late, late, early]


def test_a_clock_that_was_set_back_hides_nothing(folder: Path) -> None:
    home = make_folder(folder)
    assert record_service_event(home, "churn", "died", "It is gone", asked="2999-01-01T00:00:00.000Z")
    assert record_service_event(home, "churn", "live", "Answers again")


def test_each_replaced_worker_is_an_event(folder: Path) -> None:
    home = make_folder(folder)
    for pid in (1, 1, 2):
        record_service_event(home, "churn", "worker-replaced", "It was replaced", {"pid": pid, "time": "t"})
        record_service_event(home, "churn", "live", "Answers again")
    assert kinds(home) == ["worker-replaced", "worker-replaced"]


def test_a_service_that_is_gone_gets_no_folder(folder: Path) -> None:
    home = create_workspace(folder)
    assert not record_service_event(home, "churn", "died", "It is gone")
    assert not (home.services / "churn").exists() and read_service_events(home, "churn") == []


def test_a_damaged_line_hides_no_other_and_the_file_stays_small(folder: Path) -> None:
    home = make_folder(folder)
    record_service_event(home, "churn", "died", "It is gone")
    path = service_events.events_path(home, "churn")
    with path.open("a") as file:
        file.write('{"kind": "li')
    record_service_event(home, "churn", "live", "Answers again")
    assert kinds(home) == ["died", "live"]
    for number in range(4000):
        record_service_event(home, "churn", "worker-replaced", "x" * 100, {"pid": number})
        if number == 2000:
            assert path.stat().st_size > service_events.MAX_BYTES // 2
    assert path.stat().st_size < service_events.MAX_BYTES + 1000
    assert read_service_events(home, "churn", 1)[0]["data"] == {"pid": 3999}
