"""The operations of the control protocol without a worker, and the switch between two generations."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path

import pytest

from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.supervisor.arbiter import Arbiter
from mldeploy_jupyter.serving.supervisor.generation import Aborted, Generation
from mldeploy_jupyter.serving.system.listening_socket import open_listener
from tests.unit.serving.supervisor.fakes import FakeLog, FakeWorker


@pytest.fixture
def announced() -> list[str]:
    """Has an entry for each call that tells of a new port."""
    return []


@pytest.fixture
def arbiter(tmp_path: Path, announced: list[str]) -> Iterator[Arbiter]:
    listener = open_listener("127.0.0.1", 0)
    arbiter = Arbiter(
        *(tmp_path, listener, "127.0.0.1", FakeLog(), lambda task: task()), on_port=lambda: announced.append("port")
    )
    yield arbiter
    arbiter.stop(0)


class OrderedWorker(FakeWorker):
    """Notes its orders in a list that it shares with others."""

    def __init__(self, name: str, orders: list[tuple[str, str]]) -> None:
        super().__init__()
        self.name, self.all_orders = name, orders

    def send(self, op: str, fds: tuple[int, ...] = (), **args: object) -> bool:
        self.all_orders.append((self.name, op))
        return super().send(op, fds, **args)


def generation(arbiter: Arbiter, *workers: FakeWorker) -> Generation:
    return Generation(Settings(drain_timeout=30), "d", arbiter.pool.listener, list(workers))


def test_a_service_without_a_revision_answers_every_operation(arbiter: Arbiter) -> None:
    assert arbiter.handle("nonsense", {}, print)["failure"]["code"] == "bad-request"
    assert arbiter.handle("status", {}, print)["state"] == "Empty"
    assert arbiter.handle("restart", {}, print) == {"ok": True, "restarted": 0}
    assert arbiter.handle("keys", {}, print) == {"ok": True, "workers": 0}
    assert arbiter.handle("cancel", {}, print)["failure"]["code"] == "not-running"
    assert arbiter.handle("check", {"settings": {}}, print)["failure"]["code"] == "no-fork"
    assert arbiter.handle("import", {"settings": {"workers": ""}}, print)["failure"]["code"] == "bad-request"


def test_a_service_that_stops_takes_no_deployment(arbiter: Arbiter) -> None:
    arbiter.stop(1)
    answer = arbiter.handle("deploy", {"settings": {}, "deployment_id": "d"}, print)
    assert answer["failure"]["code"] == "busy"
    with pytest.raises(Aborted, match="stopping"):
        arbiter.pool.spawn(generation(arbiter), queue.SimpleQueue(), print, answer_early=False)


def test_old_workers_pause_before_new_ones_accept_and_drain_after_the_switch_is_recorded(arbiter: Arbiter) -> None:
    orders: list[tuple[str, str]] = []
    old, new = (generation(arbiter, OrderedWorker(name, orders)) for name in ("old", "new"))
    arbiter.pool.switch_to(old)
    arbiter.switch(new, False, lambda: orders.append(("live.json", "saved")))
    assert orders == [("old", "pause"), ("new", "accept"), ("live.json", "saved"), ("old", "drain")]
    assert arbiter.pool.is_live(new) and new.is_serving and not old.is_serving


def test_when_a_new_worker_is_lost_the_old_ones_accept_again(arbiter: Arbiter) -> None:
    orders: list[tuple[str, str]] = []
    old = generation(arbiter, OrderedWorker("old", orders))
    new = generation(arbiter, OrderedWorker("first", orders), OrderedWorker("lost", orders))
    new.workers[1].answers["accept"] = None  # type: ignore[attr-defined]
    arbiter.pool.switch_to(old)
    with pytest.raises(Aborted, match="lost before it got traffic"):
        arbiter.switch(new, False, lambda: orders.append(("live.json", "saved")))
    assert orders == [("old", "pause"), ("first", "accept"), ("lost", "accept"), ("old", "accept"), ("first", "drain")]
    assert arbiter.pool.is_live(old) and old.is_serving


def test_on_a_new_port_the_old_workers_go_on_until_they_drain(arbiter: Arbiter, announced: list[str]) -> None:
    orders: list[tuple[str, str]] = []
    old, new = (generation(arbiter, OrderedWorker(name, orders)) for name in ("old", "new"))
    arbiter.pool.switch_to(old)
    new.listener = open_listener("127.0.0.1", 0)
    arbiter.switch(new, True, lambda: None)
    assert orders == [("new", "accept"), ("old", "drain")] and announced == ["port"]
    assert old.listener.fileno() == -1 and arbiter.pool.port == new.listener.getsockname()[1]
