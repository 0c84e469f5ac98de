"""A panel's threads import no package: two threads that import the same one at the same time may get half of it.

A process connects a page as a kernel does, then answers every request and topic in threads. What these import is noted:
modules of ours, which have no circle, and of the standard library are left out.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mldeploy_jupyter import InferenceConfig, LocalWebservice, Model, Workspace
from mldeploy_jupyter.panel import REQUESTS, TOPICS
from tests.engines.postgres import postgres, postgres_url  # noqa: F401
from tests.integration.notebook.conftest import end_services

SCRIPT = "def init():\n    print('ready')\n\ndef run(data):\n    return data\n"

PROGRAM = """
import json, sys, threading, time

from importlib import import_module

from mldeploy_jupyter.notebook.panels import PREPARED_NEXT, Panels
from IPython.core.interactiveshell import InteractiveShell

panels = Panels(InteractiveShell.instance(), {}, {})
assert panels.can_draw  # connects, in the main thread
context = panels._context
for name in PREPARED_NEXT:
    import_module(name)

from mldeploy_jupyter.panel import handle

found, asked = {}, []

class Recorder:
    def find_spec(self, name, path=None, target=None):
        package = name.partition(".")[0]
        ours = package in sys.stdlib_module_names or package == "mldeploy_jupyter"
        if threading.current_thread() is not threading.main_thread() and not ours:
            found.setdefault(name, threading.current_thread().name)

sys.meta_path.insert(0, Recorder())

def ask(name, **params):
    answer = []
    thread = threading.Thread(target=lambda: answer.append(handle(name, params, context)), name=name)
    thread.start()
    thread.join(120)
    asked.append(name)
    return answer[0]

def ask_until_ended(name, **params):
    answer = ask(name, **params)
    assert answer["ok"], (name, answer)
    end = time.monotonic() + 120
    while ask("service.describe", service=params.get("service", "other"))["result"]["deploying"]:
        assert time.monotonic() < end, name
        time.sleep(0.05)
    return answer["result"]

events = []
svc = {"service": "svc"}
last = ask("service.describe", **svc)["result"]["deployment"]
for topic, params in (("deployment", {"deployment": last}), ("service", svc), ("serviceLog", svc)):
    panels._subscriptions.subscribe(topic, params, events.append)
    asked.append(topic)
for name in ("history", "events", "keys", "openapi", "samples", "tests", "code", "log", "logText"):
    assert ask("service." + name, **svc)["ok"], name
ask("service.list", all=True)
panels._subscriptions.subscribe("overview", {}, events.append)
asked.append("overview")
assert ask("service.cell", **svc)["ok"]
(model,) = ask("model.list")["result"]
for name, more in (("cell", {}), ("delete", {"confirm": "m:1"})):
    answer = ask("model." + name, model="m:1", **more)
    assert answer["ok"], answer
assert ask("service.score", body={"json": "1"}, **svc)["ok"]
assert ask("service.code", body={"json": "1"}, **svc)["ok"]
for order in ("", "latency.stop"):
    begun = ask("latency.start", body={"json": "1"}, rate=20.0, duration=1.0, **svc)
    assert begun["ok"], begun
    run = begun["result"]["run"]
    panels._subscriptions.subscribe("latency", {"run": run}, events.append)
    if order:
        assert ask(order, run=run)["ok"]
    end = time.monotonic() + 120
    while any(row["state"] == "running" for row in ask("latency.runs", **svc)["result"]):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert ask("latency.result", run=run)["ok"]
asked.append("latency")
for name in ("timeline", "log", "logText", "report"):
    assert ask("deployment." + name, deployment=last)["ok"], name
for form, service in (("deploy", {}), ("update", svc), ("register", {})):
    described = ask("form.describe", form=form, **service)["result"]
    ask("form.check", form=form, values=described["values"], **service)
values = {"name": "other", "entry_script": "score.py", "models": []}
ask_until_ended("form.submit", form="deploy", values=values)
for name, more in (("scale", {"workers": 2}), ("reload", {}), ("rollback", {})):
    ask_until_ended("service." + name, **svc, **more)
for name, more in (("restart", {}), ("stop", {}), ("start", {}), ("regenKey", {"key": "primary"})):
    assert ask("service." + name, **svc, **more)["ok"], name
ask("deployment.cancel", deployment=last)
ask("deployment.retry", deployment=last)
for service in ("svc", "other"):
    ask("service.delete", service=service, confirm=service)
panels._subscriptions.close()
print(json.dumps([found, sorted(set(asked)), len(events)]))
"""


@pytest.fixture
def folder(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("MLDEPLOY_HOME", str(tmp_path_factory.mktemp("home")))  # no store of another test is listed
    yield tmp_path
    end_services(tmp_path)


def imported_in_threads(folder: Path, store: str | None) -> dict[str, str]:
    ws = Workspace.create("threads", path=str(folder), store=store)
    (folder / "score.py").write_text(SCRIPT)
    Model.register(ws, str(folder / "score.py"), "m")
    inference = InferenceConfig(entry_script=str(folder / "score.py"))
    config = LocalWebservice.deploy_configuration(port=None)
    for workers in (1, 2):  # a revision that it can go back to
        config = LocalWebservice.deploy_configuration(port=None, worker_count=workers)
        Model.deploy(ws, "svc", [], inference, config, overwrite=True).wait_for_deployment()
    (folder / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-1000:]
    found, asked, events = json.loads(done.stdout.splitlines()[-1])
    assert set(asked) == set(REQUESTS) | set(TOPICS) and events >= 3
    return dict(found)


def test_no_request_imports_a_package_in_a_thread(folder: Path) -> None:
    found = imported_in_threads(folder, None)
    assert found == {}, found


def test_nor_where_the_store_is_postgres(postgres_url: str, folder: Path) -> None:  # noqa: F811
    found = imported_in_threads(folder, postgres_url)
    assert found == {}, found
