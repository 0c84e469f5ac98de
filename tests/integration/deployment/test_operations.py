"""Operations on a live service: keys, logs, stop and start, delete, and what happens when its processes die."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
import requests

from mldeploy_jupyter import (
    LocalWebservice,
    Model,
    Webservice,
)
from mldeploy_jupyter.core.errors import (
    DeploymentFailed,
    MldeployError,
    ModelInUse,
    ScoringError,
    WebserviceException,
    WebserviceNotFound,
)
from mldeploy_jupyter.deployment import record_service_event
from tests.polling import stop_process, wait_until

from .conftest import BROKEN, SLOW, Site, live, supervisor_pid


def test_the_two_keys_of_a_service_stay_different(site: Site) -> None:
    service = live(site)
    second = service.get_keys()[1]
    service.update(deployment_config=LocalWebservice.deploy_configuration(primary_key=second), wait=True)
    assert service.get_keys()[0] == second != service.get_keys()[1]


def test_a_stopped_service_keeps_name_key_and_port(site: Site) -> None:
    service = live(site)
    before = (service.port, service.get_keys())
    service.stop()
    assert service.state == "Stopped"
    with pytest.raises(ScoringError):
        service.run({})
    service.stop()
    service.start()
    assert (service.state, service.run({})["answer"]) == ("Healthy", 1)
    assert (service.port, service.get_keys()) == before
    service.restart()
    assert service.run({})["answer"] == 1


def test_keys_are_replaced_without_a_restart(site: Site) -> None:
    service = live(site)
    old, secondary = service.get_keys()
    pid = service.get_logs()
    service.regen_key("Primary")
    new = service.get_keys()[0]
    status = {
        key: requests.post(
            service.scoring_uri, json={}, headers={"Authorization": f"Bearer {key}"}, timeout=10
        ).status_code
        for key in (old, secondary, new)
    }
    assert status == {old: 401, secondary: 200, new: 200}
    assert "stopp" not in service.get_logs()[len(pid) :]
    service.regen_key("secondary", "a-key-of-my-own")
    assert service.get_keys()[1] == "a-key-of-my-own"


def test_a_service_is_found_from_another_process_and_folder(
    site: Site, tmp_path_factory: pytest.TempPathFactory
) -> None:
    live(site)
    shown = subprocess.run(
        [sys.executable, "-m", "mldeploy_jupyter.cli", "service", "list", "--all", "--json"],
        cwd=tmp_path_factory.mktemp("elsewhere"),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "svc" in [item["name"] for item in json.loads(shown.stdout)]


def test_a_request_that_fails_names_what_the_script_raised_and_its_line(site: Site) -> None:
    site.write("def init():\n    pass\n\ndef run(data):\n    if data:\n        return json.loads(data)\n")
    service = live(site)
    with pytest.raises(ScoringError) as error:
        service.run({})
    assert error.value.why == "json is not defined in the script: NameError: name 'json' is not defined"
    assert error.value.where == "score.py line 6" and error.value.request_id[-8:] in error.value.hint
    assert error.value.hint.startswith(f"write import json, save score.py, then update {service.name} again; ")
    answer = requests.post(
        service.scoring_uri, json={}, headers={"Authorization": f"Bearer {service.get_keys()[0]}"}, timeout=10
    )
    assert "NameError" not in answer.text  # the answer itself goes to clients and tells nothing


@pytest.mark.parametrize("operation", ["deploy", "update"])
def test_a_script_that_cannot_answer_never_goes_live(site: Site, operation: str) -> None:
    if operation == "update":
        site.write("def init():\n    pass\n\ndef run(data):\n    return data\n")
        service = live(site)
    site.write("def init():\n    model = 1\n\ndef run(data):\n    return model\n")
    with pytest.raises(MldeployError) as refused:
        if operation == "deploy":
            live(site)
        else:
            service.reload(wait=True)
    assert refused.value.what == "model is known only inside init()"
    assert refused.value.hint.startswith("write global model as the first line of init()")
    if operation == "update":
        assert service.run("still here") == "still here"


def test_a_log_that_is_written_late_still_names_what_the_script_raised(site: Site) -> None:
    site.write("def init():\n    pass\n\ndef run(data):\n    raise ValueError('no such thing')\n")
    service = live(site)
    pid = json.loads((site.folder / ".mldeploy/services/svc/supervisor.json").read_text())["pid"]
    stop_process(pid)  # the workers answer without it, and what they print waits for it
    wake = threading.Timer(0.5, os.kill, (pid, signal.SIGCONT))
    wake.start()
    with pytest.raises(ScoringError) as error:
        service.run({})
    wake.join()
    assert error.value.why == "ValueError: no such thing"


def test_a_service_that_was_never_live_cannot_be_started(site: Site) -> None:
    site.write(BROKEN)
    service = site.deploy()
    with pytest.raises(DeploymentFailed):
        service.wait_for_deployment(timeout_sec=240)
    with pytest.raises(WebserviceException, match="never been live"):
        service.start()
    service.stop()


def test_a_worker_that_dies_comes_back(site: Site) -> None:
    site.write("import os\n\ndef init():\n    pass\n\ndef run(data):\n    return os.getpid()\n")
    service = live(site)
    first = service.run({})
    import os
    import signal

    os.kill(first, signal.SIGKILL)

    def answers() -> bool:
        try:
            return bool(service.run({}) != first)
        except ScoringError:
            return False

    wait_until(answers, what=lambda: "no worker came back")


def test_a_supervisor_that_dies_leaves_no_worker_and_can_be_started(site: Site) -> None:
    import os
    import signal

    service = live(site)
    data = json.loads((site.folder / ".mldeploy/services/svc/supervisor.json").read_text())
    os.kill(data["pid"], signal.SIGKILL)
    wait_until(lambda: site.processes() == [], what=lambda: f"orphans: {site.processes()}")
    assert service.state == "Unhealthy"
    service.start()
    assert (service.state, service.run({})["answer"]) == ("Healthy", 1)


@pytest.mark.parametrize("ended", ["stopped", "killed"])
def test_a_stranger_on_the_port_gets_no_key_and_is_named(site: Site, ended: str) -> None:
    service = live(site)
    port, keys = int(service.port or 0), service.get_keys()
    if ended == "stopped":
        service.stop()
    else:
        os.kill(supervisor_pid(site), signal.SIGKILL)
        wait_until(lambda: site.processes() == [])
    with socket.create_server(("127.0.0.1", port)) as stranger:
        with pytest.raises(ScoringError, match="another program listens on its port, and was sent nothing"):
            service.run({})
        with pytest.raises(MldeployError) as refused:
            service.start()
        assert refused.value.what == f"port {port} is in use" and f"process {os.getpid()}" in refused.value.why
        with pytest.raises(ScoringError, match="was sent nothing"):
            Webservice(site.ws, "svc").run({})
        stranger.settimeout(1)
        while True:  # who looks at the port says nothing
            try:
                connection, _ = stranger.accept()
            except TimeoutError:
                break
            with connection:
                assert connection.recv(1) == b""
    service.start()
    assert service.port == port and service.run({})["answer"] == 1
    assert (service.get_keys() == keys) is (ended == "stopped"), "whoever had the port may have got the key"


def test_delete_ends_a_deployment_under_way_and_leaves_nothing(site: Site) -> None:
    site.write(SLOW)
    service = site.deploy()
    wait_until(lambda: len(site.processes()) >= 2, what=lambda: "it did not begin")
    service.delete()
    wait_until(lambda: site.processes() == [], what=lambda: f"left: {site.processes()}")
    with pytest.raises(WebserviceNotFound):
        Webservice(site.ws, "svc")
    assert not (site.folder / ".mldeploy/services/svc").exists()


def test_nothing_that_is_written_meanwhile_is_in_the_way_of_a_delete(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A panel notes that the service died while its folder is being removed, and asks for the keys of one without."""
    service = live(site)
    folder, removed = site.ws.folder, os.rmdir
    noted: list[bool] = []

    def note_first(path: str, **options: int | None) -> None:
        if os.path.basename(path) == "svc" and not noted:
            noted.append(record_service_event(folder, "svc", "died", "Its process is gone"))
        removed(path, **options)
        if os.path.basename(path) == "svc":
            with pytest.raises(WebserviceException, match="svc has no keys"):
                service.get_keys()
            with pytest.raises(WebserviceException, match="svc has no keys"):
                service.regen_key("Primary")

    monkeypatch.setattr(os, "rmdir", note_first)
    service.delete()
    assert noted == [True]  # a file that was not there when the folder's files were listed
    with pytest.raises(WebserviceNotFound):
        Webservice(site.ws, "svc")
    assert not (site.folder / ".mldeploy/services/svc").exists()


def test_a_model_in_use_is_not_deleted(site: Site) -> None:
    (site.folder / "m.txt").write_text("m")
    model = Model.register(site.ws, str(site.folder / "m.txt"), "m")
    service = site.deploy(models=[model])
    service.wait_for_deployment(timeout_sec=240)
    with pytest.raises(ModelInUse, match="svc"):
        model.delete()
    service.delete()
    model.delete()
