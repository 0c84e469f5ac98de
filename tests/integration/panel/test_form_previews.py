"""The preview of a form is exact: the form, the Python, the magic and the command line ask for the same deployment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.api.models import Model
from mldeploy_jupyter.api.webservices import Webservice
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.panel import PanelContext, handle

SCRIPT = "def init():\n    pass\n\ndef run(data):\n    return data\n"


@pytest.fixture
def ws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "score.py").write_text(SCRIPT)
    (tmp_path / "model.txt").write_text("a model")
    workspace = Workspace.create("forms", path=str(tmp_path))
    Model.register(workspace, "model.txt", "iris")
    yield workspace
    for service in Webservice.list(workspace):
        service.delete()


def ask(ws: Workspace, name: str, **parameters: Any) -> Any:
    answer = handle(name, parameters, PanelContext(ws))
    assert answer["ok"], answer
    return answer["result"]


def run(kind: str, text: str) -> None:
    if kind == "cli":
        command = text.replace("mldeploy ", f"{sys.executable} -m mldeploy_jupyter.cli ", 1)
        subprocess.run(["sh", "-c", command], check=True, capture_output=True, timeout=120)
        return
    if kind == "python":
        exec(compile(text, "preview", "exec"), {})
        return
    from IPython.core.interactiveshell import InteractiveShell

    from mldeploy_jupyter import load_ipython_extension

    shell = InteractiveShell.instance()
    load_ipython_extension(shell)
    result = shell.run_cell(text)
    assert result.success, result.error_in_exec
    InteractiveShell.clear_instance()


def requested(ws: Workspace, name: str) -> dict[str, Any]:
    """What was asked for, without the name and what only says how it was asked."""
    service = Webservice(ws, name)
    service.wait_for_deployment()
    deployment = ws.folder.open_store().get_deployment(service.deployment_id)
    assert deployment is not None
    return {key: value for key, value in deployment.request.items() if key not in ("service", "kernel_python")}


def test_a_new_service_is_asked_for_in_four_equal_ways(ws: Workspace) -> None:
    source = Path("source folder")
    source.mkdir()
    Path("score.py").rename(source / "score.py")
    (source / "helper.py").write_text("")
    form = ask(ws, "form.describe", form="deploy")
    values = {**form["values"], "entry_script": f"{source}/score.py", "source_directory": str(source),
              "worker_count": 2, "auth_enabled": False, "scoring_timeout_ms": 5000,
              "environment_variables": {"A": "it's {x} $HOME", "B": "-1", "C": "a b"}}  # fmt: skip
    assert values["models"] == ["iris:1"]
    found = []
    for kind in ("form", "python", "magic", "cli"):
        named = {**values, "name": f"by-{kind}"}
        if kind == "form":
            ask(ws, "form.submit", form="deploy", values=named)
        else:
            checked = ask(ws, "form.check", form="deploy", values=named)
            assert checked["problems"] == []
            run(kind, next(one["text"] for one in checked["previews"] if one["kind"] == kind))
        found.append(requested(ws, named["name"]))
    assert found[0]["inference_config"]["source_directory"] == str(source.absolute())
    assert found[0]["deploy_config"]["passed"]["environment_variables"] == values["environment_variables"]
    assert found[1:] == found[:1] * 3


def test_an_update_is_asked_for_in_four_equal_ways(ws: Workspace) -> None:
    start = ask(ws, "form.describe", form="deploy")["values"]
    ask(ws, "form.submit", form="deploy", values={**start, "name": "base"})
    requested(ws, "base")
    Model.register(ws, "model.txt", "iris")
    found = []
    for number, kind in enumerate(("form", "python", "magic", "cli")):
        parameters = {"form": "update", "service": "base"}
        values = ask(ws, "form.describe", **parameters)["values"]
        values |= {"models": ["iris:2"] if number % 2 == 0 else ["iris:1"], "max_queue_length": 10 + number}
        if kind == "form":
            ask(ws, "form.submit", values=values, **parameters)
        else:
            checked = ask(ws, "form.check", values=values, **parameters)
            assert checked["problems"] == [] and checked["note"].startswith("2 changes: iris:"), checked
            run(kind, next(one["text"] for one in checked["previews"] if one["kind"] == kind))
        request = requested(ws, "base")
        assert request["deploy_config"]["passed"].pop("max_queue_length") == 10 + number
        assert request.pop("models") == values["models"]
        request.pop("keep_source", None)
        found.append(request)
    assert found[1:] == found[:1] * 3
