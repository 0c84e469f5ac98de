"""Real services under real load, through Python and the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mldeploy_jupyter import InferenceConfig, LatencyResult, LocalWebservice, Model, Webservice, measure_latency
from mldeploy_jupyter.api.webservices.latency.measure import start_latency
from mldeploy_jupyter.cli import main
from mldeploy_jupyter.core.errors import DeploymentFailed, UserErrorException
from tests.integration.deployment.conftest import Site
from tests.polling import wait_until

pytestmark = pytest.mark.usefixtures("any_lag")

SCRIPT = """
import time

from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema

def init():
    pass

@input_schema("data", StandardPythonParameterType([[1.0, 2.0]]))
def run(data):
    time.sleep({seconds})
    return [sum(row) for row in data]
"""

BATCHED = """
import numpy as np
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.schema_decorators import input_schema

def init():
    pass

@input_schema("data", NumpyParameterType(np.array([[1.0, 2.0]])))
def run(data):
    return data.sum(axis=1).tolist()
"""


def deploy(site: Site, name: str, script: str, **settings: object) -> Webservice:
    path = site.write(script, f"{name.replace('-', '_')}.py")
    config = LocalWebservice.deploy_configuration(**settings)
    service = Model.deploy(site.ws, name, [], InferenceConfig(entry_script=str(path)), config)
    service.wait_for_deployment(timeout_sec=240)
    return service


def mldeploy(site: Site, *words: str) -> int:
    return main(["latency", *words, "-w", str(site.folder)])


def test_a_budget_that_is_met_and_one_that_is_missed(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    deploy(site, "sleepy", SCRIPT.format(seconds=0.005))
    load = ("sleepy", "--rate", "40", "--duration", "3")
    assert mldeploy(site, *load, "--p50-below", "30s") == 0
    out = capsys.readouterr().out
    assert "budget: sleepy p50 is " in out and "below 30.0 s" in out
    assert mldeploy(site, *load, "--p50-below", "4ms") == 1
    shown = capsys.readouterr()
    assert "SERVICE" in shown.out and "budget: sleepy p50 is " in shown.out
    assert (
        shown.err.startswith("error: the budget was missed\ncause: sleepy p50 is ") and "not below 4.00 ms" in shown.err
    )
    assert mldeploy(site, *load, "--p50-below", "4ms", "--json") == 1
    shown = capsys.readouterr()
    data = json.loads(shown.out)
    assert data["budget"]["met"] is False and data["services"][0]["requests"] == 120
    assert json.loads(shown.err.splitlines()[-1])["error"]["code"] == "BudgetMissed"


def test_a_run_that_was_sent_late_has_a_code_of_its_own(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(site, "sleepy", SCRIPT.format(seconds=0.001))
    monkeypatch.setattr("mldeploy_jupyter.latency.measuring.MAX_LAG", 0.0)
    assert mldeploy(site, "sleepy", "--rate", "40", "--duration", "1", "--p50-below", "1ms") == 3
    shown = capsys.readouterr()
    assert "* invalid: the load's own process was late by" in shown.out
    assert shown.err.startswith("error: the run is inconclusive")


def test_three_services_in_one_run(site: Site) -> None:
    services = [
        deploy(site, "plain", SCRIPT.format(seconds=0)),
        deploy(site, "batched", BATCHED, max_batch_size=8, auth_enabled=False),
        deploy(site, "sleepy", SCRIPT.format(seconds=0.03)),
    ]
    result = measure_latency(services, rate=30, duration=4, seed=1, show_output=False)
    rows = {row["service"]: row for row in result.rows()}
    assert [*rows] == ["plain", "batched", "sleepy"]
    assert all(row["requests"] == 120 and row["errors"] == 0 for row in rows.values()), rows
    assert rows["sleepy"]["p50"] > 30 and rows["sleepy"]["run"] > 29
    assert rows["plain"]["run"] < rows["sleepy"]["run"]
    # They took turns: each round has every service once.
    measured = result.samples[result.samples["phase"] == 2]
    turns = [int(measured["service"][measured["block"] == block][0]) for block in np.unique(measured["block"])]
    assert [sorted(turns[place : place + 3]) for place in range(0, 12, 3)] == [[0, 1, 2]] * 4
    assert any("sleepy p50 is" in line and "slower than plain" in line for line in result.verdict), result.verdict
    assert LatencyResult.from_json(result.to_json()).rows() == result.rows()
    assert LatencyResult.load(site.ws, result.id).rows() == result.rows()
    assert list(result.summary().index) == ["plain", "batched", "sleepy"]


def test_a_run_is_compared_with_the_one_before(site: Site) -> None:
    service = deploy(site, "changes", SCRIPT.format(seconds=0.005))
    before = service.latency(rate=30, duration=4, show_output=False)
    site.write(SCRIPT.format(seconds=0.05), "changes.py")
    service.reload(wait=True)
    now = service.latency(rate=15, duration=8, show_output=False)
    assert now.find_previous(site.ws) is None  # another rate
    again = service.latency(rate=30, duration=4, show_output=False)
    found = again.find_previous(site.ws)
    assert found is not None and found.id == before.id
    (p50,) = [row for row in again.compare(found).rows() if row["quantile"] == "p50"]
    assert p50["shown"] and p50["ratio_low"] > 1
    assert any("slower than changes in run" in line for line in again.judge(found))
    assert [run.id for run in LatencyResult.list(site.ws, "changes")] == [again.id, now.id, before.id]


def test_an_update_in_the_middle_shows_both_revisions(site: Site) -> None:
    service = deploy(site, "updated", SCRIPT.format(seconds=0.001))
    run = start_latency(service, rate=50, duration=600)
    wait_until(lambda: run.progress.get("elapsed", 0) > 2, what="the run to begin")
    site.write(SCRIPT.format(seconds=0.015), "updated.py")
    service.reload(wait=True)
    updated = run.progress["elapsed"]
    wait_until(lambda: run.progress["elapsed"] > updated + 2, what="requests to the new revision")
    result = run.stop()
    assert result.rows()[0]["errors"] == 0
    assert result.rows()[0]["revisions"] == [1, 2]
    old, new = result.rows("revision")
    assert (old["revision"], new["revision"]) == (1, 2) and min(old["requests"], new["requests"]) > 20
    assert old["run"] < new["run"]
    assert "updated revision 2" in str(result)
    ((began, text),) = result.marks
    assert 1 < began < result.ending.elapsed and text == "update began"
    assert "update began" in json.dumps(result.figure("heatmap").to_dict()["layout"]["annotations"], default=str)


def test_ctrl_c_ends_with_what_was_measured(site: Site) -> None:
    deploy(site, "sleepy", SCRIPT.format(seconds=0.001))
    words = [sys.executable, "-m", "mldeploy_jupyter.cli", "latency", "sleepy", "--rate", "50", "--duration", "120"]
    process = subprocess.Popen(
        words, cwd=site.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    runs = site.ws.folder.root / "latency"
    samples = lambda: [path.stat().st_size for path in runs.glob("*/samples.bin")]  # noqa: E731
    wait_until(lambda: sum(samples()) > 100 * 64, seconds=60, what="a hundred requests")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert "the run was stopped before its end" in out, err
    assert process.returncode in (130, 3), err  # 3 when the machine was too busy to measure at all
    (kept,) = LatencyResult.list(site.ws)
    assert kept.ending.reason == "cancelled" and kept.rows()[0]["requests"] > 50


def test_an_address_is_measured_when_it_is_said_that_it_may(site: Site) -> None:
    service = deploy(site, "other", SCRIPT.format(seconds=0.001))
    with pytest.raises(UserErrorException, match="in no workspace"):
        measure_latency(service.scoring_uri, rate=20, duration=1)
    result = measure_latency(
        service.scoring_uri,
        rate=20,
        duration=1,
        payload={"data": [[1.0, 2.0]]},
        allow_foreign=True,
        key=service.get_keys()[0],
        show_output=False,
    )
    assert result.rows()[0]["requests"] == 20 and result.rows()[0]["errors"] == 0
    assert not (site.ws.folder.root / "latency").exists()


def test_what_is_sent(site: Site, tmp_path: Path) -> None:
    service = deploy(site, "inputs", SCRIPT.format(seconds=0))
    lines = tmp_path / "inputs.jsonl"
    lines.write_text('[[1, 2]]\n{"data": [[3, 4], [5, 6]]}\n')
    for payload in (lines, lambda number: [[number, 1.0]], b'{"data": [[1, 2]]}', [[1.0, 2.0]]):
        result = service.latency(rate=20, duration=1, payload=payload, show_output=False, save=False)
        assert result.rows()[0]["errors"] == 0, payload
    assert result.plan.payload.kind == "value"


def test_a_service_without_a_sample_says_what_to_pass(site: Site) -> None:
    service = deploy(site, "mute", "def init(): pass\ndef run(data): return 1\n")
    with pytest.raises(UserErrorException) as caught:
        service.latency(rate=10, duration=1)
    assert "has no sample to send" in str(caught.value) and "payload=" in str(caught.value)
    words = [sys.executable, "-m", "mldeploy_jupyter.cli", "latency", service.name]
    typed = subprocess.run(words, cwd=site.folder, capture_output=True, text=True, timeout=60)
    assert f"mldeploy latency {service.name} -d '[[1.0, 2.0]]'" in typed.stderr and "payload=" not in typed.stderr


def test_a_profile_recommends_and_removes_its_service(site: Site) -> None:
    path = site.write(SCRIPT.format(seconds=0.004))
    profile = Model.profile(site.ws, "sizes", [], InferenceConfig(entry_script=str(path)), step_seconds=1.0)
    assert profile.get_details()["state"] == "Running"
    profile.wait_for_completion()
    details = profile.get_details()
    assert details["state"] == "Succeeded" and details["successRate"] == 100
    assert 0.1 <= details["recommendedCpu"] <= 2 and 0.1 <= details["recommendedMemoryInGB"] <= 1
    assert 0 < details["cpuSecondsPerQuery"] < 1
    assert 0.01 < details["maxUtilizedMemoryInGB"] < 0.5
    assert 1 < details["measuredQueriesPerSecond"] < 300 and len(details["steps"]) == 5
    assert Webservice.list(site.ws) == []


def test_a_profile_that_fails_leaves_nothing(site: Site) -> None:
    path = site.write("def init():\n    raise ValueError('no')\n\ndef run(data):\n    return 1\n")
    profile = Model.profile(site.ws, "sizes", [], InferenceConfig(entry_script=str(path)), [[1.0]])
    with pytest.raises(DeploymentFailed):
        profile.wait_for_completion()
    assert profile.state == "Failed" and "ValueError" in profile.get_details()["error"]
    assert Webservice.list(site.ws) == []
