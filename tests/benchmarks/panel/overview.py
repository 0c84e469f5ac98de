"""What lists of very many services and models cost: `python -m tests.benchmarks.panel.overview [--seconds 20]`.

A workspace gets the records and folders of 500 services and 2,000 models; one process stands for all supervisors, and
questions to services are answered at once. A view subscribes to the overview: how long until it has everything, what a
minute costs when nothing happens, how soon one change and the death of all supervisors are seen.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mldeploy_jupyter import Workspace, deployment
from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.files import write_json
from mldeploy_jupyter.core.records import DeploymentRecord, ModelRecord, RevisionRecord, ServiceRecord, utc_now
from mldeploy_jupyter.core.store.rows import to_row
from mldeploy_jupyter.core.store.tables import tables
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
from mldeploy_jupyter.panel import PanelContext, Subscriptions
from mldeploy_jupyter.serving.system.identity import folder_identity
from tests.polling import wait_until

SERVICES, MODELS = 500, 2000


def fill(folder: WorkspaceFolder, pid: int) -> None:
    """Records and folders as so many deployments would have left them; `pid` is everybody's supervisor."""
    now, host, started = utc_now(), process_identity.host_name(), process_identity.start_time(pid)
    models = [
        ModelRecord(f"model-{n // 4}", n % 4 + 1, "0" * 64, 1000, {"m.pkl": ["0" * 64, 1000]}, {"team": "care"},
                    description="x" * 80, created_time=now)
        for n in range(MODELS)
    ]  # fmt: skip
    services, revisions, deployments = [], [], []
    for n in range(SERVICES):
        name, port = f"svc-{n}", 10_000 + n
        endpoint = {"scoring_uri": f"http://127.0.0.1:{port}/score", "port": port, "host": host}
        services.append(ServiceRecord(name, workspace_id=folder.id, state="Live", revision=2, deployment_id=f"d{n}-2",
                                      endpoint=endpoint, created_time=now))  # fmt: skip
        for number, outcome in ((1, "kept"), (2, "live")):
            id = f"d{n}-{number}"
            environment = {"lock": "x" * 3000}
            revisions.append(RevisionRecord(name, number, environment=environment, models=[f"model-{n}:{number}"],
                                            deployment_id=id, created_time=now, outcome=outcome))  # fmt: skip
            deployments.append(DeploymentRecord(id, name, state="live", created_time=now, finished_time=now))
        place = folder.services / name
        place.mkdir(parents=True)
        supervisor = {"pid": pid, "started": started, "port": port, "control": str(place / "control.sock"),
                      "folder": folder_identity(place)}  # fmt: skip
        write_json(place / "supervisor.json", supervisor)
        write_json(place / "live.json", {"settings": {}, "revision": 2, "port": port, "deployment_id": f"d{n}-2"})
    rows: list[tuple[Any, list[Any]]] = [
        (tables().models, models), (tables().services, services), (tables().revisions, revisions),
        (tables().deployments, deployments),
    ]  # fmt: skip

    def write(connection: Any) -> None:
        for table, records in rows:
            connection.execute(table.insert(), [to_row(table, record) for record in records])

    folder.open_store()._rows.write(write)


def main(seconds: float) -> None:
    with tempfile.TemporaryDirectory() as place:
        os.environ["MLDEPLOY_HOME"] = f"{place}/home"
        folder = Workspace.create(path=Path(place) / "big").folder
        supervisor = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        fill(folder, supervisor.pid)
        deployment.query_status = lambda folder, record: deployment.ServiceStatus("Live")  # no socket to be asked
        subscriptions = Subscriptions(PanelContext())
        events: list[dict[str, Any]] = []
        rows: dict[str, dict[str, Any]] = {}
        lock = threading.Lock()

        def receive(event: dict[str, Any]) -> None:
            with lock:
                events.append(event)
                rows.update({row["service"]: row for row in event.get("services", [])})

        def measure(what: str, act: Callable[[], Any], until: Callable[[], Any]) -> None:
            wall, cpu = time.perf_counter(), time.process_time()
            act()
            wait_until(until)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            print(f"{what:36} {wall * 1000:6.0f} ms, {cpu * 1000:4.0f} ms of CPU")

        def idle(what: str) -> None:
            cpu = time.process_time()
            threading.Event().wait(seconds)
            print(f"{what:36} {(time.process_time() - cpu) * 60_000 / seconds:6.0f} ms of CPU a minute")

        measure("everything, on the first look", lambda: subscriptions.subscribe("overview", {}, receive),
                lambda: len(rows) == SERVICES)  # fmt: skip
        print(f"{'events until then':36} {len(json.dumps(events)) / 1000:6.0f} kB")
        threading.Event().wait(5)
        idle("nothing happens")
        store = folder.open_store()
        measure("one service changes", lambda: store.update_service("svc-7", endpoint={"scoring_uri": "x"}),
                lambda: rows["svc-7"]["scoringUri"] == "x")  # fmt: skip
        measure("all supervisors die", supervisor.kill,
                lambda: sum(row["state"] == "unhealthy" for row in rows.values()) >= SERVICES - 1)  # fmt: skip
        supervisor.communicate()
        subscriptions.close()
        threading.Event().wait(3)
        idle("nobody looks")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="how long idling is measured")
    main(parser.parse_args().seconds)
