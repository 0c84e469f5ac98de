"""Test requests and code samples, against a service that runs."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.api.models import Model
from mldeploy_jupyter.api.webservices import InferenceConfig, LocalWebservice, Webservice
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.panel import PanelContext, handle

SCRIPT = """
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema

def init():
    pass

@input_schema("data", StandardPythonParameterType([{"age": 1.5, "name": "it's \\"x\\" ${y} ü"}], strict=True))
def run(data):
    if data[0]["age"] < 0:
        raise ValueError("no such age")
    return {"ages": [row["age"] for row in data], "names": [row["name"] for row in data]}
"""

RAW = """
from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml.contrib.services.aml_response import AMLResponse

def init():
    pass

@rawhttp
def run(request):
    return AMLResponse(request.get_data(False)[::-1], 200)
"""


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PanelContext]:
    folder = tmp_path_factory.mktemp("panel")
    ws = Workspace.create("panel", path=str(folder))
    for name, text in (("people", SCRIPT), ("raw-bytes", RAW)):
        script = folder / f"{name}.py"
        script.write_text(text)
        config = LocalWebservice.deploy_configuration(port=None)
        Model.deploy(ws, name, [], InferenceConfig(entry_script=str(script)), config).wait_for_deployment()
    yield PanelContext(ws)
    for service in Webservice.list(ws):
        service.delete()


def ask(context: PanelContext, name: str, **parameters: Any) -> Any:
    answer = handle(name, {"service": "people", **parameters}, context)
    assert answer["ok"], answer
    return answer["result"]


def score(context: PanelContext, value: Any, service: str = "people") -> dict[str, Any]:
    found: dict[str, Any] = ask(context, "service.score", service=service, body={"json": json.dumps(value)})
    return found


def test_a_test_request_has_status_times_and_headers_and_is_kept(context: PanelContext) -> None:
    sample = json.loads(ask(context, "service.samples")[0]["body"]["json"])
    answer = score(context, sample)
    assert (answer["status"], answer["reason"]) == (200, "OK")
    assert json.loads(answer["text"])["ages"] == [1.5]
    assert [part["name"] for part in answer["timing"]] == ["queue", "parse", "run", "serialise", "rest"]
    assert abs(sum(part["ms"] for part in answer["timing"]) - answer["ms"]) < 0.01
    assert answer["requestId"] and "authorization" not in {name for name, _ in answer["headers"]}
    kept = ask(context, "service.tests")
    assert kept[0]["answer"] == answer and json.loads(kept[0]["body"]["json"]) == sample


def test_a_refused_value_is_named_by_its_path(context: PanelContext) -> None:
    answer = score(context, {"data": [{"age": 1, "name": "a"}, {"age": "old", "name": "b"}]})
    assert answer["status"] == 422
    assert answer["problems"][0]["path"] == ["data", 1, "age"]
    assert answer["problems"][0]["text"].startswith("Row 1, age: expected a number")


def test_a_script_that_raises_is_explained_to_its_owner(context: PanelContext) -> None:
    answer = score(context, {"data": [{"age": -1, "name": "a"}]})
    assert answer["status"] == 500 and "no such age" not in answer["text"]
    assert "no such age" in answer["failure"]["cause"]


def test_bytes_go_and_come_as_they_are(context: PanelContext) -> None:
    body = {"base64": base64.b64encode(b"\x00\x01\xff").decode(), "contentType": "application/octet-stream"}
    answer = ask(context, "service.score", service="raw-bytes", body=body)
    assert base64.b64decode(answer["base64"]) == b"\xff\x01\x00" and answer["status"] == 200


def test_a_stopped_service_says_so(context: PanelContext) -> None:
    service = Webservice(context.workspace(), "raw-bytes")
    service.stop()
    answer = handle("service.score", {"service": "raw-bytes", "body": {"json": "{}"}}, context)
    assert not answer["ok"] and "start" in answer["failure"]["hint"]
    service.start()


RUNTIMES = {
    "python": [sys.executable, "sample.py"],
    "curl": ["sh", "sample.sh"],
    "javascript": ["node", "sample.mjs"],
    "csharp": ["dotnet", "run", "sample.cs"],
}


@pytest.mark.parametrize("language", RUNTIMES)
def test_a_code_sample_runs_as_it_stands(context: PanelContext, language: str, tmp_path: Path) -> None:
    command = RUNTIMES[language]
    if shutil.which(command[0] if language != "curl" else "curl") is None:
        pytest.skip(f"{command[0]} is not installed")
    (sample,) = [one for one in ask(context, "service.code") if one["language"] == language]
    (tmp_path / command[-1]).write_text(sample["text"], encoding="utf-8")
    keys = ask(context, "service.keys") if "SCORING_KEY" in sample["text"] else {"primary": ""}
    run = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "SCORING_KEY": keys["primary"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert all(part in run.stdout for part in ("1.5", "ü", "${y}"))
