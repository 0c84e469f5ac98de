"""Deploy, update, roll back, cancel, stop and start, delete: over real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest
import requests

from mldeploy_jupyter import (
    AciWebservice,
    AksWebservice,
    InferenceConfig,
    LocalWebservice,
    Model,
    Webservice,
    deployment,
)
from mldeploy_jupyter.core.errors import (
    DeploymentCancelled,
    DeploymentFailed,
    DeploymentInProgress,
    DeploymentTimeout,
    ModelInUse,
    NameInUse,
    ScoringError,
    TargetNotAvailable,
    UserErrorException,
    WebserviceException,
    WebserviceNotFound,
)
from mldeploy_jupyter.core.journal import fold
from mldeploy_jupyter.core.journal.journal import STAGES, read_events
from mldeploy_jupyter.core.records import DeploymentRequest
from tests.polling import wait_until

from .conftest import Site

SLOW = "import time\n\ndef init():\n    time.sleep(600)\n\ndef run(data):\n    return 1\n"
BROKEN = "def init():\n    raise ValueError('no such thing')\n\ndef run(data):\n    return 1\n"


def live(site: Site, **config: object) -> Webservice:
    service = site.deploy(**config)
    service.wait_for_deployment(timeout_sec=60)
    return service


def test_the_journal_has_every_stage_once_with_its_duration(site: Site) -> None:
    service = live(site)
    events = list(read_events(service.journal))
    started = [e.stage for e in events if e.kind == "started"]
    finished = {e.stage: e.data["seconds"] for e in events if e.kind == "finished"}
    assert started == [stage for stage in STAGES if stage != "push"] == list(finished)
    assert events[0].data["stages"] == started
    assert events[-1].data["state"] == "live" and events[-1].data["scoring_uri"] == service.scoring_uri


def test_what_this_machine_has_no_use_for_is_said(site: Site) -> None:
    config = InferenceConfig(entry_script=str(site.folder / "score.py"), runtime="spark-py", enable_gpu=True)
    service = Model.deploy(site.ws, "svc", [], config)
    service.wait_for_deployment()
    check = fold(read_events(service.journal)).stages[0]
    assert (check.detail, check.warnings) == ("not used on this machine: enable_gpu, runtime spark-py", 1)


def test_the_finished_journal_is_archived_with_the_artifacts(site: Site) -> None:
    service = live(site)
    folder = site.ws.folder
    name = f"journals/{service.deployment_id}.jsonl"
    wait_until(lambda: folder.open_artifacts().read_bytes(name) is not None, what=lambda: "it was not archived")
    assert folder.open_artifacts().read_bytes(name) == service.journal.read_bytes()


def test_what_the_script_imports_of_the_kernels_interpreter_is_kept_as_exact_pins(site: Site) -> None:
    import numpy

    site.write("import numpy, orjson\n\ndef init():\n    pass\n\ndef run(data):\n    return 1\n")
    service = live(site)
    store = site.ws.folder.open_store()

    def pins() -> list[str]:
        revision = store.get_revision("svc", 1)
        return list(revision.environment.get("pins", [])) if revision else []

    wait_until(lambda: pins() != [], what=lambda: "no pins were kept")
    assert f"numpy=={numpy.__version__}" in pins()
    assert not any(pin.startswith(("pip==", "scikit-learn==", "sqlalchemy==")) for pin in pins())
    assert service.run({}) == 1


def test_a_live_name_is_refused_unless_overwritten(site: Site) -> None:
    live(site)
    site.script(2)
    with pytest.raises(NameInUse) as error:
        site.deploy(overwrite=False)
    assert "overwrite=True" in error.value.hint
    uri = site.deploy(overwrite=True).scoring_uri
    assert Webservice(site.ws, "svc").run({})["answer"] == 2
    assert uri == Webservice(site.ws, "svc").scoring_uri


def test_a_name_whose_first_deployment_failed_is_free(site: Site) -> None:
    site.write(BROKEN)
    with pytest.raises(DeploymentFailed):
        site.deploy(overwrite=False).wait_for_deployment(timeout_sec=60)
    site.script(2)
    assert site.deploy(overwrite=False).run({})["answer"] == 2


def test_a_second_operation_names_the_first(site: Site) -> None:
    """Fault 36: two users deploy one name."""
    site.write(SLOW)
    first = site.deploy()
    with pytest.raises(DeploymentInProgress) as error:
        site.deploy()
    assert error.value.deployment_id == first.deployment_id
    assert first.cancel() is True
    with pytest.raises(DeploymentCancelled):
        first.wait_for_deployment(timeout_sec=30)
    assert first.cancel() is False


def test_two_processes_that_deploy_one_name_at_once_do_not_both_begin(site: Site) -> None:
    code = (
        "import sys\nfrom mldeploy_jupyter import *\n"
        "ws = Workspace.get(path='.')\n"
        "input()\n"
        "try:\n"
        "    Model.deploy(ws, 'svc', [], InferenceConfig(entry_script='score.py'), overwrite=True)\n"
        "    print('began')\n"
        "except WebserviceException as error:\n    print(error.code)\n"
    )
    site.write(SLOW)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", code], cwd=site.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    said = sorted(racer.communicate(timeout=60)[0].split()[-1] for racer in racers)
    assert said == ["DeploymentInProgress", "DeploymentInProgress", "began"]


def test_waiting_has_a_limit_and_cancels_nothing(site: Site) -> None:
    site.write(SLOW)
    service = site.deploy()
    with pytest.raises(DeploymentTimeout) as error:
        service.wait_for_deployment(timeout_sec=0.5)
    assert "mldeploy service cancel" in error.value.hint
    assert service.state == "Transitioning"


def test_cancelling_an_update_leaves_the_old_revision(site: Site) -> None:
    service = live(site)
    site.write(SLOW)
    service.reload()
    wait_until(
        lambda: any(e.stage == "rollout" for e in read_events(service.journal)),
        what=lambda: "it did not come to rollout",
    )
    service.cancel()
    with pytest.raises(DeploymentCancelled) as error:
        service.wait_for_deployment(timeout_sec=30)
    assert "revision 1 still serves" in error.value.why
    assert service.run({})["answer"] == 1


def test_what_needs_the_service_waits_for_it_and_raises_its_error_once(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    service = site.deploy()
    assert service.run({})["answer"] == 1
    assert "waiting for the deployment of svc" in capsys.readouterr().out
    site.write(BROKEN)
    service.reload()
    with pytest.raises(DeploymentFailed, match="init"):
        service.run({})
    assert service.run({})["answer"] == 1  # the old revision serves, and the error was told


def test_a_failed_first_deployment_is_raised_whenever_the_service_is_needed(site: Site) -> None:
    site.write(BROKEN)
    service = site.deploy()
    for _ in range(2):
        with pytest.raises(DeploymentFailed):
            Webservice(site.ws, service.name).run({})


def test_the_whole_update_family(site: Site) -> None:
    (site.folder / "a.txt").write_text("a")
    (site.folder / "b.txt").write_text("b")
    site.write(
        "import os\nfrom pathlib import Path\n\ndef init():\n    global text\n"
        "    text = ' '.join(sorted(p.read_text() for p in Path(os.environ['AZUREML_MODEL_DIR']).rglob('*.txt')))\n\n"
        "def run(data):\n    return text\n"
    )
    first = Model.register(site.ws, str(site.folder / "a.txt"), "letters")
    second = Model.register(site.ws, str(site.folder / "b.txt"), "letters")
    service = site.deploy(models=[first])
    assert service.run({}) == "a"

    site.write("def init(): raise SystemError('not asked for')\ndef run(data): return 1\n")
    service.update(models=[second])  # the script on disk changed, the live one is kept
    assert (service.run({}), service.models) == ("b", ["letters:2"])

    service.update(auth_enabled=False)
    assert service.auth_enabled is True  # still the old revision: the update has only begun
    assert requests.post(service.scoring_uri, json={}, timeout=10).json() == "b"
    assert service.auth_enabled is False

    port = service.port
    site.script(5)
    service.update(
        inference_config=InferenceConfig(entry_script=str(site.folder / "score.py")),
        deployment_config=LocalWebservice.deploy_configuration(auth_enabled=True, tags={"team": "red"}),
        wait=True,
    )
    assert (service.run({})["answer"], service.port, service.tags) == (5, port, {"team": "red"})
    service.update(description="five")  # texts make no revision
    assert (service.description, service.revision) == ("five", 4)
    assert requests.post(service.scoring_uri, json={}, timeout=10).status_code == 401


def test_texts_outlive_the_revisions(site: Site) -> None:
    first: dict[str, object] = {"tags": {"a": "1"}, "description": "first", "properties": {"p": "1"}}
    service = site.deploy(**first)
    service.run({})
    service.update(tags={"owner": "ann"}, description="second")
    service.add_properties({"q": "2"})
    now = ({"owner": "ann"}, "second", {"p": "1", "q": "2"})
    service.reload(wait=True)
    assert (service.tags, service.description, service.properties) == now
    service.update(auth_enabled=False, wait=True)
    service.rollback(1, wait=True)
    assert (service.tags, service.description, service.properties) == now
    with pytest.raises(UserErrorException, match="the property p of"):
        service.update(scoring_timeout_ms=1000, properties={"p": "2"})
    service.update(scoring_timeout_ms=1000, tags={"b": "2"}, description="", wait=True)
    assert (service.tags, service.description, service.revision) == ({"b": "2"}, None, 5)


def test_texts_change_when_a_deployment_begins_and_an_overwrite_replaces_them(site: Site) -> None:
    service = site.deploy(tags={"a": "1"}, properties={"p": "1"})
    assert (service.tags, service.properties) == ({"a": "1"}, {"p": "1"})
    service.add_tags({"during": "1"})
    with pytest.raises(UserErrorException, match="the property p of"):
        service.add_properties({"p": "2"})
    service.wait_for_deployment()
    assert (service.tags, service.properties) == ({"a": "1", "during": "1"}, {"p": "1"})
    service = site.deploy(properties={"p": "other"}, description="new")
    service.wait_for_deployment()
    assert (service.tags, service.properties, service.description) == ({}, {"p": "other"}, "new")


def test_the_two_keys_of_a_service_stay_different(site: Site) -> None:
    service = live(site)
    second = service.get_keys()[1]
    service.update(deployment_config=LocalWebservice.deploy_configuration(primary_key=second), wait=True)
    assert service.get_keys()[0] == second != service.get_keys()[1]


def test_models_may_be_any_collection_and_the_configuration_is_printed_first(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    (site.folder / "a.txt").write_text("a")
    model = Model.register(site.ws, str(site.folder / "a.txt"), "letters")
    config = InferenceConfig(entry_script=str(site.folder / "score.py"))
    capsys.readouterr()
    service = Model.deploy(site.ws, "svc", (m for m in [model]), config, show_output=True)  # type: ignore[arg-type]
    assert capsys.readouterr().out.startswith("Models: letters:1\nentry_script: ")
    service.wait_for_deployment()
    assert service.models == ["letters:1"]


def test_update_refuses_what_it_cannot_do(site: Site) -> None:
    service = live(site)
    with pytest.raises(UserErrorException, match="nothing to update"):
        service.update()
    with pytest.raises(UserErrorException, match="with an image"):
        service.update(image_config=object())
    with pytest.raises(UserErrorException, match="another target"):
        service.update(deployment_config=AciWebservice.deploy_configuration())
    with pytest.raises(UserErrorException, match="must be a list"):
        service.update(models="letters")  # type: ignore[arg-type]
    assert [r["outcome"] for r in service.revisions] == ["live"]


def test_rolling_back_goes_one_further_back_each_time(site: Site) -> None:
    service = live(site)
    for answer in (2, 3):
        site.script(answer)
        service.reload(wait=True)
    service.rollback()
    assert service.run({})["answer"] == 2
    service.rollback()
    assert service.run({})["answer"] == 1
    with pytest.raises(WebserviceException, match="no older revision"):
        service.rollback()
    service.rollback(revision=3)
    assert service.run({})["answer"] == 3
    with pytest.raises(WebserviceException, match="no revision 99"):
        service.rollback(revision=99)


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
    site.write("def init():\n    pass\n\ndef run(data):\n    return json.loads(data)\n")
    service = live(site)
    with pytest.raises(ScoringError) as error:
        service.run({})
    assert error.value.why == "NameError: name 'json' is not defined"
    assert error.value.where == "score.py line 5" and error.value.request_id in error.value.hint
    answer = requests.post(
        service.scoring_uri, json={}, headers={"Authorization": f"Bearer {service.get_keys()[0]}"}, timeout=10
    )
    assert "NameError" not in answer.text  # the answer itself goes to clients and tells nothing


def test_what_a_model_s_file_names_is_imported_before_workers_are_forked(site: Site) -> None:
    import joblib
    import numpy as np
    from sklearn.linear_model import Ridge

    joblib.dump(Ridge().fit(np.eye(2), [1.0, 2.0]), site.folder / "ridge.joblib", compress=3)
    model = Model.register(site.ws, str(site.folder / "ridge.joblib"), "ridge")
    site.write(
        "import os, sys\nimport joblib\n\nTHERE = 'sklearn.linear_model._ridge' in sys.modules\n\n"
        "def init():\n    joblib.load(os.path.join(os.environ['AZUREML_MODEL_DIR'], 'ridge.joblib'))\n\n"
        "def run(data):\n    return THERE\n"
    )
    service = Model.deploy(site.ws, "svc", [model], InferenceConfig(entry_script=str(site.folder / "score.py")))
    service.wait_for_deployment(timeout_sec=60)
    assert service.run({}) is True


def test_a_log_that_is_written_late_still_names_what_the_script_raised(site: Site) -> None:
    site.write("def init():\n    pass\n\ndef run(data):\n    raise ValueError('no such thing')\n")
    service = live(site)
    pid = json.loads((site.folder / ".mldeploy/services/svc/supervisor.json").read_text())["pid"]
    os.kill(pid, signal.SIGSTOP)  # the workers answer without it, and what they print waits for it
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
        service.wait_for_deployment(timeout_sec=60)
    with pytest.raises(WebserviceException, match="never been live"):
        service.start()
    service.stop()


def test_a_failed_first_deployment_keeps_no_process_and_no_port(site: Site) -> None:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    site.write(BROKEN)
    with pytest.raises(DeploymentFailed):
        site.deploy("first", port=port).wait_for_deployment(timeout_sec=60)
    wait_until(lambda: site.processes() == [], what=lambda: f"left: {site.processes()}")
    assert "no such thing" in Webservice(site.ws, "first").get_logs()
    site.script(2)
    second = site.deploy("second", port=port)
    assert second.run({})["answer"] == 2
    third = site.deploy("third", port=port)
    with pytest.raises(DeploymentFailed) as error:
        third.wait_for_deployment(timeout_sec=60)
    assert "the service second of this workspace has it" in error.value.why


@pytest.mark.parametrize("good", [True, False], ids=["one that comes up", "one that fails"])
def test_an_update_whose_caller_dies_is_finished_by_the_supervisor(site: Site, good: bool) -> None:
    import os
    import signal

    service = live(site)
    end = "return" if good else "raise ValueError('late')"
    site.write(f"import time\n\ndef init():\n    time.sleep(3)\n    {end}\n\ndef run(data):\n    return 2\n")
    code = "from mldeploy_jupyter import *; Webservice(Workspace.get(path='.'), 'svc').reload(wait=True)"
    caller = subprocess.Popen([sys.executable, "-c", code], cwd=site.folder, start_new_session=True)
    store = site.ws.folder.open_store()

    def asked() -> bool:
        record = store.get_service("svc")
        assert record is not None
        last = deployment.query_status(site.ws.folder, record).details["last_deploy"]
        return bool(record.state == "Updating" and last["outcome"] == "running")

    wait_until(asked, what=lambda: "the update did not begin")
    os.killpg(caller.pid, signal.SIGKILL)
    caller.wait()
    found = Webservice(site.ws, "svc")
    assert found.state == "Transitioning"
    with pytest.raises(DeploymentInProgress, match="being changed"):
        site.deploy()
    if good:
        found.wait_for_deployment(timeout_sec=30)
        assert (found.run({}), found.revision) == (2, 2)
    else:
        with pytest.raises(DeploymentFailed, match="init"):
            found.wait_for_deployment(timeout_sec=30)
        assert (found.run({})["answer"], found.revision, found.state) == (1, 1, "Healthy")
    assert service.revision == found.revision


def test_an_update_goes_on_when_the_script_that_began_it_has_ended(site: Site) -> None:
    service = live(site)
    site.script(2)
    code = "from mldeploy_jupyter import *; Webservice(Workspace.get(path='.'), 'svc').reload()"
    subprocess.run([sys.executable, "-c", code], cwd=site.folder, check=True, timeout=60)
    service.wait_for_deployment(timeout_sec=60)
    assert (service.run({})["answer"], service.revision) == (2, 2)


def test_a_runner_that_cannot_be_started_leaves_the_service_as_it_was(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mldeploy_jupyter.deployment import launch

    service = live(site)

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no more processes")

    with monkeypatch.context() as patched:
        patched.setattr(launch.subprocess, "Popen", refuse)
        with pytest.raises(OSError, match="no more processes"):
            site.deploy()
    assert (service.state, service.run({})["answer"]) == ("Healthy", 1)
    site.script(2)
    assert site.deploy().run({})["answer"] == 2


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

    wait_until(answers, what=lambda: "no worker came back", seconds=10)


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


def test_delete_ends_a_deployment_under_way_and_leaves_nothing(site: Site) -> None:
    site.write(SLOW)
    service = site.deploy()
    wait_until(lambda: len(site.processes()) >= 2, what=lambda: "it did not begin")
    service.delete()
    wait_until(lambda: site.processes() == [], what=lambda: f"left: {site.processes()}")
    with pytest.raises(WebserviceNotFound):
        Webservice(site.ws, "svc")
    assert not (site.folder / ".mldeploy/services/svc").exists()


def test_a_model_in_use_is_not_deleted(site: Site) -> None:
    (site.folder / "m.txt").write_text("m")
    model = Model.register(site.ws, str(site.folder / "m.txt"), "m")
    service = site.deploy(models=[model])
    service.wait_for_deployment(timeout_sec=60)
    with pytest.raises(ModelInUse, match="svc"):
        model.delete()
    service.delete()
    model.delete()


def test_a_model_may_be_a_path_that_is_not_registered(site: Site) -> None:
    (site.folder / "weights").mkdir()
    (site.folder / "weights/w.txt").write_text("42")
    site.write(
        "import os\n\ndef init():\n    global w\n"
        "    w = open(os.path.join(os.environ['AZUREML_MODEL_DIR'], 'weights', 'w.txt')).read()\n\n"
        "def run(data):\n    return w\n"
    )
    assert site.deploy(models=[str(site.folder / "weights")]).run({}) == "42"  # type: ignore[list-item]


@pytest.mark.parametrize(
    "config", [AciWebservice.deploy_configuration(cpu_cores=1), AksWebservice.deploy_configuration()]
)
def test_a_target_that_has_not_landed_says_so(site: Site, config: object) -> None:
    with pytest.raises(TargetNotAvailable) as error:
        Model.deploy(site.ws, "svc", [], InferenceConfig(entry_script=str(site.folder / "score.py")), config)
    assert "is not in this version" in str(error.value) and "LocalWebservice" in error.value.hint
    assert Webservice.list(site.ws) == []


def test_no_secret_reaches_journal_request_store_or_log(site: Site) -> None:
    """Fault 30."""
    secret = "very-secret-primary-key"
    service = live(site, primary_key=secret, secondary_key="very-secret-second-key")
    assert service.get_keys()[0] == secret
    assert service.run({})["answer"] == 1
    site.script(2)
    service.reload(wait=True)
    root = site.folder / ".mldeploy"
    keys = root / "services/svc/keys.json"
    holders = [path for path in root.rglob("*") if path.is_file() and b"very-secret" in path.read_bytes()]
    assert holders == [keys] and keys.stat().st_mode & 0o777 == 0o600
    assert "very-secret" not in repr(service) + json.dumps(service.serialize()) + service.get_logs()
    environ = b"".join(
        (Path("/proc") / line.split()[0] / part).read_bytes()
        for line in site.processes()
        for part in ("environ", "cmdline")
    )
    assert b"very-secret" not in environ


def test_folders_are_private(site: Site) -> None:
    live(site)
    root = site.folder / ".mldeploy"
    for path in (root, root / "deployments", root / "services/svc", root / "bundles"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_durations_survive_a_clock_that_jumps(site: Site) -> None:
    """Fault 35: stages are timed on the monotonic clock, whatever the wall clock does."""
    times = iter([f"2026-11-22T0{9 - n}:00:00.000Z" for n in range(10)] * 20)
    live(site)
    site.script(2)
    revision = site.ws.folder.open_store().get_revision("svc", 1)
    assert revision is not None
    request = DeploymentRequest(
        "svc",
        "local",
        operation="update",
        inference_config=revision.inference_config,
        deploy_config=revision.deploy_config,
        kernel_python=sys.executable,
    )
    spec = deployment.LaunchSpec("svc", "Local", lambda *_: request, detached=False)
    record = deployment.start_deployment(site.ws.folder, spec, now=lambda: next(times))
    service = Webservice(site.ws, "svc")
    service.wait_for_deployment(timeout_sec=60)
    assert (service.deployment_id, service.run({})["answer"]) == (record.id, 2)
    events = list(read_events(service.journal))
    assert any(later.time < earlier.time for earlier, later in pairwise(events)), "the clock did not jump"
    seconds = [e.data["seconds"] for e in events if "seconds" in e.data]
    assert len(seconds) >= 6 and all(0 <= value < 60 for value in seconds)


def test_deploying_from_several_threads_gives_every_service(site: Site) -> None:
    made: list[str] = []

    def one(number: int) -> None:
        service = site.deploy(f"svc-{number}")
        service.wait_for_deployment(timeout_sec=120)
        made.append(service.name)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == ["svc-0", "svc-1", "svc-2"]
