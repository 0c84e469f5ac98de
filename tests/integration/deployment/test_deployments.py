"""Deployments over real processes: stages, journal, waiting, names, concurrency."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from mldeploy_jupyter import (
    AciWebservice,
    AksWebservice,
    InferenceConfig,
    Model,
    Webservice,
    deployment,
)
from mldeploy_jupyter.core.errors import (
    DeploymentCancelled,
    DeploymentFailed,
    DeploymentInProgress,
    DeploymentTimeout,
    NameInUse,
    TargetNotAvailable,
)
from mldeploy_jupyter.core.journal import fold
from mldeploy_jupyter.core.journal.journal import STAGES, read_events
from mldeploy_jupyter.core.records import DeploymentRequest
from tests.files import files_with
from tests.polling import wait_until
from tests.ports import free_port

from .conftest import BROKEN, SLOW, Site, ask, live, update


def test_the_journal_has_every_stage_once_with_its_duration(site: Site) -> None:
    service = live(site)
    events = list(read_events(service.journal))
    started = [e.stage for e in events if e.kind == "started"]
    finished = {e.stage: e.data["seconds"] for e in events if e.kind == "finished"}
    assert started == [stage for stage in STAGES if stage not in ("image", "push")] == list(finished)
    assert events[0].data["stages"] == started
    assert events[-1].data["state"] == "live" and events[-1].data["scoring_uri"] == service.scoring_uri


def test_settings_that_a_local_service_does_not_use_are_a_warning(site: Site) -> None:
    config = InferenceConfig(entry_script=str(site.folder / "score.py"), runtime="spark-py", enable_gpu=True)
    service = Model.deploy(site.ws, "svc", [], config)
    service.wait_for_deployment()
    check = fold(read_events(service.journal)).stages[0]
    assert (check.detail, check.warnings) == ("not used on this machine: enable_gpu, runtime spark-py", 1)


def test_a_script_that_is_rewritten_after_the_call_is_deployed_as_it_was(site: Site) -> None:
    site.script(1)
    service = site.deploy()
    site.script(2)
    service.wait_for_deployment(timeout_sec=240)
    assert ask(service) == 1
    update(site, service)
    site.script(3)
    service.wait_for_deployment(timeout_sec=240)
    assert ask(service) == 2
    folder = site.ws.folder.deployments
    wait_until(lambda: not list(folder.glob("*/source*")), what=lambda: str(list(folder.glob("*/*"))))


def test_the_finished_journal_is_archived_with_the_artifacts(site: Site) -> None:
    service = live(site)
    folder = site.ws.folder
    name = f"journals/{service.deployment_id}.jsonl"
    wait_until(lambda: folder.open_artifacts().read_bytes(name) is not None, what=lambda: "it was not archived")
    assert folder.open_artifacts().read_bytes(name) == service.journal.read_bytes()


def test_packages_used_of_the_kernels_interpreter_are_recorded_as_exact_pins(site: Site) -> None:
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
        site.deploy(overwrite=False).wait_for_deployment(timeout_sec=240)
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
        first.wait_for_deployment(timeout_sec=240)
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


def test_a_first_use_waits_for_the_deployment_and_raises_its_error_once(
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


def test_modules_named_in_a_model_file_are_imported_before_workers_are_forked(site: Site) -> None:
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
    service.wait_for_deployment(timeout_sec=240)
    assert service.run({}) is True


def test_a_failed_first_deployment_keeps_no_process_and_no_port(site: Site) -> None:
    port = free_port()
    site.write(BROKEN)
    with pytest.raises(DeploymentFailed):
        site.deploy("first", port=port).wait_for_deployment(timeout_sec=240)
    wait_until(lambda: site.processes() == [], what=lambda: f"left: {site.processes()}")
    assert "no such thing" in Webservice(site.ws, "first").get_logs()
    site.script(2)
    second = site.deploy("second", port=port)
    assert second.run({})["answer"] == 2
    third = site.deploy("third", port=port)
    with pytest.raises(DeploymentFailed) as error:
        third.wait_for_deployment(timeout_sec=240)
    assert "the service second has it" in error.value.why


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
def test_a_target_that_is_not_installed_is_refused(site: Site, config: object) -> None:
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
    assert files_with("very-secret", root) == [keys] and keys.stat().st_mode & 0o777 == 0o600
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
    service.wait_for_deployment(timeout_sec=240)
    assert (service.deployment_id, service.run({})["answer"]) == (record.id, 2)
    events = list(read_events(service.journal))
    assert any(later.time < earlier.time for earlier, later in pairwise(events)), "the clock did not jump"
    seconds = [e.data["seconds"] for e in events if "seconds" in e.data]
    assert len(seconds) >= 6 and all(0 <= value < 60 for value in seconds)


def test_deploying_from_several_threads_gives_every_service(site: Site) -> None:
    made: list[str] = []

    def one(number: int) -> None:
        service = site.deploy(f"svc-{number}")
        service.wait_for_deployment(timeout_sec=240)
        made.append(service.name)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == ["svc-0", "svc-1", "svc-2"]


def test_a_launch_that_is_interrupted_leaves_no_deployment_running(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mldeploy_jupyter.deployment.launch._spawn_runner", interrupted)
    with pytest.raises(KeyboardInterrupt):
        site.deploy()
    monkeypatch.undo()
    assert site.ws.folder.open_store().list_deployments(state="running") == []


def test_a_script_that_floods_its_output_does_not_fill_the_journal(site: Site) -> None:
    site.write("def init():\n    for n in range(50_000):\n        print('line', n)\n\ndef run(data):\n    return 1\n")
    service = live(site)
    lines = [e.text for e in read_events(service.journal) if e.stage == "rollout" and e.kind == "log"]
    assert 5000 < len(lines) < 5010 and "in the service's log" in lines[-1]
    wait_until(lambda: "line 49999" in service.get_logs(num_lines=100))
