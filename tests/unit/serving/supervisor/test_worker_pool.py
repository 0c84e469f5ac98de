"""The pool of workers: spawning, removing, draining, and what workers are sent."""

from __future__ import annotations

import json
import os
import queue
import socket
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.serving.ipc.scoreboard import STUCK
from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.supervisor.generation import Aborted, Deployment, Generation
from mldeploy_jupyter.serving.system.listening_socket import open_listener
from tests.polling import wait_until
from tests.unit.serving.supervisor.fakes import FakeFork, FakePool, FakeWorker


def generation(pool: FakePool, workers: int = 0) -> Any:
    """The generation that serves, with live workers."""
    new = Generation(Settings(revision=1), "d", pool.listener)
    new.workers = [spawn(pool, new) for _ in range(workers)]
    pool.switch_to(new)
    return new


def spawn(pool: FakePool, generation: Generation, **options: Any) -> Any:
    return pool.spawn(generation, queue.SimpleQueue(), lambda event: None, answer_early=False, **options)


def recorded(pool: FakePool) -> dict[str, Any]:
    return json.loads((pool.folder / "workers.json").read_text())


def connection() -> int:
    """The descriptor of a connection, or something like it."""
    return os.open(os.devnull, os.O_RDONLY)


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


# -- spawning and removing


def test_a_spawned_worker_is_recorded_and_gets_the_keys(pool: FakePool) -> None:
    (pool.folder / "keys.json").write_text('{"primaryKey": "k"}')
    worker = spawn(pool, generation(pool))
    assert pool.list_workers() == [worker] == pool.spawned and pool.list_pids() == {worker.pid}
    assert list(recorded(pool)["groups"]) == [str(worker.pid)] and recorded(pool)["marks"] == [worker.mark]
    assert worker.orders("start")[0]["keys"] == {"primaryKey": "k"}
    assert worker.orders("keys") == [{"keys": {"primaryKey": "k"}}]  # they may have changed while it was started


def test_output_of_a_worker_that_starts_goes_to_the_client(pool: FakePool) -> None:
    events: list[dict[str, Any]] = []
    worker = pool.spawn(generation(pool), queue.SimpleQueue(), events.append, answer_early=False)
    assert worker.on_line is not None
    worker.on_line("loading", "warning")
    assert events == [{"event": "log", "text": "loading", "level": "warning"}]


def test_only_the_first_workers_of_a_generation_wait_for_imports(pool: FakePool) -> None:
    new = Generation(Settings(), "d", pool.listener)
    spawn(pool, new)
    new.was_live = True
    spawn(pool, new)
    spawn(pool, new, new_interpreter=True)
    assert pool.fake_zygotes.waited == [True, False]


def test_a_service_that_stops_spawns_nothing(pool: FakePool) -> None:
    fork = FakeFork()
    pool.fake_zygotes.forks = [fork]
    pool.refuse_spawns()
    with pytest.raises(Aborted, match="the service is stopping"):
        spawn(pool, Generation(Settings(), "d", pool.listener))
    assert fork.discarded and pool.list_workers() == []


def test_a_cancelled_deployment_spawns_nothing(pool: FakePool) -> None:
    deployment = Deployment("d", 1, cancelled=True)
    with pytest.raises(Aborted, match="cancelled") as aborted:
        spawn(pool, Generation(Settings(), "d", pool.listener), deployment=deployment)
    assert aborted.value.failure["code"] == "cancelled" and pool.list_workers() == []


def test_a_worker_that_cannot_start_is_removed(pool: FakePool) -> None:
    def fail(worker: FakeWorker) -> None:
        raise OSError("no such interpreter")

    pool._on_start = [fail]
    with pytest.raises(Aborted, match="python could not be started: no such interpreter") as aborted:
        spawn(pool, Generation(Settings(), "d", pool.listener))
    assert aborted.value.failure["code"] == "spawn-failed" and pool.list_workers() == []


def test_without_a_worker_the_port_answers_503(pool: FakePool) -> None:
    worker = spawn(pool, Generation(Settings(), "d", pool.listener))
    worker.die()
    assert pool.list_workers() == [] and recorded(pool)["groups"] == {}
    with socket.create_connection(("127.0.0.1", pool.port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 503 ")


def test_a_process_that_checks_a_script_is_recorded_but_is_no_worker(pool: FakePool) -> None:
    worker = FakeWorker()
    worker.pid = 4_194_304
    with pool.checking(worker):
        pool.record()
        assert list(recorded(pool)["groups"]) == ["4194304"] and pool.list_workers() == []
        assert pool.list_pids() == {4_194_304}
    assert recorded(pool)["groups"] == {} and pool.list_pids() == set()


def test_a_full_disk_does_not_stop_the_pool(pool: FakePool) -> None:
    (pool.folder / "workers.json").mkdir()
    spawn(pool, generation(pool))
    assert any("cannot be recorded" in text for text in pool.fake_log.texts)
    (pool.folder / "workers.json").rmdir()


# -- the generation that serves


def test_a_switch_makes_the_new_workers_live(pool: FakePool) -> None:
    old, new = generation(pool, 1), Generation(Settings(revision=2), "d2", pool.listener)
    new.workers = [spawn(pool, new)]
    assert pool.switch_to(new) is old and pool.is_live(new) and not pool.is_live(old)
    assert new.is_serving and new.state == "Live" and new.workers[0].on_line is None
    new.workers[0].die()
    assert pool.lost == new.workers  # the callback of live workers


def test_a_lost_live_worker_is_removed_from_its_generation(pool: FakePool) -> None:
    live = generation(pool, 2)
    first, second = live.workers
    assert pool.remove_live(first) is live and live.workers == [second] and pool.list_workers() == [second]
    assert pool.remove_live(first) is None
    pool.refuse_spawns()
    assert pool.remove_live(second) is None


def test_a_worker_is_added_to_the_generation_that_serves_only(pool: FakePool) -> None:
    live, stale = generation(pool), Generation(Settings(), "old", pool.listener)
    worker = spawn(pool, live)
    live.failure = {"code": "exited"}
    assert not pool.add_live(worker, stale) and worker.state == "starting"
    assert pool.add_live(worker, live) and worker.state == "live" and live.failure is None
    pool.refuse_spawns()
    assert not pool.add_live(FakeWorker(), live)


def test_a_worker_is_replaced_in_its_place(pool: FakePool) -> None:
    live = generation(pool, 2)
    old, other = live.workers
    new = spawn(pool, live)
    assert pool.replace_live(old, new, live) and live.workers == [new, other] and new.state == "live"
    assert not pool.replace_live(old, spawn(pool, live), live)
    assert pool.find_live(new) is live and pool.find_live(old) is None


# -- draining


def test_drained_workers_are_removed_when_they_exit(pool: FakePool) -> None:
    workers = generation(pool, 2).workers
    pool.drain(workers, 30)
    assert [worker.state for worker in workers] == ["draining", "draining"]
    assert [worker.orders("drain") for worker in workers] == [[{"timeout": 30}]] * 2
    workers[0].die()
    assert pool.list_workers() == workers[1:] and pool.lost == []


def test_a_worker_that_does_not_answer_is_killed(pool: FakePool) -> None:
    silent, good = generation(pool, 2).workers
    silent.answers["drain"] = None
    pool.drain([silent, good], 30)
    assert silent.killed and not good.killed


def test_a_drained_worker_that_does_not_exit_is_killed(pool: FakePool) -> None:
    (worker,) = generation(pool, 1).workers
    pool.drain([worker], -2)  # the timeout and the grace after it are over
    wait_until(lambda: worker.killed)


# -- connections


def test_handed_over_connections_go_to_the_live_workers_in_turn(pool: FakePool) -> None:
    first, second = generation(pool, 2).workers
    fds = [connection() for _ in range(4)]
    first.on_message(first, {"event": "handover"}, fds)
    assert [len(worker.orders("adopt")) for worker in (first, second)] == [2, 2]
    assert not any(is_open(fd) for fd in fds)  # the workers have copies


def test_a_connection_waits_until_a_worker_is_live(pool: FakePool) -> None:
    draining = spawn(pool, Generation(Settings(), "d", pool.listener))
    fd = connection()
    draining.on_message(draining, {"event": "handover"}, [fd])
    assert is_open(fd)
    (worker,) = generation(pool, 1).workers
    pool.deliver_connections()
    assert len(worker.orders("adopt")) == 1 and not is_open(fd)


def test_a_connection_is_not_given_to_a_worker_that_is_gone(pool: FakePool) -> None:
    gone, good = generation(pool, 2).workers
    gone.gone = True
    good.on_message(good, {"event": "handover"}, [connection() for _ in range(3)])
    assert len(good.orders("adopt")) == 3


# -- keys and messages


def test_new_keys_go_to_all_workers(pool: FakePool) -> None:
    workers = generation(pool, 2).workers
    (pool.folder / "keys.json").write_text('{"primaryKey": "new"}')
    assert pool.send_keys() == (2, [])
    assert all(worker.orders("keys")[-1] == {"keys": {"primaryKey": "new"}} for worker in workers)


def test_a_worker_that_exits_instead_of_taking_keys_is_not_missed(
    pool: FakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mldeploy_jupyter.serving.supervisor.worker_pool.EXIT_WAIT", 0.01)
    silent, exiting = generation(pool, 2).workers
    for worker in (silent, exiting):
        worker.answers["keys"] = None
    exiting.exits_on = "keys"
    assert pool.send_keys() == (2, [silent.pid])


def test_a_stuck_worker_is_counted_and_reported(pool: FakePool) -> None:
    (worker,) = generation(pool, 1).workers
    worker.on_message(worker, {"event": "stuck"}, [])
    wait_until(lambda: pool.stuck == [worker])
    assert pool.scoreboard.service_fields[STUCK] == 1


# -- stopping


def test_a_stop_lets_live_workers_finish_and_kills_the_others(pool: FakePool) -> None:
    live = generation(pool, 1)
    serving, starting = live.workers[0], spawn(pool, live)
    pool.refuse_spawns()
    pool.stop(5)
    assert starting.killed and not serving.killed and pool.list_workers() == []
    assert pool.listener.fileno() == -1


# -- a listening socket that is shared with other supervisors


def inode(fd: int) -> int:
    return os.fstat(fd).st_ino


def test_another_socket_takes_the_place_of_the_one_before_everywhere(pool: FakePool) -> None:
    live = generation(pool, 2)
    other = open_listener("127.0.0.1", 0)
    wanted = inode(other.fileno())
    pool.listen_on(other)
    assert inode(pool.listener.fileno()) == wanted == inode(live.listener.fileno()) and other.fileno() == -1
    assert [len(worker.orders("listen")) for worker in live.workers] == [1, 1]


def test_a_worker_that_does_not_take_the_socket_is_ended(pool: FakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mldeploy_jupyter.serving.supervisor.worker_pool.EXIT_WAIT", 0.01)
    live = generation(pool, 1)
    live.workers[0].answers["listen"] = None
    pool.listen_on(open_listener("127.0.0.1", 0))
    assert live.workers[0].killed


def test_a_worker_that_was_started_with_the_socket_before_is_told(pool: FakePool) -> None:
    def start(worker: FakeWorker) -> None:
        pool._listener_changes += 1  # as when the socket changes now
        worker.report_ready()

    pool._on_start = [start]
    worker = spawn(pool, Generation(Settings(), "d", pool.listener))
    assert len(worker.orders("listen")) == 1


def test_nothing_is_accepted_by_a_supervisor_that_stands_by_or_has_retired(tmp_path: Path) -> None:
    pool = FakePool(tmp_path, shared=True, standby=True)
    with socket.create_connection(("127.0.0.1", pool.port), timeout=10) as client:
        worker = spawn(pool, Generation(Settings(), "d", pool.listener))
        worker.die()
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.recv(1)
        pool.leave_standby()
        client.settimeout(10)
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 503 ")
    kept = pool.listener.dup()
    pool.retire(lambda fds: True, 1)
    pool.stop(0)
    with kept, socket.create_connection(kept.getsockname(), timeout=10):
        pass  # the socket listens on: others have it, too


def test_a_supervisor_that_retires_forwards_its_connections(pool: FakePool) -> None:
    forwarded: list[list[int]] = []
    live = generation(pool, 1)
    starting = spawn(pool, live)
    waiting, later = connection(), connection()
    pool._connections.append(waiting)
    pool.retire(lambda fds: not forwarded.append(fds), 5)
    assert forwarded == [[waiting]] and not is_open(waiting)
    assert live.workers[0].orders("drain") == [{"timeout": 5}] and starting.killed
    pool._handle_message(live.workers[0], {"event": "handover"}, [later])
    assert forwarded[1:] == [[later]] and not is_open(later)
    with pytest.raises(Aborted, match="stopping"):
        spawn(pool, live)
