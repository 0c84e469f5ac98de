"""One worker process as the supervisor handles it."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.serving.ipc.channel import Channel
from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.supervisor import spawn, worker_process
from mldeploy_jupyter.serving.supervisor.worker_process import WorkerProcess, request_all
from mldeploy_jupyter.serving.system.child_process import SpawnedProcess
from tests.polling import wait_until
from tests.unit.serving.supervisor.fakes import FakeLog, FakeWorker


@pytest.fixture
def child() -> Any:
    """A worker whose process is a fork that only sleeps, and this test's end of its channel."""
    ours, theirs = socket.socketpair()
    read, write = os.pipe()
    pid = os.posix_spawn(sys.executable, [sys.executable, "-S", "-c", "import time; time.sleep(60)"], {}, setsid=True)

    def reap() -> int:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    worker = WorkerProcess(Settings(), FakeLog())
    worker.start_check(SpawnedProcess(pid, ours, read, reap, "00" * 8, forked=True))
    os.close(write)
    channel = Channel(theirs)
    yield worker, channel
    channel.close()
    worker.kill()
    assert worker.exited.wait(10)


def test_a_worker_without_a_process_kills_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    monkeypatch.setattr(spawn.os, "killpg", lambda group, number: sent.append(group))  # 0 would be our own group
    monkeypatch.setattr(worker_process.os, "kill", lambda pid, number: sent.append(pid))
    worker = WorkerProcess(Settings(), FakeLog())
    worker.kill()
    worker.signal(signal.SIGTERM)
    assert sent == []


def test_its_first_order_has_the_settings_and_the_environment(child: Any) -> None:
    worker, channel = child
    order, fds = channel.receive()
    assert (order["op"], order["settings"]) == ("check", Settings().to_dict()) and fds == []
    assert order["environment"]["MLDEPLOY_WORKER"] == worker.mark


def test_a_request_gets_its_own_answer(child: Any) -> None:
    worker, channel = child
    channel.receive()

    def answer() -> None:
        orders = [channel.receive()[0] for _ in range(2)]
        for order in reversed(orders):
            channel.send({"event": "answer", "id": order["id"], "to": order["op"]})

    thread = threading.Thread(target=answer)
    thread.start()
    threads_answer: list[Any] = []
    other = threading.Thread(target=lambda: threads_answer.append(worker.request("keys", 10)))
    other.start()
    assert worker.request("drain", 10)["to"] == "drain"
    other.join()
    thread.join()
    assert threads_answer[0]["to"] == "keys"


def test_a_request_without_an_answer_ends_after_its_wait(child: Any) -> None:
    worker, _ = child
    assert worker.request("stack", 0.05) is None


def test_stages_and_ready_are_noted(child: Any) -> None:
    worker, channel = child
    channel.send({"event": "stage", "stage": "init"})
    assert worker.events.get(timeout=10)["stage"] == "init" == worker.stage
    channel.send({"event": "ready", "modules": {}})
    assert worker.events.get(timeout=10)["event"] == "ready" and worker.stage == "probe"
    assert worker.ready["modules"] == {}


def test_a_killed_process_exits_with_its_signal_and_calls_back(child: Any) -> None:
    worker, channel = child
    exited: list[WorkerProcess] = []
    worker.on_exit = exited.append
    worker.signal(signal.SIGKILL)
    channel.close()  # as the kernel does with what the process had open
    assert worker.events.get(timeout=10) == {"event": "exit", "worker": worker}
    assert worker.exit_status == {"exit_code": None, "signal": 9} and worker.state == "dead"
    assert worker.exit_failure()["code"] == "killed" and not worker.crashed
    assert worker.exited.wait(60)
    wait_until(lambda: exited == [worker])  # it is called a moment later


def test_a_worker_that_closes_its_channel_is_killed(child: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "CHANNEL_CLOSED_WAIT", 0.05)
    worker, channel = child
    channel.close()
    assert worker.exited.wait(10)
    assert f"worker {worker.pid} closed its channel; ending it" in worker.log.texts


def test_a_process_that_cannot_start_raises(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        spawn.spawn_process("worker", Settings(python=str(tmp_path / "nowhere")), "", lambda task: task())


def test_all_workers_are_asked_at_the_same_time_and_answer_in_order() -> None:
    barrier = threading.Barrier(3, timeout=10)

    class Waiting(FakeWorker):
        def request(self, op: str, wait: float = 0.0, **args: Any) -> dict[str, Any] | None:
            barrier.wait()  # passes only when all three are here
            return super().request(op, wait, **args)

    workers = [Waiting() for _ in range(3)]
    for number, worker in enumerate(workers):
        worker.answers["pause"] = {"number": number} if number else None
    assert request_all(workers, "pause", 1.0) == [None, {"number": 1}, {"number": 2}]
    assert request_all([], "pause") == []
