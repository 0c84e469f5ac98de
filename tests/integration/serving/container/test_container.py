"""A container that listens by itself: what its image and its variables say, started again, stopped, and in trouble."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.integration.serving.container.containers import Container, Image, images
from tests.polling import wait_until
from tests.ports import free_port

FILES = """
    import os
    from azureml.core.model import Model
    def init():
        open("beside", "w").write("written by init")
    def run(data):
        models = os.environ["AZUREML_MODEL_DIR"]
        return {
            "root": os.environ["AML_APP_ROOT"], "cwd": os.getcwd(), "beside": open("beside").read(),
            "weights": open(os.path.join(models, "weights")).read(),
            "path": open(Model.get_model_path("m")).read(),
            "variables": sorted(name for name in os.environ if "KEY" in name and name.startswith("MLDEPLOY")),
        }
"""

Start = Callable[..., Container]


@pytest.fixture
def image(tmp_path: Path) -> Callable[..., Image]:
    return images(tmp_path)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a container; its port is `container.port`."""
    started: list[Container] = []

    def run(image: Image, settings: dict[str, Any] | None = None, name: str = "state", **environ: str) -> Container:
        port = free_port()
        container = Container(image, tmp_path / name, settings, MLDEPLOY_LISTEN=f"127.0.0.1:{port}", **environ)
        container.port = port
        container.run()
        started.append(container)
        return container

    yield run
    for container in started:
        container.end()


def score(container: Container, data: Any = 1, key: str = "") -> requests.Response:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return requests.post(f"http://127.0.0.1:{container.port}/score", json=data, headers=headers, timeout=60)


def test_an_image_without_any_settings_is_served_and_asks_for_no_key(start: Start, image: Callable[..., Image]) -> None:
    container = start(image(FILES))
    answer = container.await_started()
    assert answer["ok"] and answer["revision"] == 1
    assert container.health() == (0, "Live")
    app = str(container.folder / "revisions" / "1" / "app")
    assert score(container).json() == {
        "root": app,
        "cwd": app,
        "beside": "written by init",
        "weights": "7",
        "path": "7",
        "variables": [],
    }
    assert "no keys were given: requests need none" in container.messages()
    logged = (container.folder / "logs" / "service.log").read_text()
    wait_until(lambda: logged in container.output.read_text(), what="every line of the log on standard output")


def test_settings_of_the_environment_override_those_of_the_image(start: Start, image: Callable[..., Image]) -> None:
    container = start(
        image(FILES, revision=3, workers=1), {"revision": 7, "workers": 2, "env": {"A": "b"}, "auth_enabled": True}
    )
    assert container.await_started()["revision"] == 7
    status = container.ask("status")
    assert len(status["workers"]) == 2 and status["settings"]["env"] == {"A": "b"}
    assert score(container).status_code == 401  # nobody has a key yet, and it was said that one is needed
    assert "no keys were given yet" in container.messages()


def test_keys_come_from_variables_and_from_files(start: Start, image: Callable[..., Image], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("second\n")
    keys = {"MLDEPLOY_PRIMARY_KEY": "first", "MLDEPLOY_SECONDARY_KEY_FILE": str(tmp_path / "secret")}
    container = start(image(FILES), **keys)
    container.await_started()
    assert [score(container, key=key).status_code for key in ("", "first", "second")] == [401, 200, 200]
    assert score(container, key="first").json()["variables"] == ["MLDEPLOY_SECONDARY_KEY_FILE"]


def test_a_file_with_keys_is_read_again_when_the_container_is_told_to(
    start: Start, image: Callable[..., Image], tmp_path: Path
) -> None:
    (tmp_path / "keys.json").write_text(json.dumps({"primaryKey": "one"}))
    container = start(image(), MLDEPLOY_KEYS=str(tmp_path / "keys.json"))
    container.await_started()
    assert score(container, key="one").status_code == 200
    (tmp_path / "keys.json").write_text(json.dumps({"primaryKey": "two"}))
    assert container.ask("keys")["ok"]
    assert [score(container, key=key).status_code for key in ("one", "two")] == [401, 200]


def test_a_container_that_is_started_again_serves_what_it_served_last(
    start: Start, image: Callable[..., Image]
) -> None:
    container = start(image())
    container.await_started()
    source = container.folder / "incoming"
    (source / "src").mkdir(parents=True)
    (source / "src" / "score.py").write_text("def init(): pass\ndef run(data): return 'changed'\n")
    settings = {"revision": 2, "python": "/a/python/of/another/machine"}
    events, answer = container.control("deploy", deployment_id="d2", settings=settings, source=str(source))
    assert answer["ok"] and events[0] == {"event": "stage", "stage": "rollout", "kind": "started"}
    assert not source.exists()
    for begin_again in (container.kill, container.end):
        response = score(container)
        assert (response.json(), response.headers["x-mldeploy-revision"]) == ("changed", "2")
        begin_again()
        container.run()
        container.await_started()
        wait_until(lambda: container.health()[0] == 0)
    assert container.ask("status")["deployment_id"] == "d2"
    assert [path.name for path in (container.folder / "revisions").iterdir()] == ["2"]


def test_another_image_in_the_same_folder_begins_anew(start: Start, image: Callable[..., Image]) -> None:
    container = start(image())
    container.await_started()
    container.end()
    other = start(image("def init(): pass\ndef run(data): return 'another'", revision=1))
    other.await_started()
    assert score(other).json() == "another"


def test_a_deployment_that_fails_leaves_what_serves(start: Start, image: Callable[..., Image]) -> None:
    container = start(image())
    container.await_started()
    source = container.folder / "incoming"
    (source / "src").mkdir(parents=True)
    (source / "src" / "score.py").write_text("import nothing_like_it\n")
    answer = container.ask("deploy", deployment_id="d2", settings={"revision": 2}, source=str(source), port=1)
    assert answer["failure"]["code"] == "module-missing"
    assert score(container).headers["x-mldeploy-revision"] == "1"
    assert [path.name for path in (container.folder / "revisions").iterdir()] == ["1"]
    answer = container.ask("deploy", deployment_id="d3", settings={"revision": 3}, source=str(source))
    assert answer["failure"]["code"] == "spawn-failed" and "working folder" in answer["failure"]["message"]


def test_a_start_that_fails_ends_the_container(start: Start, image: Callable[..., Image]) -> None:
    container = start(image("import os\ndef init(): os._exit(9)\ndef run(data): pass"))
    assert container.process.wait(60) == 3
    data = json.loads((container.folder / "failure.json").read_text())
    assert (data["code"], data["exit_code"], data["stage"]) == ("exited", 9, "init")
    last = container.entries[-2:]
    assert any("could not be started" in str(entry["message"]) for entry in last)


def test_a_signal_lets_a_request_in_flight_end(start: Start, image: Callable[..., Image], tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    source = f"""
        import os, time
        def init(): pass
        def run(data):
            print("running", flush=True)
            while not os.path.exists({str(gate)!r}): time.sleep(0.01)
            return 1
    """
    for number, name in ((signal.SIGTERM, "term"), (signal.SIGINT, "int")):
        container = start(image(source), name=name, MLDEPLOY_STOP_SECONDS="30")
        container.await_started()
        answers: list[requests.Response] = []
        client = threading.Thread(target=lambda c=container, found=answers: found.append(score(c)))
        client.start()
        wait_until(lambda c=container: "running" in c.messages())
        container.process.send_signal(number)
        wait_until(lambda c=container: "stopping" in c.ask("deploy", settings={}).get("failure", {})["message"])
        gate.touch()
        client.join(60)
        assert answers[0].status_code == 200
        assert container.process.wait(60) == 0
        gate.unlink()


def test_before_a_cluster_s_container_stops_it_says_so_and_still_answers(
    start: Start, image: Callable[..., Image]
) -> None:
    container = start(image(), MLDEPLOY_STOP_DELAY="600")
    container.await_started()
    ready = f"http://127.0.0.1:{container.port}/ready"
    assert requests.get(ready, timeout=60).status_code == 200
    container.process.send_signal(signal.SIGTERM)
    wait_until(lambda: requests.get(ready, timeout=60).status_code == 503)
    assert requests.get(ready, timeout=60).json()["error"]["code"] == "not-in-service"
    assert score(container).status_code == 200
    assert container.ask("stop")["ok"] and container.process.wait(60) == 0


def test_orphans_of_the_script_are_reaped(start: Start, image: Callable[..., Image]) -> None:
    container = start(
        image("""
        import subprocess
        def init(): pass
        def run(data):
            # The shell ends at once, so its child loses its parent.
            return int(subprocess.check_output(["sh", "-c", "sleep 0.1 >/dev/null & echo $!"]))
    """)
    )
    container.await_started()
    orphan = score(container).json()
    wait_until(lambda: not psutil.pid_exists(orphan), what="the orphan to leave the process table")


@pytest.mark.parametrize(
    ("environ", "code", "text"),
    [
        ({"MLDEPLOY_SERVICE_FILE": "/nowhere/service.json"}, 2, "/nowhere/service.json cannot be read"),
        ({"MLDEPLOY_SETTINGS": "{"}, 2, "MLDEPLOY_SETTINGS is not JSON"),
        ({"MLDEPLOY_SETTINGS": '{"workers": "two"}'}, 2, "settings.workers must be int"),
        ({"MLDEPLOY_LISTEN": "5001"}, 2, "MLDEPLOY_LISTEN is not an address"),
        ({"MLDEPLOY_STANDBY": "1"}, 2, "MLDEPLOY_STANDBY without MLDEPLOY_LISTENER"),
        ({"MLDEPLOY_STOP_SECONDS": "soon"}, 2, "MLDEPLOY_STOP_SECONDS is not a number"),
        ({"MLDEPLOY_PRIMARY_KEY_FILE": "/nowhere/key"}, 2, "MLDEPLOY_PRIMARY_KEY_FILE cannot be read"),
        ({"MLDEPLOY_FOLDER": "/proc/state"}, 2, "the state folder cannot be used"),
        ({"MLDEPLOY_LISTEN": "203.0.113.1:5001"}, 98, "port 5001"),
    ],
)
def test_what_is_wrong_is_said_in_three_lines(
    start: Start, image: Callable[..., Image], environ: dict[str, str], code: int, text: str
) -> None:
    container = Container(image(), image().app.parent / "state", **environ)
    container.run()
    assert container.process.wait(60) == code
    error, cause, hint = container.output.read_text().splitlines()
    assert error.startswith("error: ") and cause.startswith("cause: ") and hint.startswith("hint: ")
    assert text in cause


def test_one_container_has_a_state_folder(start: Start, image: Callable[..., Image]) -> None:
    container = start(image())
    container.await_started()
    second = Container(image(), container.folder, MLDEPLOY_LISTEN="127.0.0.1:0")
    second.output = container.folder.parent / "second.out"
    second.run()
    assert second.process.wait(60) == 97
    assert "another process serves from" in second.output.read_text()


def test_the_programs_beside_the_service_say_what_is_wrong(start: Start, image: Callable[..., Image]) -> None:
    container = Container(image(), Path(image().app.parent / "state"))
    assert container.health()[0] == 1
    assert container.ask("status")["failure"]["code"] == "supervisor-lost"
    done = subprocess.run([*container.command, "sh"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("error: no such command: sh\ncause: ")
    done = subprocess.run([*container.command, "control"], input="nonsense\n", capture_output=True, text=True)
    assert done.returncode == 2 and json.loads(done.stdout)["failure"]["code"] == "bad-request"


def test_neither_supervisor_nor_listener_imports_what_workers_need() -> None:
    code = """
import sys
import mldeploy_jupyter.serving.container.service, mldeploy_jupyter.serving.container.listener
heavy = {"asyncio", "logging", "http", "httptools", "orjson", "uvloop", "numpy", "concurrent.futures"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_serves_does_not_change_when_the_image_is_read_only(
    start: Start, image: Callable[..., Image], tmp_path: Path
) -> None:
    read_only = image(FILES)
    for path in [read_only.app, *read_only.app.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {str(path): path.stat().st_mtime_ns for path in read_only.app.rglob("*")}
    container = start(read_only)
    container.await_started()
    assert score(container).json()["beside"] == "written by init"
    app = container.folder / "revisions" / "1" / "app"
    assert os.access(app / "src" / "score.py", os.W_OK) and (app / "src").stat().st_mode & 0o700 == 0o700
    assert {str(path): path.stat().st_mtime_ns for path in read_only.app.rglob("*")} == before
