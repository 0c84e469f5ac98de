"""The small parts: channel, log, memory, listener, settings, failures, files, metrics."""

from __future__ import annotations

import os
import queue
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.serving import PROVIDES, PYTHON_FLOOR, REQUIREMENTS, ControlError, Settings, call
from mldeploy_jupyter.serving.ipc.channel import Channel
from mldeploy_jupyter.serving.ipc.failure import exception_data, from_exception, traceback_text
from mldeploy_jupyter.serving.log.service_log import ServiceLog
from mldeploy_jupyter.serving.supervisor.arbiter import Arbiter
from mldeploy_jupyter.serving.supervisor.generation import Aborted, Generation
from mldeploy_jupyter.serving.system.json_file import read_json, write_json
from mldeploy_jupyter.serving.system.listening_socket import open_listener
from mldeploy_jupyter.serving.system.memory import count_oom_kills, facts_after_death, find_cgroup, read_limits
from mldeploy_jupyter.serving.system.procfs import find_port_holder, read_rss


def test_a_channel_carries_messages_in_order_with_their_descriptors() -> None:
    left, right = socket.socketpair()
    a, b = Channel(left), Channel(right)
    read, write = os.pipe()
    threading.Thread(target=lambda: [a.send({"n": n}) for n in range(3)] and a.send({"n": 3}, [write])).start()
    assert [b.receive() for _ in range(3)] == [({"n": n}, []) for n in range(3)]
    message, fds = b.receive() or ({}, [])
    assert message == {"n": 3} and len(fds) == 1 and fds[0] != write
    assert not os.get_inheritable(fds[0])
    os.write(fds[0], b"through")
    assert os.read(read, 10) == b"through"
    for fd in (read, write, *fds):
        os.close(fd)
    a.close()
    assert b.receive() is None
    b.close()


def test_a_channel_carries_a_message_larger_than_its_buffers() -> None:
    left, right = socket.socketpair()
    a, b = Channel(left), Channel(right)
    text = "ü" * 1_000_000
    sender = threading.Thread(target=a.send, args=({"text": text},))
    sender.start()
    assert b.receive() == ({"text": text}, [])
    sender.join()
    a.close()
    b.close()


def cgroup(root: Path, **files: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (root / name.replace("__", ".")).write_text(text)
    return root


@pytest.mark.parametrize(
    ("line", "folder", "files", "limit"),
    [
        ("0::/app\n", "app", {"memory__events": "low 0\noom 1\noom_kill 2\n", "memory__max": "1000\n"}, 1000),
        ("0::/app\n", "app", {"memory__events": "oom_kill 2\n", "memory__max": "max\n"}, None),
        (
            "4:cpu,memory:/app\n",
            "memory/app",
            {"memory__oom_control": "oom_kill 2\n", "memory__limit_in_bytes": "1000\n"},
            1000,
        ),
        (
            "4:memory:/host/path\n",
            "memory",
            {"memory__oom_control": "oom_kill 2\n", "memory__limit_in_bytes": f"{2**63}"},
            None,
        ),
    ],
)
def test_memory_cgroups_of_both_versions_are_read(
    tmp_path: Path, line: str, folder: str, files: Any, limit: int | None
) -> None:
    (tmp_path / "proc" / "7").mkdir(parents=True)
    (tmp_path / "proc" / "7" / "cgroup").write_text(line)
    group = cgroup(tmp_path / "cgroup" / folder, **files)
    found = find_cgroup(7, tmp_path / "proc", tmp_path / "cgroup")
    assert found == group
    assert count_oom_kills(found) == 2
    assert read_limits(found)["limit"] == limit


def test_a_memory_kill_is_said_only_when_it_is_certain(tmp_path: Path) -> None:
    group = cgroup(tmp_path, memory__events="oom_kill 3\n")
    assert facts_after_death(group, 2, 9)["oom_kill"] is True
    assert facts_after_death(group, 3, 9)["oom_kill"] is False
    assert facts_after_death(group, 2, 11)["oom_kill"] is False
    assert facts_after_death(group, None, 9)["oom_kill"] is None
    assert facts_after_death(None, None, 9) == {"oom_kill": None, "limit": None, "peak": None}
    assert find_cgroup(999_999_999) is None
    assert read_rss(999_999_999) is None


def test_the_holder_of_a_port_is_found_and_a_free_one_has_none() -> None:
    listener = open_listener("127.0.0.1", 0)
    port = listener.getsockname()[1]
    assert (find_port_holder(port) or {})["pid"] == os.getpid()
    with pytest.raises(OSError, match="in use"):
        open_listener("127.0.0.1", port)
    listener.close()
    assert find_port_holder(port) is None
    open_listener("127.0.0.1", port).close()


def test_settings_go_to_json_and_back_and_unknown_keys_are_dropped() -> None:
    settings = Settings(service="s", revision=3, env={"A": "b"}, init_timeout=5)
    assert Settings.from_dict({**settings.to_dict(), "from_the_future": 1}) == settings
    assert settings.label == "3" and Settings(revision=3, revision_label="3-ab").label == "3-ab"


@pytest.mark.parametrize("bad", [{"workers": "2"}, {"env": []}, {"debug": 1}, {"workers": True}, {"init_timeout": "1"}])
def test_settings_of_a_wrong_type_are_refused(bad: dict) -> None:
    with pytest.raises(TypeError, match=f"settings.{next(iter(bad))} must be"):
        Settings.from_dict(bad)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_exception_that_cannot_be_printed_is_still_a_failure() -> None:
    failure = from_exception(Unprintable(), "init")
    assert failure["code"] == "init-raised"
    assert "__str__ of the exception failed" in failure["message"]


def test_causes_are_followed_only_so_far_and_syntax_errors_have_their_place() -> None:
    error: BaseException = ValueError("last")
    for number in range(20):
        error = _chained(number, error)
    depth, data = 0, exception_data(error)
    while data["cause"]:
        depth, data = depth + 1, data["cause"]
    assert depth == 5
    with pytest.raises(SyntaxError) as caught:
        compile("def f(:\n", "score.py", "exec")
    assert exception_data(caught.value)["syntax"] == {"file": "score.py", "line": 1, "column": 7, "text": "def f(:"}
    assert "score.py" in traceback_text(caught.value)


def _chained(number: int, cause: BaseException) -> BaseException:
    error = ValueError(str(number))
    error.__cause__ = cause
    return error


def test_files_are_replaced_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "live.json"
    write_json(path, {"a": 1})
    write_json(path, {"a": 2})
    assert read_json(path) == {"a": 2}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["live.json"]
    path.write_text('{"a"')
    assert read_json(path) is None
    assert read_json(tmp_path / "none.json") is None


def test_a_client_without_a_supervisor_says_which(tmp_path: Path) -> None:
    path = str(tmp_path / "control.sock")
    with pytest.raises(ControlError, match="cannot be reached"):
        call(path, "status")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with pytest.raises(ControlError, match=r"did not answer within 0\.1 s"):
            call(path, "status", timeout=0.1)


def test_a_service_that_stops_takes_no_deployment(tmp_path: Path) -> None:
    arbiter = Arbiter(
        tmp_path, open_listener("127.0.0.1", 0), "127.0.0.1", ServiceLog(tmp_path / "log"), lambda task: task()
    )
    assert arbiter.handle("nonsense", {}, print)["failure"]["code"] == "bad-request"
    assert arbiter.restart(print) == {"ok": True, "restarted": 0}
    assert arbiter.reload_keys() == {"ok": True, "workers": 0}
    arbiter.stop(1)
    answer = arbiter.handle("deploy", {"settings": {}, "deployment_id": "d"}, print)
    assert answer["failure"]["code"] == "busy"
    generation = Generation(Settings(), "d", arbiter.pool.listener)
    with pytest.raises(Aborted, match="stopping"):
        arbiter.pool.spawn(generation, queue.SimpleQueue(), print, answer_early=False)


def test_what_the_room_needs_is_written_once() -> None:
    from packaging.requirements import Requirement

    assert PYTHON_FLOOR == (3, 11)
    assert {Requirement(text).name for text in REQUIREMENTS} == {"httptools", "uvloop", "orjson"}
    assert "azureml-defaults" in PROVIDES
