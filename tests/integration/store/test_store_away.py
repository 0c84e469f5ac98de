"""A PostgreSQL that stops and comes back within a minute costs no write of a runner; a command says what is away."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest

from mldeploy_jupyter.core.errors import StoreError
from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.core.store.patience import patience
from mldeploy_jupyter.core.store.store import Store
from tests.engines.postgres import REASON, find_binaries, postgres_server

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
        assert len(notes) == 2 and "is away; waiting up to 60 s" in notes[0]
        store.close()


def store_folder(store: Store) -> str:
    with store._database.begin() as connection:
        return str(connection.exec_driver_sql("SHOW data_directory").scalar_one())
