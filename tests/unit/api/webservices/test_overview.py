"""Lists of many services: a number of queries and of waits that does not grow with them."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from mldeploy_jupyter import Webservice, Workspace, commands
from mldeploy_jupyter.api.webservices.overview import read_overviews
from mldeploy_jupyter.core.records import RevisionRecord, ServiceRecord
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
from mldeploy_jupyter.deployment import query_statuses
from mldeploy_jupyter.deployment.services import status
from mldeploy_jupyter.serving.system import procfs
from mldeploy_jupyter.targets import ServiceStatus
from mldeploy_jupyter.targets.process import ProcessTarget
from tests.queries import count_queries
from tests.unit.commands.support import make_context


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.create(path=str(tmp_path), exist_ok=True)


def add_services(folder: WorkspaceFolder, count: int) -> None:
    """Services that were live and have no process, as after a restart of the machine."""
    store = folder.open_store()
    for number in range(count):
        name = f"service-{number}"
        store.add_revision(RevisionRecord(name, models=["m:1"], outcome="live"), durable=False)
        store.save_service(ServiceRecord(name, "local", "Local", state="Live", revision=1))


def test_a_list_takes_as_many_queries_for_thirty_services_as_for_three(ws: Workspace) -> None:
    counts = []
    for count in (3, 30):
        add_services(ws.folder, count)
        with count_queries(ws.folder) as queries:
            found = read_overviews(Webservice.list(ws))
        assert {read.shown_state for read in found} == {"Unhealthy"} and len(found) == count
        assert found[0].data == Webservice(ws, found[0].service.name).serialize()
        counts.append(len(queries))
    assert counts[0] == counts[1] < 15


@pytest.mark.parametrize("line", [["service", "list"], ["service", "list", "--json"], ["service", "show", "ser"]])
def test_a_command_and_completion_take_as_many_queries_for_any_number(
    ws: Workspace, line: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ws.folder.root.parent)
    counts = []
    for count in (3, 30):
        add_services(ws.folder, count)
        with count_queries(ws.folder) as queries:
            if line[1] == "show":
                assert len(commands.complete_line(line, make_context())) == count
            else:
                commands.run(line, context=make_context())
        counts.append(len(queries))
    assert 0 < counts[0] == counts[1] < 15


def test_the_processes_of_the_machine_are_read_once_for_a_list(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    add_services(ws.folder, 10)
    listed: list[Path] = []
    monkeypatch.setattr(procfs, "list_pids", lambda proc: listed.append(proc) or [])
    assert len(read_overviews(Webservice.list(ws))) == 10
    assert len(listed) == 1


def test_those_that_serve_a_model_are_found_with_one_more_query(ws: Workspace) -> None:
    add_services(ws.folder, 30)
    counts = []
    for filters in ({}, {"model_name": "m"}):
        with count_queries(ws.folder) as queries:
            assert len(Webservice.list(ws, **filters)) == 30
        counts.append(len(queries))
    assert counts[1] - counts[0] == 3  # a transaction: its begin, a look at the schema, the query


def test_a_service_deleted_meanwhile_is_left_out(ws: Workspace) -> None:
    add_services(ws.folder, 2)
    services = Webservice.list(ws)
    ws.folder.open_store().remove_service("service-0")
    assert [read.service.name for read in read_overviews(services)] == ["service-1"]


def test_targets_are_asked_side_by_side_and_one_that_is_late_hides_no_other(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_services(ws.folder, 40)
    held = threading.Event()

    def answer(self: ProcessTarget, service: ServiceRecord) -> ServiceStatus:
        if service.name == "service-3":
            held.wait(60)
        return ServiceStatus("Live")

    monkeypatch.setattr(ProcessTarget, "status", answer)
    # The time begins, is the same at each wait for the 39 that answer, and is over when the last one is waited for.
    times = iter([0.0] * 40)
    monkeypatch.setattr(status, "time", SimpleNamespace(monotonic=lambda: next(times, 1000.0)))
    monkeypatch.setattr(status, "STATUSES_SECONDS", 60)
    statuses = query_statuses(ws.folder, ws.folder.open_store().list_services())
    held.set()
    late = statuses.pop("service-3")
    assert late.state == "Unhealthy" and late.failure["code"] == "status-late"
    assert [found.state for found in statuses.values()] == ["Live"] * 39
