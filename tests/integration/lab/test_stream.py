"""The stream against a real server: how soon it tells what happens, how much it takes, and how it continues."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter import Workspace
from mldeploy_jupyter.core.journal.journal import Journal
from mldeploy_jupyter.core.records import DeploymentRecord, ServiceRecord
from mldeploy_jupyter.deployment import journal_path, query_status, read_service_events
from tests.browser.gallery import install_esbuild
from tests.integration.deployment.conftest import Site, supervisor_pid
from tests.integration.lab.conftest import Server, StartServer
from tests.polling import wait_until
from tests.unit.panel.protocol import check_event

ROOT = Path(__file__).parents[3]
SOON = 20.0  # seconds; wanted are 2 on a quiet machine, and a busy one takes ten times as long


def overview(id: str = "1") -> dict[str, Any]:
    return {"id": id, "topic": "overview", "params": {}}


def has_service(name: str, state: str = "") -> Callable[[dict[str, Any]], bool]:
    def found(message: dict[str, Any]) -> bool:
        rows = message.get("event", {}).get("services", [])
        return any(row["service"] == name and state in ("", row["state"]) for row in rows)

    return found


def test_a_service_that_the_command_line_makes_is_seen_and_so_is_its_death(server: Server, site: Site) -> None:
    stream = server.stream(overview())
    stream.until(lambda message: message.get("id") == "1")
    command = [sys.executable, "-m", "mldeploy_jupyter.cli", "model", "deploy", "-n", "svc", "--es", "score.py"]
    process = subprocess.Popen(command, cwd=site.folder, stdout=subprocess.DEVNULL)
    first = stream.until(has_service("svc"))
    row = site.ws.folder.open_store().get_service("svc")
    assert row is not None
    if not has_service("svc", "live")(first):  # on a busy machine it may be live when it is first seen
        stream.until(has_service("svc", "live"))
    assert process.wait(60) == 0
    os.kill(supervisor_pid(site), signal.SIGKILL)
    killed = time.monotonic()
    stream.until(has_service("svc", "unhealthy"))
    assert time.monotonic() - killed < SOON
    subprocess.run([*command[:3], "service", "delete", "svc"], cwd=site.folder, check=True, capture_output=True)
    stream.until(lambda message: {"kind": "service", "workspace": site.ws.folder.id, "name": "svc"} in
                 message.get("event", {}).get("gone", []))  # fmt: skip
    for message in stream.messages[1:]:
        check_event("overview", message["event"])


def test_health_is_recorded_once_by_however_many_watch(server: Server, start_server: StartServer, site: Site) -> None:
    other = start_server()
    streams = [one.stream(overview()) for one in (server, other)]
    service = site.deploy()
    service.wait_for_deployment(timeout_sec=60)
    for stream in streams:
        stream.until(has_service("svc", "live"))
    record = site.ws.folder.open_store().get_service("svc")
    assert record is not None
    workers = query_status(site.ws.folder, record).details["workers"]
    os.kill(next(worker["pid"] for worker in workers if worker["state"] == "live"), signal.SIGKILL)
    events = lambda: [event["kind"] for event in read_service_events(site.ws.folder, "svc")]  # noqa: E731
    wait_until(lambda: "worker-replaced" in events(), 60)
    wait_until(lambda: service.run({})["answer"] == 1, 60)
    os.kill(supervisor_pid(site), signal.SIGKILL)
    wait_until(lambda: "died" in events(), 60)
    for stream in streams:
        stream.until(has_service("svc", "unhealthy"))
    found = events()[::-1]
    assert (found.count("worker-replaced"), found.count("died"), found[-1]) == (1, 1, "died")
    # Without a worker it is unhealthy, and live again with the next one: a busy machine shows that, each change once.
    between = [kind for kind in found if kind in ("unhealthy", "live")]
    assert between == ["unhealthy", "live"] * (len(between) // 2) + ["unhealthy"] * (len(between) % 2)


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[Any]:
    """A workspace with a service whose deployment has ended, as records: nothing runs."""
    folder = Workspace.create(path=tmp_path).folder
    store = folder.open_store()
    store.add_deployment(DeploymentRecord("d1", "churn", state="failed", finished_time="2026-11-26T12:00:00.000Z"))
    store.save_service(ServiceRecord("churn", workspace_id=folder.id, state="Failed", deployment_id="d1"))
    journal = Journal(journal_path(folder, "d1"))
    journal.write("", "state", state="running", service="churn", target="local", revision=1, operation="deploy",
                  stages=["check", "bundle"])  # fmt: skip
    yield folder, journal
    store.close()


def test_a_thousand_subscriptions_and_not_one_more(server: Server, quiet: Any) -> None:
    folder, _ = quiet
    params = {"deployment": "d1", "workspace": folder.id}
    many = [{"id": str(n), "topic": "deployment", "params": params} for n in range(1000)]
    began = time.monotonic()
    stream = server.stream(*many)
    seen: set[str] = set()
    stream.until(lambda message: seen.add(message.get("id", "")) or len(seen - {""}) == 1000)
    assert time.monotonic() - began < 60
    other = server.stream(overview("x"))
    refused = other.until(lambda message: message.get("id") == "x")
    assert refused["failure"]["code"] == "busy" and "max_subscriptions" in refused["failure"]["cause"]
    assert server.post(f"stream/{stream.id}", {"unsubscribe": [str(n) for n in range(500)]}).status == 204
    assert server.post(f"stream/{other.id}", {"subscribe": [overview("y")]}).status == 204
    assert "event" in other.until(lambda message: message.get("id") == "y")
    stream.close()  # the page is gone: its places are free again
    again = wait_until(lambda: _subscribe_all(server, many), 60)
    again.close()
    other.close()


def _subscribe_all(server: Server, many: list[dict[str, Any]]) -> Any:
    stream = server.stream(*many[:900])
    seen: set[str] = set()
    stream.until(lambda message: seen.add(message.get("id", "")) or len(seen - {""}) == 900)
    if any("failure" in message for message in stream.messages):
        stream.close()
        return None
    return stream


def test_a_stream_cannot_be_changed_without_its_id(server: Server) -> None:
    stream = server.stream()
    assert server.post(f"stream/{'0' * 32}", {"subscribe": [overview()]}).code == "not-found"
    assert server.post(f"stream/{stream.id}", {"subscribe": [overview()]}, token="").code == "forbidden"
    assert server.post(f"stream/{stream.id}", {"subscribe": "all"}).code == "bad-request"
    assert server.post("stream", {"subscriptions": [{"id": "1"}]}).code == "bad-request"


def test_a_refused_subscription_leaves_the_others_alone(server: Server, quiet: Any) -> None:
    folder, _ = quiet
    missing = {"id": "1", "topic": "service", "params": {"service": "zebra", "workspace": folder.id}}
    nothing = {"id": "2", "topic": "nothing", "params": {}}
    stream = server.stream(missing, nothing, overview("3"))
    stream.until(lambda message: message.get("id") == "3")
    codes = {message["id"]: message["failure"]["code"] for message in stream.messages if "failure" in message}
    assert codes == {"1": "not-found", "2": "bad-request"}


def test_a_page_that_reads_slowly_gets_all_and_little_waits_for_it(start_server: StartServer, quiet: Any) -> None:
    folder, journal = quiet
    for number in range(20_000):
        journal.write("bundle", "log", f"{number} " + "x" * 200)
    server = start_server("--MldeployApp.max_stream_bytes=500000")  # a tenth of the log, so it must wait in its file
    params: dict[str, Any] = {"deployment": "d1", "workspace": folder.id}
    stream = server.stream({"id": "1", "topic": "deployment", "params": params}, receive_buffer=4096)
    numbers: list[int] = []
    while len(numbers) < 20_000:
        lines = stream.until(lambda message: message.get("event", {}).get("lines"))["event"]["lines"]
        numbers += [line["n"] for line in lines]
    assert numbers == sorted(set(numbers))


class Client:
    """JupyterLab's port, in Node."""

    def __init__(self, folder: Path, server: Server) -> None:
        bundle = folder / "client.mjs"
        esbuild = install_esbuild()
        source = Path(__file__).with_name("port_client.ts")
        subprocess.run(
            [
                esbuild,
                source,
                "--bundle",
                "--format=esm",
                "--platform=node",
                f"--outfile={bundle}",
                "--log-level=error",
            ],
            check=True,
        )
        url = f"http://127.0.0.1:{server.port}{server.base_url}"
        self.process = subprocess.Popen(
            ["node", bundle, url, server.token], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def tell(self, id: str, **order: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"id": id, **order}) + "\n")
        self.process.stdin.flush()

    def until(self, id: str, key: str, wanted: Callable[[Any], Any] = lambda value: True) -> Any:
        while True:
            message = json.loads(self._lines.get(timeout=60))
            if message["id"] == id and key in message and wanted(message[key]):
                return message[key]

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def client(tmp_path: Path, server: Server) -> Iterator[Client]:
    if not (ROOT / "labextension" / "node_modules").is_dir() and os.environ.get("CI", "").lower() != "true":
        pytest.skip("the packages of the interface are missing: python labextension/build_panel.py --test")
    found = Client(tmp_path, server)
    yield found
    found.close()


def test_the_port_of_jupyterlab_gets_a_long_line_with_what_is_left_out(client: Client, quiet: Any) -> None:
    folder, journal = quiet
    client.tell("d", subscribe="deployment", params={"deployment": "d1", "workspace": folder.id})
    journal.write("bundle", "log", "x" * 10_000)
    event = client.until("d", "event", lambda event: any(line.get("cut") for line in event.get("lines", ())))
    (line,) = [line for line in event["lines"] if line.get("cut")]
    assert len(line["text"]) + line["cut"] == 10_000 and set(line["text"]) == {"x"}


def test_the_port_of_jupyterlab_outlives_a_restart_of_the_server(server: Server, client: Client, quiet: Any) -> None:
    folder, journal = quiet
    params = {"deployment": "d1", "workspace": folder.id}
    client.tell("o", subscribe="overview", params={})
    client.tell("d", subscribe="deployment", params=params)

    def has_row(name: str) -> Callable[[Any], bool]:
        key = (folder.id, name)
        return lambda event: key in [(row["workspace"], row["service"]) for row in event.get("services", [])]

    client.until("o", "event", has_row("churn"))
    client.tell("r", request="service.list", params={"workspace": folder.id})
    assert client.until("r", "answer")[0]["state"] == "failed"
    client.tell("f", request="service.describe", params={"workspace": folder.id, "service": "zebra"})
    assert client.until("f", "failure")["code"] == "not-found"
    client.tell("s", request="service.describe", params={"workspace": folder.id, "service": "../x"})
    assert client.until("s", "failure")["code"] == "not-found"
    journal.write("bundle", "log", "before")

    server.end()
    assert client.until("o", "lost").startswith("20")  # since when
    client.tell("l", request="service.list", params={})
    assert client.until("l", "failure")["code"] == "lost"
    folder.open_store().save_service(ServiceRecord("zebra", workspace_id=folder.id, state="Failed"))
    server.start()
    client.until("o", "event", has_row("zebra"))
    client.tell("o", end=True, params={})
