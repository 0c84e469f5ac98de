"""A service whose container is replaced: one process owns the port, two supervisors hand the traffic over."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from mldeploy_jupyter.serving.ipc.channel import Channel
from mldeploy_jupyter.serving.system import unix_socket
from tests.integration.serving.closed_loop import Load
from tests.integration.serving.container.containers import Image, Process, Volume, images
from tests.integration.serving.supervisor.test_switch import read_answer, request_of
from tests.polling import stop_process, wait_until
from tests.ports import free_port

SLOW = """
    import json, os, time
    def init(): pass
    def run(data):
        print("running", flush=True)
        while not os.path.exists(json.loads(data)): time.sleep(0.01)
        return os.environ["AML_APP_ROOT"]
"""


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Volume]:
    """A volume with a running listener."""
    volume = Volume(tmp_path / "volume")
    volume.listener.run()
    yield volume
    volume.end()


@pytest.fixture
def image(tmp_path: Path) -> Callable[..., Image]:
    return images(tmp_path)


@pytest.mark.slow
def test_ten_take_overs_under_load_fail_no_request_and_never_go_back(
    volume: Volume, image: Callable[..., Image]
) -> None:
    serving = volume.serve(image(workers=2), "c1")
    load = Load(volume.url)
    try:
        for number in range(2, 12):
            old, serving = serving, volume.serve(image(workers=2), f"c{number}", serving)
            assert set(load.await_two_more()) == {number}
            assert old.process.wait(60) == 0
    finally:
        load.end()
    assert load.failures == []
    for answers in load.answers:
        assert answers == sorted(answers)
        assert set(answers) == set(range(1, 12))


def raw_connection(volume: Volume) -> socket.socket:
    return socket.create_connection(("127.0.0.1", volume.port), timeout=60)


def test_a_kept_connection_is_answered_by_the_new_container_and_never_closed(
    volume: Volume, image: Callable[..., Image]
) -> None:
    serving = volume.serve(image(), "c1")
    with raw_connection(volume) as connection, raw_connection(volume) as silent:
        for number in range(1, 4):
            connection.sendall(request_of(b"[1]"))
            assert read_answer(connection) == (200, str(number), b"[1]")
            serving = volume.serve(image(), f"c{number + 1}", serving)
        silent.sendall(request_of(b"[2]"))  # the connection is older than every container but the first
        assert read_answer(silent) == (200, "4", b"[2]")


def test_a_request_in_flight_is_answered_by_the_old_container_and_the_next_by_the_new(
    volume: Volume, image: Callable[..., Image]
) -> None:
    gate = volume.root / "gate"
    old = volume.serve(image(SLOW), "c1")
    with raw_connection(volume) as connection:
        connection.sendall(request_of(json.dumps(str(gate)).encode()))
        wait_until(lambda: "running" in old.messages())
        new = volume.serve(image(SLOW), "c2", old)
        assert old.process.poll() is None
        assert old.ask("status")["state"] == "Retired"
        gate.touch()
        assert read_answer(connection)[:2] == (200, "1")
        connection.sendall(request_of(json.dumps(str(gate)).encode()))
        assert read_answer(connection)[:2] == (200, "2")
    assert old.process.wait(60) == 0
    assert new.ask("forget", folder=str(old.folder))["ok"] and not old.folder.exists()
    assert new.ask("forget", folder=str(new.folder))["failure"]["code"] == "bad-request"


# -- containers that stand by


def test_a_container_that_stands_by_is_ready_and_accepts_nothing(volume: Volume, image: Callable[..., Image]) -> None:
    new = volume.container(image(), "c1")
    answer = new.await_started()
    assert (answer["state"], answer["revision"]) == ("Standby", 1)
    assert new.health() == (0, "Standby")
    stop_process(volume.listener.pid)  # after two seconds without a container that serves, it answers 503
    try:
        with raw_connection(volume) as connection:
            connection.sendall(request_of(b"[1]"))
            events, answer = new.control("take-over")
            steps = [(event["stage"], event["kind"]) for event in events]
            assert steps == [("switch", "started"), ("switch", "finished")]
            assert answer["ok"] and answer["revision"] == 1
            assert read_answer(connection) == (200, "1", b"[1]")  # it has waited in the kernel's queue
    finally:
        os.kill(volume.listener.pid, signal.SIGCONT)
    assert new.health() == (0, "Live")
    assert new.ask("take-over")["failure"]["code"] == "not-standby"


def test_a_standby_that_is_cancelled_leaves_the_old_container_serving(
    volume: Volume, image: Callable[..., Image]
) -> None:
    volume.serve(image(), "c1")
    new = volume.container(image(), "c2")
    new.await_started()
    assert new.ask("cancel", deployment_id="")["ok"]
    assert new.process.wait(60) == 3
    assert json.loads((new.folder / "failure.json").read_text())["code"] == "cancelled"
    assert volume.score().headers["x-mldeploy-revision"] == "1"


def test_a_standby_whose_init_fails_says_why_before_it_ends(volume: Volume, image: Callable[..., Image]) -> None:
    new = volume.container(image("def init():\n    raise ValueError('no such table')\ndef run(data): pass"), "c1")
    data = new.await_started()["failure"]
    assert (data["code"], data["message"], data["stage"]) == ("init-raised", "ValueError: no such table", "init")
    frame = data["exception"]["frames"][-1]
    assert frame["file"].endswith("src/score.py") and frame["line"] == 2
    assert new.process.wait(60) == 3
    assert json.loads((new.folder / "failure.json").read_text())["code"] == "init-raised"
    last = next(entry for entry in reversed(new.entries) if entry.get("failure"))
    assert json.loads(last["failure"])["exception"]["type"] == "ValueError"


def test_a_worker_that_dies_while_its_container_stands_by_ends_it(volume: Volume, image: Callable[..., Image]) -> None:
    new = volume.container(image(), "c1")
    new.await_started()
    os.kill(new.ask("status")["workers"][0]["pid"], signal.SIGKILL)
    assert new.process.wait(90) == 3
    assert json.loads((new.folder / "failure.json").read_text())["signal"] == signal.SIGKILL


# -- containers that die


def test_an_old_container_that_has_died_hands_nothing_over_and_never_serves_again(
    volume: Volume, image: Callable[..., Image]
) -> None:
    old = volume.serve(image(), "c1")
    new = volume.container(image(), "c2")
    new.await_started()
    old.kill()
    assert new.ask("take-over", **{"from": str(old.folder)})["ok"]
    assert volume.score().headers["x-mldeploy-revision"] == "2"
    old.run()  # as the engine's restart policy does
    assert old.await_started()["state"] == "Retired"
    assert old.ask("status")["state"] == "Retired" and old.health() == (1, "not ready: Retired")
    assert {volume.score().headers["x-mldeploy-revision"] for _ in range(20)} == {"2"}


@contextmanager
def old_container_that_dies(folder: Path, after: str) -> Iterator[list[str]]:
    """Something that answers like an old container's supervisor, and is gone after the order `after`."""
    folder.mkdir(parents=True)
    orders: list[str] = []
    listener = unix_socket.listen(folder / "handover.sock")

    def serve() -> None:
        channel = Channel(listener.accept()[0])
        listener.close()
        while (received := channel.receive()) is not None:
            orders.append(received[0]["op"])
            if orders[-1] == after:
                break
            channel.send({"event": "answer", "id": received[0]["id"]})
        channel.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield orders
    thread.join(60)


@pytest.mark.parametrize("order", ["ping", "pause", "drain"])
def test_when_the_old_container_dies_during_the_take_over_the_new_one_serves(
    volume: Volume, image: Callable[..., Image], order: str
) -> None:
    new = volume.container(image(), "c2")
    new.await_started()
    old = volume.root / "containers" / "c1"
    with old_container_that_dies(old, order) as orders:
        assert new.ask("take-over", **{"from": str(old)})["ok"]
    assert orders[-1] == order
    assert volume.score().headers["x-mldeploy-revision"] == "1"
    assert json.loads((old / "retired.json").read_text()) == {"to": str(new.folder)}
    assert not (new.folder / "take-over.json").exists()


def test_when_the_new_container_dies_during_the_take_over_the_old_one_goes_on(
    volume: Volume, image: Callable[..., Image]
) -> None:
    old = volume.serve(image(), "c1")
    new = volume.container(image(), "c2")
    new.await_started()
    load = Load(volume.url, sessions=2, fresh=2)
    try:
        # Its worker cannot accept, so the take-over stands still after the old container has paused.
        stop_process(new.ask("status")["workers"][0]["pid"])
        answers: list[Any] = []
        client = threading.Thread(target=lambda: answers.append(new.ask("take-over", **{"from": str(old.folder)})))
        client.start()
        wait_until(lambda: (old.folder / ".retired.json.next").exists())
        new.kill()
        client.join(60)
        assert answers[0]["failure"]["code"] == "supervisor-lost"
        assert set(load.await_two_more()) == {1}
    finally:
        load.end()
    assert load.failures == []
    wait_until(lambda: not (old.folder / ".retired.json.next").exists())
    assert "has ended; this one keeps serving" in old.messages()
    new.run()  # as the engine's restart policy does: it stands by again, and may be told once more
    assert new.await_started()["state"] == "Standby"
    assert new.ask("take-over", **{"from": str(old.folder)})["ok"]
    assert old.process.wait(60) == 0
    assert volume.score().headers["x-mldeploy-revision"] == "2"


def test_an_old_container_that_does_not_answer_goes_on_and_the_new_one_stands_by(
    volume: Volume, image: Callable[..., Image]
) -> None:
    old = volume.serve(image(), "c1")
    new = volume.container(image(), "c2")
    new.await_started()
    stop_process(old.pid)
    try:
        data = new.ask("take-over", **{"from": str(old.folder)})["failure"]
        assert data["code"] == "predecessor-silent" and str(old.folder) in data["message"]
        assert volume.score().headers["x-mldeploy-revision"] == "1"
    finally:
        os.kill(old.pid, signal.SIGCONT)
    assert new.ask("take-over", **{"from": str(volume.root / "nowhere")})["failure"]["code"] == "no-predecessor"
    assert new.ask("take-over", **{"from": str(old.folder)})["ok"]
    assert volume.score().headers["x-mldeploy-revision"] == "2"


def test_a_container_that_has_taken_over_serves_when_it_is_started_again(
    volume: Volume, image: Callable[..., Image]
) -> None:
    old = volume.serve(image(), "c1")
    new = volume.serve(image(), "c2", old)
    old.process.wait(60)
    new.kill()
    new.run()
    assert new.await_started()["resumed"] is True
    wait_until(lambda: volume.score().status_code == 200)
    assert volume.score().headers["x-mldeploy-revision"] == "2"


def test_a_take_over_that_was_cut_off_after_the_switch_is_finished_at_the_next_start(
    volume: Volume, image: Callable[..., Image]
) -> None:
    old = volume.serve(image(), "c1")
    new = volume.serve(image(), "c2", old)
    old.process.wait(60)
    new.kill()
    # As if it had been killed before it told the old container to retire.
    (new.folder / "take-over.json").write_text(json.dumps({"from": str(old.folder)}))
    (old.folder / "retired.json").unlink()
    old.run()
    wait_until(lambda: volume.score().headers.get("x-mldeploy-revision") == "1")
    new.run()
    assert new.await_started()["resumed"] is True
    assert old.process.wait(60) == 0 and (old.folder / "retired.json").exists()
    wait_until(lambda: volume.score().status_code == 200)
    assert volume.score().headers["x-mldeploy-revision"] == "2"


# -- the process that owns the port


def test_a_listener_that_is_killed_comes_back_and_no_worker_is_restarted(
    volume: Volume, image: Callable[..., Image]
) -> None:
    serving = volume.serve(image(workers=2), "c1")
    standby = volume.container(image(), "c2")
    standby.await_started()
    workers = {worker["pid"] for worker in serving.ask("status")["workers"]}
    load = Load(volume.url)
    try:
        for number in (1, 2, 3):
            load.await_two_more()
            volume.listener.kill()
            load.await_two_more()  # the supervisors have the socket, too
            volume.listener.run()
            for container in (serving, standby):
                wait_until(lambda c=container, n=number: c.messages().count("has a new owner") == n)
            load.await_two_more()
    finally:
        load.end()
    assert load.failures == []
    assert {worker["pid"] for worker in serving.ask("status")["workers"]} == workers
    assert standby.ask("take-over", **{"from": str(serving.folder)})["ok"]
    assert volume.score().headers["x-mldeploy-revision"] == "2"


def test_where_the_network_is_new_workers_accept_on_the_new_socket(volume: Volume, image: Callable[..., Image]) -> None:
    serving = volume.serve(image(workers=2), "c1")
    workers = {worker["pid"] for worker in serving.ask("status")["workers"]}
    with requests.Session() as session:
        assert session.get(volume.url, timeout=60).status_code == 200
        volume.listener.kill()
        old_url, volume.port = volume.url, free_port()  # another port is as new as the network of another container
        volume.listener.environ["MLDEPLOY_LISTEN"] = f"127.0.0.1:{volume.port}"
        volume.listener.run()
        wait_until(lambda: "has a new owner" in serving.messages())
        assert {volume.score().status_code for _ in range(20)} == {200}
        assert session.get(old_url, timeout=60).status_code == 200  # it is open, and is still served
        with pytest.raises(requests.ConnectionError):
            requests.get(old_url, timeout=60)
    assert {worker["pid"] for worker in serving.ask("status")["workers"]} == workers
    assert serving.ask("restart")["ok"] and volume.score().status_code == 200


def test_a_listener_without_a_service_answers_503_and_then_lets_clients_wait(
    volume: Volume, image: Callable[..., Image]
) -> None:
    wait_until(lambda: "listening" in volume.listener.messages())
    response = requests.get(volume.url, timeout=60)
    assert response.status_code == 503 and response.json()["error"]["code"] == "not-serving"
    serving = volume.serve(image(), "c1")
    assert volume.score().status_code == 200
    serving.kill()
    assert requests.get(volume.url, timeout=60).status_code == 503
    serving.run()
    serving.await_started()
    wait_until(lambda: requests.get(f"{volume.url}/ready", timeout=60).status_code == 200)
    assert {volume.score().status_code for _ in range(20)} == {200}


def test_a_container_that_is_said_to_serve_is_not_answered_for_by_a_slow_listener(
    volume: Volume, image: Callable[..., Image]
) -> None:
    """The listener answers 503 for want of a service, and stands still when the service takes over."""
    wait_until(lambda: "listening" in volume.listener.messages())
    assert requests.get(volume.url, timeout=60).status_code == 503
    container = volume.container(image(), "c1")
    assert container.await_started()["state"] == "Standby"
    stop_process(volume.listener.pid)
    answers: list[dict[str, Any]] = []
    ordering = threading.Thread(target=lambda: answers.append(container.ask("take-over")))
    ordering.start()
    try:
        ordering.join(1.5)
        early = list(answers)
    finally:
        os.kill(volume.listener.pid, signal.SIGCONT)
    ordering.join(60)
    assert early == [] and answers[0]["ok"]
    assert [volume.score().status_code for _ in range(50)] == [200] * 50


def test_a_listener_is_small_and_ends_when_it_is_told_to(volume: Volume) -> None:
    wait_until(lambda: "listening" in volume.listener.messages())
    memory = psutil.Process(volume.listener.pid).memory_full_info()
    assert memory.uss < 12 * 10**6
    assert volume.listener.end() == 0
    assert not (volume.shared / "listener.sock").exists()


def test_a_second_listener_of_a_service_is_refused(volume: Volume) -> None:
    wait_until(lambda: "listening" in volume.listener.messages())
    names = ("MLDEPLOY_LISTEN", "MLDEPLOY_LISTENER")
    variables = {name: volume.listener.environ[name] for name in names}
    second = Process(volume.root / "second.out", ["listener"], **variables)
    second.run()
    assert second.process.wait(60) == 98
    assert "hint: " in second.output.read_text()
