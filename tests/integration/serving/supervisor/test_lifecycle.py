"""Processes: start, stop, crash, come back. Nothing is left behind."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from mldeploy_jupyter.serving.ipc.control_client import ControlError, call
from mldeploy_jupyter.targets.supervisor_client import SupervisorClient
from tests.integration.serving.supervised import ECHO, KEY, WAIT, Supervised
from tests.polling import wait_until
from tests.ports import free_port

SKLEARN = """
    import json
    import numpy as np
    from sklearn.linear_model import Ridge
    def init():
        global model
        model = Ridge(alpha=0.0).fit(np.eye(3), [1.0, 2.0, 3.0])
        print("model ready")
    def run(data):
        return model.predict(np.array(json.loads(data)["data"]))
"""


def test_a_sklearn_script_is_deployed_and_asks_for_its_key(supervised: Supervised) -> None:
    assert supervised.ask("status")["state"] == "Empty"
    events: list[dict] = []
    answer = supervised.deploy(SKLEARN, on_event=events.append)
    assert answer["ok"], answer
    assert "sklearn" in answer["modules"] and "numpy" in answer["modules"] and "httptools" not in answer["modules"]
    stages = [(e["stage"], e["kind"]) for e in events if e["event"] == "stage"]
    assert stages == [(s, k) for s in ("rollout", "probe", "switch") for k in ("started", "finished")]
    assert any(e["event"] == "log" and e["text"] == "model ready" for e in events)

    body = {"data": [[1, 0, 0], [0, 0, 1]]}
    assert supervised.score(body, headers={}).status_code == 401
    assert supervised.score(body, headers={"Authorization": "Bearer wrong"}).status_code == 401
    for key in ("first-key", "second-key"):
        response = supervised.score(body, headers={"Authorization": f"Bearer {key}"})
        assert response.status_code == 200
        assert response.json() == pytest.approx([1.0, 3.0])
    status = supervised.ask("status")
    assert (status["state"], status["revision"], status["deployment_id"]) == ("Live", 1, "d1")
    assert status["last_deploy"]["outcome"] == "live"
    assert status["workers"][0]["rss"] > 10_000_000


def test_a_service_whose_folder_is_deleted_ends(supervised: Supervised) -> None:
    supervised.deploy()
    family = supervised.family()
    shutil.rmtree(supervised.folder)
    wait_until(lambda: supervised.process.poll() is not None)
    wait_until(lambda: not any(process.is_running() for process in family))
    assert not supervised.folder.exists()


def test_new_keys_work_without_a_restart_and_old_ones_stop(supervised: Supervised) -> None:
    supervised.deploy(workers=2)
    before = supervised.pids()
    (supervised.folder / "keys.json").write_text(json.dumps({"primaryKey": "renewed", "secondaryKey": "second-key"}))
    assert supervised.ask("keys") == {"ok": True, "workers": 2}
    assert supervised.score(headers={"Authorization": "Bearer renewed"}).status_code == 200
    assert supervised.score(headers=KEY).status_code == 401
    assert supervised.pids() == before


def test_no_key_is_in_any_log_or_command_line(supervised: Supervised) -> None:
    supervised.deploy()
    supervised.score()
    supervised.score(headers={"Authorization": "Bearer guessed-key"})
    assert "-key" not in supervised.log
    family = [supervised.process.pid, *supervised.pids()]
    assert not any("-key" in " ".join(psutil.Process(pid).cmdline()) for pid in family)


def test_a_killed_worker_is_replaced_and_the_others_answer_meanwhile(supervised: Supervised) -> None:
    supervised.deploy(workers=2)
    victim, survivor = supervised.pids()
    os.kill(victim, signal.SIGKILL)
    answered = [supervised.score().status_code for _ in range(20)]
    wait_until(lambda: len(pids := supervised.pids()) == 2 and victim not in pids, what="another worker")
    assert set(answered) == {200}
    assert survivor in supervised.pids() and victim not in supervised.pids()
    status = supervised.ask("status")
    assert max(w["restarts"] for w in status["workers"]) == 1
    assert "ended by signal 9; starting another" in supervised.log


def test_a_script_that_ends_its_process_during_a_request_comes_back(supervised: Supervised) -> None:
    supervised.deploy("""
        import os
        def init(): pass
        def run(data):
            if data == '"die"': os._exit(7)
            return data
    """)
    with pytest.raises(requests.ConnectionError):
        supervised.score("die")
    assert (
        wait_until(lambda: (r := supervised.score("x")).status_code == 200 and r, what="a new worker").json() == '"x"'
    )
    assert "exited with code 7" in supervised.log


def test_a_worker_that_keeps_dying_makes_the_service_unhealthy_until_it_works_again(supervised: Supervised) -> None:
    flag = supervised.root / "broken"
    supervised.deploy(f"""
        import os
        def init():
            if os.path.exists({str(flag)!r}): raise RuntimeError("broken today")
        def run(data): return 1
    """)
    flag.touch()
    os.kill(supervised.pids()[0], signal.SIGKILL)
    status = wait_until(lambda: (s := supervised.ask("status"))["failure"] and s, what="a failure")
    assert status["state"] == "Unhealthy"
    assert status["failure"]["message"] == "RuntimeError: broken today"
    flag.unlink()
    wait_until(lambda: supervised.ask("status")["state"] == "Live", what="live again")
    assert supervised.ask("status")["failure"] is None


def test_a_worker_that_is_still_starting_answers_nobody_while_another_one_serves(supervised: Supervised) -> None:
    source = """
        import json, os, time
        def init():
            try:
                os.open("first", os.O_CREAT | os.O_EXCL)
            except FileExistsError:
                [time.sleep(0.02) for _ in iter(lambda: os.path.exists("gate"), True)]
        def run(data): return os.getpid()
    """
    settings = supervised.settings(source, workers=2)
    app = Path(settings["app_root"])
    supervised.open_gate()
    assert supervised.ask("deploy", settings=settings, deployment_id="d1")["ok"]
    os.kill(supervised.process.pid, signal.SIGKILL)
    supervised.process.wait()
    for name in ("first", "gate"):
        (app / name).unlink()
    supervised.start("--resume")
    wait_until(lambda: supervised.ask("status")["state"] == "Live", what="live again")
    starting = [worker for worker in supervised.ask("status")["workers"] if worker["state"] == "starting"]
    assert len(starting) == 1
    assert {supervised.score().status_code for _ in range(50)} == {200}
    supervised.open_gate()
    wait_until(lambda: len(supervised.pids()) == 2)
    seen: set[int] = set()
    wait_until(lambda: seen.add(supervised.score().json()) or len(seen) == 2, what="an answer of each")


def test_workers_die_with_a_killed_supervisor_and_resume_brings_the_revision_back(supervised: Supervised) -> None:
    supervised.deploy(workers=2)
    port, workers = supervised.facts["port"], [psutil.Process(pid) for pid in supervised.pids()]
    os.kill(supervised.process.pid, signal.SIGKILL)
    supervised.process.wait()
    _, alive = psutil.wait_procs(workers, 60)
    assert not alive
    supervised.start("--resume")
    assert supervised.facts["port"] == port
    wait_until(lambda: supervised.ask("status")["state"] == "Live", what="live again")
    response = supervised.score()
    assert response.status_code == 200 and response.headers["x-mldeploy-revision"] == "1"
    assert supervised.ask("status")["deployment_id"] == "d1"


def test_stop_leaves_no_process_and_no_socket(supervised: Supervised) -> None:
    supervised.deploy("""
        import json, subprocess, sys
        def init():
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
        def run(data): return 1
    """)
    wait_until(lambda: supervised.ask("status")["forking"]["spare"])
    assert len(supervised.family()) == 2  # the worker, and the process that its script started
    family = psutil.Process(supervised.process.pid).children(recursive=True)
    url = supervised.url
    control = supervised.facts["control"]
    assert supervised.ask("stop") == {"ok": True}
    assert supervised.process.wait(60) == 0
    _, alive = psutil.wait_procs(family, 60)
    assert not alive
    assert not Path(control).exists() and not (supervised.folder / "supervisor.json").exists()
    assert (supervised.folder / "live.json").exists()
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=2)
    with pytest.raises(ControlError, match="cannot be reached"):
        call(control, "status")


def test_a_stop_answers_the_request_that_is_being_scored(supervised: Supervised) -> None:
    supervised.deploy(f"""
        import os, time
        def init(): pass
        def run(data):
            print("running", flush=True)
            {WAIT}
            return "done"
    """)
    from concurrent.futures import ThreadPoolExecutor

    address = ("127.0.0.1", supervised.facts["port"])
    with ThreadPoolExecutor(2) as pool, socket.create_connection(address, timeout=60) as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert idle.recv(4096).startswith(b"HTTP/1.1 200 ")
        future = pool.submit(supervised.score)
        wait_until(lambda: "running" in supervised.log)
        stopping = pool.submit(supervised.ask, "stop")
        while idle.recv(4096):  # the worker closes it when it is told to stop
            pass
        supervised.open_gate()
        response = future.result(60)
        assert stopping.result(60) == {"ok": True}
    assert (response.status_code, response.json()) == (200, "done")
    assert response.headers["connection"] == "close"


def test_many_children_that_end_at_once_do_not_stop_the_supervisor(supervised: Supervised) -> None:
    assert supervised.deploy()["ok"]
    assert supervised.process is not None
    for _ in range(20_000):  # a signal that comes while the one before is handled
        os.kill(supervised.process.pid, signal.SIGCHLD)
    assert supervised.deploy()["ok"]  # starts a process, which is done in the main thread
    assert supervised.score(2).json() == 2
    supervised.ask("stop")
    assert supervised.process.wait(60) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="a signal is sent to one thread by a call of Linux")
def test_a_signal_that_another_thread_gets_ends_the_supervisor_too(supervised: Supervised) -> None:
    assert supervised.process is not None
    pid = supervised.process.pid  # the kernel's choice when the main thread, which sleeps, has a signal pending
    other = max(int(name) for name in os.listdir(f"/proc/{pid}/task"))
    assert other != pid and ctypes.CDLL(None).tgkill(pid, other, signal.SIGTERM) == 0
    assert supervised.process.wait(60) == 0


def test_a_supervisor_to_which_no_deployment_comes_ends(tmp_path: Path) -> None:
    lonely = Supervised(tmp_path / "lonely").start("--patience", "0.3")
    assert lonely.process is not None and lonely.process.wait(60) == 0
    assert not (lonely.folder / "supervisor.json").exists()
    used = Supervised(tmp_path / "used").start("--patience", "6")
    try:
        assert used.deploy()["ok"]
        with pytest.raises(subprocess.TimeoutExpired):
            used.process.wait(7)  # type: ignore[union-attr]
        assert used.score(2).json() == 2
    finally:
        used.end()


def test_restart_replaces_every_worker_without_a_refused_request(supervised: Supervised) -> None:
    supervised.deploy(workers=2)
    before = set(supervised.pids())
    assert supervised.ask("restart") == {"ok": True, "restarted": 2}
    assert before.isdisjoint(supervised.pids()) and len(supervised.pids()) == 2
    assert supervised.score().status_code == 200


def test_a_taken_port_is_refused_with_its_holder(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        service = Supervised(tmp_path).start("--port", str(port))
        assert service.process.wait(60) == 98
        failure = json.loads((service.folder / "failure.json").read_text())
    assert failure["code"] == "port-in-use" and failure["port"] == port
    assert failure["holder"]["pid"] == os.getpid()
    assert "python" in failure["holder"]["command"]


def test_a_folder_has_one_supervisor(supervised: Supervised) -> None:
    command = [sys.executable, "-m", "mldeploy_jupyter.serving.supervisor", "--folder", str(supervised.folder)]
    assert subprocess.run(command, timeout=60).returncode == 97
    assert supervised.ask("status")["ok"]


def test_of_supervisors_started_at_once_one_runs_and_all_find_it(tmp_path: Path) -> None:
    client = SupervisorClient(tmp_path / "service")
    client.folder.mkdir()
    port = free_port()
    with ThreadPoolExecutor(8) as threads:
        found = [threads.submit(client.start, port, 0) for _ in range(8)]
        pids = {future.result()["pid"] for future in found}
    assert len(pids) == 1
    assert client.call("status")["pid"] in pids
    client.stop()


def test_a_deployment_moves_the_service_to_another_port(supervised: Supervised) -> None:
    supervised.deploy()
    old = supervised.url
    port = free_port()
    assert supervised.deploy(port=port)["port"] == port
    assert supervised.facts["port"] == port
    assert supervised.score().headers["x-mldeploy-revision"] == "2"
    with pytest.raises(requests.ConnectionError):
        requests.get(old, timeout=2)


def test_moving_to_a_taken_port_fails_before_anything_is_loaded(supervised: Supervised) -> None:
    supervised.deploy()
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        answer = supervised.deploy(port=holder.getsockname()[1])
    assert answer["failure"]["code"] == "port-in-use"
    assert answer["failure"]["holder"]["pid"] == os.getpid()
    assert supervised.score().headers["x-mldeploy-revision"] == "1"


def test_a_folder_with_a_long_path_gets_its_control_socket_elsewhere(tmp_path: Path) -> None:
    service = Supervised(tmp_path / ("deep" * 30)).start()
    try:
        control = Path(service.facts["control"])
        assert service.folder not in control.parents
        assert control.parent.stat().st_mode & 0o777 == 0o700
        assert service.ask("status")["state"] == "Empty"
    finally:
        service.end()
    assert not control.parent.exists()


def test_files_of_a_service_are_private(supervised: Supervised) -> None:
    supervised.deploy()
    assert supervised.folder.stat().st_mode & 0o777 == 0o700
    for name in ("supervisor.json", "live.json", "control.sock", "logs/service.log"):
        assert (supervised.folder / name).stat().st_mode & 0o077 == 0, name


def test_the_log_has_time_revision_and_pid_and_escapes_what_is_no_text(supervised: Supervised) -> None:
    supervised.deploy(r"""
        import os, sys
        def init():
            os.write(1, b"half\xff line\n")
            print("to stderr", file=sys.stderr)
        def run(data):
            raise ValueError("bad row")
    """)
    response = supervised.score()
    request_id = response.headers["x-ms-request-id"]
    pid = supervised.pids()[0]
    wait_until(lambda: f"[{request_id}] POST /score 500" in supervised.log)
    lines = supervised.log.splitlines()
    assert any(line.endswith(f"[r1 {pid}] half\\xff line") for line in lines)
    assert any(line.endswith(f"[r1 {pid}] to stderr") for line in lines)
    assert any(line.endswith(f"[{request_id}] run() raised ValueError: bad row") for line in lines)
    assert any('raise ValueError("bad row")' in line for line in lines)
    stamp = lines[0].split(" ")[0]
    assert len(stamp) == len("2026-01-01T00:00:00.000Z") and stamp.endswith("Z")


def test_it_works_from_a_copy_of_the_package_under_another_name(supervised: Supervised) -> None:
    import shutil

    import mldeploy_jupyter.serving as room

    copy = supervised.root / "server" / "mldeploy_serving"
    shutil.copytree(Path(room.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    answer = supervised.deploy(ECHO, server_path=str(copy.parent))
    assert answer["ok"], answer
    command = psutil.Process(supervised.pids()[0]).cmdline()
    assert "mldeploy_serving.worker" in command
    assert "mldeploy_jupyter" not in answer["modules"]
    assert supervised.score({"a": 1}).json() == {"a": 1}


def test_without_a_revision_the_port_answers_503_and_does_not_hang(supervised: Supervised) -> None:
    for _ in range(2):
        response = supervised.score()
        assert (response.status_code, response.json()["error"]["code"]) == (503, "not-serving")
        assert response.headers["retry-after"] == "1"
        assert not supervised.deploy("def init(): 1 / 0\ndef run(data): return 1\n")["ok"]
    assert supervised.deploy()["ok"]
    assert [supervised.score().status_code for _ in range(20)] == [200] * 20


def test_what_a_script_started_is_ended_after_its_supervisor_was_killed(supervised: Supervised) -> None:
    supervised.deploy("""
        import subprocess, sys
        def init(): subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
        def run(data): return 1
    """)
    wait_until(lambda: supervised.ask("status")["forking"]["spare"])
    family = supervised.family()
    worker = next(process for process in family if process.pid in supervised.pids())
    child = next(process for process in family if process.pid != worker.pid)
    os.kill(supervised.process.pid, signal.SIGKILL)
    supervised.process.wait()
    worker.wait(60)
    assert child.is_running()
    supervised.start()
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_a_daemon_started_by_a_script_ends_with_its_worker_and_holds_no_port(supervised: Supervised) -> None:
    supervised.deploy(
        """
        import os, time
        def init():
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    with open("daemon", "w") as file:
                        file.write(str(os.getpid()) + "\\n")
                    time.sleep(600)
                os._exit(0)
        def run(data): return 1
        """
    )
    wrote = supervised.root / "app1" / "daemon"
    wait_until(lambda: wrote.exists() and wrote.read_text().endswith("\n"))
    daemon = int(wrote.read_text())
    assert psutil.pid_exists(daemon)
    port = supervised.facts["port"]
    supervised.ask("stop")
    gone = (psutil.NoSuchProcess, psutil.ZombieProcess)
    wait_until(lambda: not psutil.pid_exists(daemon) or _raises(gone, psutil.Process(daemon).environ), what="its end")
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


def _raises(kinds: tuple[type[Exception], ...], call: Callable[[], object]) -> bool:
    try:
        call()
    except kinds:
        return True
    return False
