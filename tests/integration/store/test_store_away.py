"""A PostgreSQL that is back within a minute costs no write of a runner; a command says what is unavailable."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, event

from mldeploy_jupyter.core.errors import StoreError
from mldeploy_jupyter.core.patience import patience
from mldeploy_jupyter.core.records import DeploymentRecord, ModelRecord, RevisionRecord, ServiceRecord
from mldeploy_jupyter.core.store.store import Store
from tests.engines.postgres import REASON, find_binaries, postgres, postgres_server, postgres_url  # noqa: F401

pytestmark = pytest.mark.postgres


def test_a_restart_costs_a_runner_nothing() -> None:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip(REASON)
    with postgres_server(binaries) as url:
        store = Store(url)
        store.save_service(ServiceRecord("svc", "local", "Local"))
        place = Path(store_folder(store))
        owner = place.stat()
        options = (place / "postmaster.opts").read_text().split('"')
        arguments = options[1::2]
        as_owner = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}

        def control(*words: str) -> None:
            command = [str(binaries / "pg_ctl"), "-D", str(place), "-w", *words]
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            subprocess.run(command, check=True, cwd=place, **as_owner, **quiet)  # type: ignore[call-overload]

        control("-m", "fast", "stop")
        with pytest.raises(StoreError, match="cannot be used"):  # a command waits two seconds
            store.update_service("svc", state="Live")
        notes: list[str] = []
        noticed = threading.Event()

        def note(text: str) -> None:
            notes.append(text)
            noticed.set()

        def restart() -> None:
            noticed.wait(60)
            control("-l", str(place / "again.log"), "-o", " ".join(arguments), "start")

        starter = threading.Thread(target=restart)
        starter.start()
        with patience(60, note):
            assert store.update_service("svc", state="Live").state == "Live"
        starter.join()
        assert len(notes) == 2 and "is unavailable; waiting up to 60 s" in notes[0]
        store.close()


def store_folder(store: Store) -> str:
    query = "SHOW data_directory"
    return str(store._database.run(lambda connection: connection.exec_driver_sql(query).scalar_one()))


SERVICE = ServiceRecord("svc", "local", "Local")

HERE = {"pid": 1, "started": "1", "host": "here"}

# Every write of a store, and what it returns when it is carried out once.
WRITES: dict[str, tuple[Callable[[Store], Any], Any]] = {
    "add_model": (lambda store: store.add_model(ModelRecord("m")).version, 2),
    "change_model": (lambda store: store.change_model("m", 1, lambda _: {"tags": {"a": "b"}}).tags, {"a": "b"}),
    "delete_model": (lambda store: store.delete_model("m", 1), True),
    "save_service": (lambda store: store.save_service(SERVICE).name, "svc"),
    "update_service": (lambda store: store.update_service("svc", state="Live").state, "Live"),
    "remove_service": (lambda store: store.remove_service("svc"), True),
    "add_revision": (lambda store: store.add_revision(RevisionRecord("svc", deployment_id="d1")).number, 2),
    "update_revision": (lambda store: store.update_revision("svc", 1, outcome="failed").outcome, "failed"),
    "promote_revision": (lambda store: store.promote_revision("svc", 1, state="Live"), None),
    "add_deployment": (lambda store: store.add_deployment(DeploymentRecord("d2", "svc", "local")).id, "d2"),
    "begin_deployment": (
        lambda store: store.begin_deployment(DeploymentRecord("d2", "svc", "local"), SERVICE, lambda _: {}).id,
        "d2",
    ),
    "update_deployment": (lambda store: store.update_deployment("d1", state="live").state, "live"),
    "remove_deployments": (lambda store: store.remove_deployments(["d1"]), 1),
    "add_environment": (lambda store: store.add_environment("e", {"a": 1}), 1),
    "acquire": (lambda store: store.leases.acquire("other", "d1", 30, HERE).holder, "d1"),
    "renew": (lambda store: store.leases.renew("svc", "d1", 30), True),
    "release": (lambda store: store.leases.release("svc", "d1"), True),
}

COUNTED = ("list_models", "list_services", "list_revisions", "list_deployments", "list_environments")


def fill(store: Store) -> None:
    store.add_model(ModelRecord("m"))
    store.save_service(SERVICE)
    store.add_deployment(DeploymentRecord("d1", "svc", "local"))
    store.add_revision(RevisionRecord("svc", deployment_id="d1"))
    store.leases.acquire("svc", "d1", 30, HERE)


def end_backend(connection: Connection, url: str) -> None:
    """Ends the server's process of a connection, as a restart of PostgreSQL does."""
    pid = connection.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


@pytest.mark.parametrize("moment", ["before the commit", "after the commit"])
def test_a_backend_that_ends_in_a_commit_costs_no_write_and_doubles_none(
    postgres_url: str,  # noqa: F811
    moment: str,
) -> None:
    for name, (write, wanted) in WRITES.items():
        with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
        store = Store(postgres_url)
        fill(store)
        before = {rows: len(getattr(store, rows)()) for rows in COUNTED}
        ended = end_in_next_commit(store, postgres_url, moment)
        if name == "change_model":  # what a change computes may depend on what is there: it is not computed twice
            with pytest.raises(StoreError, match="was lost during a write"):
                write(store)
        else:
            assert write(store) == wanted, name
        assert ended, name
        after = {rows: len(getattr(store, rows)()) for rows in COUNTED}
        assert all(abs(after[rows] - before[rows]) <= 1 for rows in COUNTED), (name, before, after)
        store.close()


def end_in_next_commit(store: Store, url: str, moment: str) -> list[str]:
    """Ends the backend of the next commit; the list that is returned then has its moment."""
    ended: list[str] = []

    def end(connection: Connection) -> None:
        if not ended:
            ended.append(moment)
            if moment == "after the commit":  # the commit that SQLAlchemy is about to send is then of nothing
                driver = connection.connection.driver_connection
                driver.commit()  # type: ignore[union-attr]
                driver.execute("SELECT 1")  # type: ignore[union-attr]
            end_backend(connection, url)

    event.listen(store._database.engine, "commit", end)
    return ended


def test_a_backend_that_ends_in_the_middle_costs_no_transaction(postgres_url: str) -> None:  # noqa: F811
    store = Store(postgres_url)
    fill(store)
    ends = ["read", "write"]

    def step(connection: Connection) -> str:
        if ends:
            kind = ends.pop()
            end_backend(connection, postgres_url)
            connection.exec_driver_sql("SELECT 1")
            return kind
        return "again"

    assert store._database.run(step) == "again"
    ends = ["write"]
    assert store._database.run(step, write=True, repeatable=False) == "again"
    store.close()
