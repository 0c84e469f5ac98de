"""Which outputs are marked for a panel, and where a widget's view is needed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from html import unescape
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import pytest

from mldeploy_jupyter.notebook import panels as module
from mldeploy_jupyter.notebook.panels import PREPARED, PREPARED_NEXT, VIEW_MIME, Panels, find_place
from mldeploy_jupyter.notebook.session import Session
from mldeploy_jupyter.panel.packages import PACKAGES

SERVICE = SimpleNamespace(name='a"b<c>', deployment_id="d1", workspace=SimpleNamespace(folder=SimpleNamespace(id="w1")))
BUNDLE = {"text/plain": "churn", "text/html": "<p>churn</p>\n"}


@pytest.fixture
def panels(monkeypatch: pytest.MonkeyPatch) -> Panels:
    """Panels whose widgets have no kernel behind them."""
    made = Panels(SimpleNamespace(user_ns={}, kernel=None), {}, {})
    count = iter(range(10))
    monkeypatch.setattr(
        made,
        "_make_widget",
        lambda **ids: SimpleNamespace(panel_id=f"k{next(count)}", model_id="m", connection=None, close=lambda: None),
    )
    return made


def marker(bundle: dict[str, Any]) -> dict[str, Any]:
    found = re.search(r'data-mldeploy="([^"]*)"', bundle["text/html"])
    assert found is not None
    return dict(json.loads(unescape(found[1])))


def test_an_output_names_its_kernel_and_its_subject(panels: Panels) -> None:
    bundle = panels.mark(BUNDLE, SERVICE)
    assert marker(bundle) == {"kernel": "k0", "service": 'a"b<c>', "workspace": "w1", "deployment": "d1"}
    assert bundle["text/html"].count("<p>churn</p>") == 1 and bundle["text/plain"] == "churn"
    assert marker(panels.mark(BUNDLE, SERVICE))["kernel"] == "k0"  # one widget for all panels


def test_only_an_output_whose_deployment_begins_has_its_timeline(
    panels: Panels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(panels, "_read_timeline", lambda service: {"deployment": service.deployment_id})
    assert marker(panels.mark(BUNDLE, SERVICE, begins=True))["timeline"] == {"deployment": "d1"}
    assert "timeline" not in marker(panels.mark(BUNDLE, SERVICE))  # of an update, which a reload of the page would show
    monkeypatch.setattr(panels, "_read_timeline", lambda service: None)  # the store is unavailable
    assert "timeline" not in marker(panels.mark(BUNDLE, SERVICE, begins=True))


def test_everything_that_is_imported_beforehand_is_there() -> None:
    for name in (*module.PREPARED, *module.PREPARED_NEXT):
        assert find_spec(name) is not None, name


def test_a_widget_is_made_once_everything_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    imported: list[str] = []

    def record(name: str) -> None:
        imported.append(name)
        if name == module.WIDGET:
            raise ImportError("no anywidget")

    monkeypatch.setattr(module, "import_module", record)
    opened = Panels(None, {}, {})
    opened.open()
    assert tuple(imported) == (*module.PREPARED, module.WIDGET) and not opened.can_draw


def test_what_is_left_is_imported_while_the_kernel_is_idle_or_a_cell_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    imported: list[str] = []
    later: list[Callable[[], None]] = []
    monkeypatch.setattr(module, "import_module", imported.append)
    loop = SimpleNamespace(call_later=lambda seconds, run: later.append(run))
    panels = Panels(SimpleNamespace(kernel=SimpleNamespace(io_loop=loop)), {}, {})
    panels.prepare()
    later.pop()()
    assert tuple(imported) == module.PREPARED[:1]  # one at a time: a cell waits no longer than for that
    panels.take_queued()
    while later:
        later.pop()()
    assert tuple(imported) == (*module.PREPARED, *module.PREPARED_NEXT)


def test_an_output_belongs_to_the_widget_that_was_opened_before(panels: Panels) -> None:
    panels.open()
    panels.open()
    assert marker(panels.mark(BUNDLE, SERVICE))["kernel"] == "k0"


def test_an_output_without_a_widget_is_as_before(panels: Panels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panels, "_make_widget", lambda **ids: None)
    assert panels.mark(BUNDLE, SERVICE) == BUNDLE


def test_only_front_ends_with_frames_get_a_view(panels: Panels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_place", lambda namespace: "page")
    assert VIEW_MIME not in panels.add_view(BUNDLE, SERVICE, "x")
    monkeypatch.setattr(module, "find_place", lambda namespace: "view")
    bundle = panels.add_view(BUNDLE, SERVICE, "x")
    assert bundle[VIEW_MIME]["model_id"] == "m" and bundle["text/html"] == BUNDLE["text/html"]
    panels._end()  # the kernel ends: the saved text stays alone
    assert VIEW_MIME not in panels.add_view(BUNDLE, SERVICE, "x")


@pytest.mark.parametrize(
    ("namespace", "environ", "place"),
    [
        ({}, {}, "page"),
        ({}, {"JPY_SESSION_NAME": "a.ipynb"}, "page"),
        ({"__vsc_ipynb_file__": "a.ipynb"}, {}, "view"),
        ({}, {"VSCODE_PID": "1"}, "view"),
        ({}, {"PYCHARM_HOSTED": "1"}, "view"),
    ],
)
def test_place(namespace: dict[str, Any], environ: dict[str, str], place: str) -> None:
    assert find_place(namespace, environ) == place


def test_a_terminal_and_a_program_that_runs_notebooks_have_no_panels() -> None:
    assert Session(SimpleNamespace(kernel=None)).panels is None
    parent = {"content": {"allow_stdin": False}}
    kernel = SimpleNamespace(get_parent=lambda channel: parent)
    assert Session(SimpleNamespace(kernel=kernel, user_ns={})).panels is None
    parent["content"]["allow_stdin"] = True
    session = Session(SimpleNamespace(kernel=kernel, user_ns={}))
    assert session.panels is session.panels is not None


def test_the_number_of_a_cell_is_that_of_its_last_run(panels: Panels) -> None:
    from pathlib import Path

    panels._cells[Path("/x/score.py")] = SimpleNamespace(execution_count=9)  # type: ignore[assignment]
    assert panels._cell_number("/x/score.py", 4) == 9
    assert panels._cell_number("/y/score.py", 4) == 4


def test_a_kernel_imports_what_the_answers_need() -> None:
    assert set(PACKAGES) <= {*PREPARED, *PREPARED_NEXT}


def test_a_page_is_connected_before_ipywidgets_is_imported() -> None:
    """The comm opens first and needs none of it; the widget that takes it over has the state that the page was sent.

    Until ipywidgets knows the widget, it is not asked for the states of all: a page that loads would miss this one.
    """
    code = """
import json, sys
from ipykernel.kernelapp import IPKernelApp
from types import SimpleNamespace
from comm import get_comm_manager
from IPython.core.interactiveshell import InteractiveShell
from mldeploy_jupyter.notebook import busy_kernel
from mldeploy_jupyter.notebook.panels import Panels

sent = []

class Comm:
    comm_id, kernel = "c", None

    def on_msg(self, callback):
        self.callback = callback
        controlled.append(busy_kernel.CONTROL_TARGET in get_comm_manager().targets)

    def send(self, data, *_, **__):
        sent.append(data)

    def close(self, *_, **__):
        sent.append("closed")

def make_comm(data):
    opened.update(data["state"])
    before.extend(name for name in ("ipywidgets", "anywidget", "sqlalchemy") if name in sys.modules)
    return Comm()

opened, before, later, controlled = {}, [], [], []
busy_kernel.make_comm = make_comm
loop = SimpleNamespace(call_later=lambda seconds, run: later.append(run))
shell = SimpleNamespace(user_ns={}, kernel=SimpleNamespace(io_loop=loop))
panels = Panels(shell, {}, {})
panels.open()
early = panels._connector
hello = {"kind": "hello", "id": "h", "page": "notebook"}
for data in ({"method": "custom", "content": hello}, {"method": "request_state"}):
    early.comm.callback({"content": {"data": data}})
drawn = panels.is_drawn
while later:
    later.pop()()
controlled.append(busy_kernel.CONTROL_TARGET in get_comm_manager().targets)
widget = panels._connector
state = widget.get_state()
print(json.dumps({
    "before": before,
    "controlled": controlled,
    "drawn": drawn,
    "kind": type(widget).__name__,
    "connection": widget.connection is early.connection,
    "same": json.dumps({name: state[name] for name in opened}) == json.dumps(opened),
    "missing": sorted(set(state) - set(opened)),
    "protocol": __import__("ipywidgets").__protocol_version__ == busy_kernel.WIDGET_PROTOCOL,
}))
panels.close()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen == {
        "before": [],
        "controlled": [False, False, True],
        "drawn": True,
        "kind": "PanelWidget",
        "connection": True,
        "same": True,
        "missing": ["layout"],
        "protocol": True,
    }
