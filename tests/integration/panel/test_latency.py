"""Runs of the latency lab as a view begins, watches and stops them, against services that run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.api.models import Model
from mldeploy_jupyter.api.webservices import InferenceConfig, LocalWebservice, Webservice
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.panel import PanelContext, Subscriptions, handle
from tests.polling import wait_until
from tests.unit.panel.protocol import check_answer, check_event

SCRIPT = """
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema

def init():
    pass

@input_schema("data", StandardPythonParameterType([1, 2]))
def run(data):
    return sum(data)
"""


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PanelContext]:
    folder = tmp_path_factory.mktemp("latency")
    ws = Workspace.create("latency", path=str(folder))
    script = folder / "score.py"
    script.write_text(SCRIPT)
    config = LocalWebservice.deploy_configuration(port=None)
    Model.deploy(ws, "sums", [], InferenceConfig(entry_script=str(script)), config).wait_for_deployment()
    yield PanelContext(ws)
    for service in Webservice.list(ws):
        service.delete()


def ask(context: PanelContext, name: str, **parameters: Any) -> Any:
    answer = handle(name, parameters, context)
    assert answer["ok"], answer
    check_answer(name, answer["result"])
    return answer["result"]


def watch(context: PanelContext, run: str) -> tuple[Subscriptions, list[dict[str, Any]]]:
    subscriptions, events = Subscriptions(context), list[dict[str, Any]]()
    subscriptions.subscribe("latency", {"run": run}, events.append)
    return subscriptions, events


def until_ended(events: list[dict[str, Any]]) -> dict[str, Any]:
    wait_until(lambda: bool(events) and events[-1]["report"]["state"] != "running", 60, lambda: str(events[-1:]))
    for event in events:
        check_event("latency", event)
    return dict(events[-1]["report"])


def test_a_run_is_begun_watched_and_listed(context: PanelContext) -> None:
    assert "latency" in ask(context, "service.describe", service="sums")["tabs"]
    run = ask(context, "latency.start", service="sums", rate=50, duration=3)["run"]
    subscriptions, events = watch(context, run)
    report = until_ended(events)
    subscriptions.close()
    states = [event["report"]["state"] for event in events]
    assert states[0] == "running" and states[-1] == "finished"
    live = [event["report"]["series"] for event in events[:-1] if event["report"]["series"]]
    assert live and live[-1][0]["points"]  # there is something to see before the end
    (one,) = report["series"]
    assert (one["service"], one["requests"], one["errors"], one["unsent"]) == ("sums", 150, 0, 0)
    assert [each["name"] for each in one["percentiles"]] == ["p50", "p90"]
    assert one["parts"] and sum(part["ms"] for part in one["parts"]) > 0
    assert report["cells"] and sum(map(sum, report["cells"][0]["counts"])) == 150
    assert "p95 needs 200 requests, 4 s at 50/s; there are 150" in report["verdict"]
    assert report["load"].startswith("Open loop, 50/s") and report["payload"].startswith("The sample")
    (row,) = ask(context, "latency.runs", service="sums")
    assert row["run"] == run and row["p50"] == one["percentiles"][0]["ms"] and row["p99"] is None
    assert ask(context, "latency.result", run=run)["series"] == report["series"]


def test_a_body_of_ones_own_is_sent_by_users(context: PanelContext) -> None:
    body = {"json": '{"data": [1, 2, 3]}'}
    run = ask(context, "latency.start", service="sums", users=2, duration=0.5, body=body)["run"]
    subscriptions, events = watch(context, run)
    report = until_ended(events)
    subscriptions.close()
    assert report["load"].startswith("Closed loop, 2 users") and report["series"][0]["errors"] == 0
    assert report["payload"].startswith("A body")


def test_a_run_is_stopped_and_what_was_measured_is_kept(context: PanelContext) -> None:
    run = ask(context, "latency.start", service="sums", rate=50, duration=60)["run"]
    subscriptions, events = watch(context, run)
    wait_until(lambda: bool(events) and bool(events[-1]["report"]["series"]))
    again = handle("latency.start", {"service": "sums"}, context)
    assert again["failure"]["error"] == "sums is being measured already"
    assert ask(context, "latency.stop", run=run) == {"text": "It is being stopped"}
    report = until_ended(events)
    subscriptions.close()
    assert report["state"] == "cancelled" and report["series"][0]["requests"] > 0
    assert ask(context, "latency.stop", run=run) == {"text": "It has ended"}


def test_a_run_of_another_process_is_watched_and_stopped(context: PanelContext) -> None:
    """A command line's, for example: a run belongs to the workspace."""
    folder = Path(context.folder().root).parent
    program = (
        "from mldeploy_jupyter import Webservice, Workspace\n"
        f"ws = Workspace.get(path={str(folder)!r})\n"
        "result = Webservice(ws, 'sums').latency(rate=50, duration=60, show_output=False)\n"
        "print(result.ending.reason)"
    )
    measuring = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        rows = lambda: [row for row in ask(context, "latency.runs", service="sums") if row["state"] == "running"]  # noqa: E731
        run = wait_until(rows, 60)[0]["run"]
        subscriptions, events = watch(context, run)
        wait_until(lambda: bool(events) and bool(events[-1]["report"]["series"]))
        ask(context, "latency.stop", run=run)
        assert until_ended(events)["state"] == "cancelled"
        subscriptions.close()
        assert measuring.communicate(timeout=60)[0].strip() == "cancelled"
    finally:
        measuring.kill()
        measuring.wait()


def test_a_run_goes_on_when_the_process_that_began_it_ends(context: PanelContext) -> None:
    """The kernel of a notebook, for example: another view finds the run, and it comes to its own end."""
    folder = Path(context.folder().root).parent
    program = (
        "from mldeploy_jupyter import Workspace\n"
        "from mldeploy_jupyter.panel import PanelContext, handle\n"
        f"context = PanelContext(Workspace.get(path={str(folder)!r}))\n"
        "print(handle('latency.start', {'service': 'sums', 'rate': 50, 'duration': 3}, context)['result']['run'])"
    )
    began = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    run = began.stdout.strip()
    assert run, began.stderr
    assert ask(context, "latency.runs", service="sums")[0]["run"] == run
    subscriptions, events = watch(context, run)
    report = until_ended(events)
    subscriptions.close()
    assert report["state"] == "finished" and report["series"][0]["requests"] == 150
    log = context.folder().root / "latency" / run / "runner.log"
    assert log.read_text() == ""


def test_a_ramp_has_its_steps_and_its_knee(context: PanelContext) -> None:
    run = ask(context, "latency.start", service="sums", ramp="40:80:2", duration=1)["run"]
    subscriptions, events = watch(context, run)
    report = until_ended(events)
    subscriptions.close()
    assert report["seconds"] == 2 and report["load"].startswith("Open loop, 40/s, 80/s")
    assert [step["name"] for step in report["ramp"]["steps"]] == ["sums at 40/s", "sums at 80/s"]
    (line,) = report["ramp"]["lines"]
    assert line["name"] == "sums, median" and len(line["points"]) == 2 and report["ramp"]["marks"] == []
    refused = handle("latency.start", {"service": "sums", "ramp": "1:2:0"}, context)
    assert "with 2 to 50 steps" in refused["failure"]["cause"]


def test_a_run_that_is_not_there_is_refused(context: PanelContext) -> None:
    answer = handle("latency.result", {"run": "20260101T000000-abcdef"}, context)
    assert answer["failure"]["code"] == "latency-run-not-found"
    answer = handle("latency.result", {"run": "../../etc"}, context)
    assert "must be the id of a latency run" in answer["failure"]["cause"]
