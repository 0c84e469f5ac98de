"""How services, models, keys and logs are displayed."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from IPython.core.interactiveshell import InteractiveShell
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.api.webservices import Webservice
from mldeploy_jupyter.api.webservices.details import Revisions
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.process_identity import identify_process
from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.deployment.images.registries import ListedImage
from mldeploy_jupyter.notebook import views
from tests.unit.commands.support import run_line


def test_keys_are_hidden_and_control_sequences_of_logs_removed() -> None:
    shell = InteractiveShell()
    show = shell.display_formatter.format
    keys = views.Keys(("secret-one", "secret-two"))
    assert "secret" not in str(show(keys)) and keys[0] == "secret-one"
    log = views.LogText("\x1b[2J\x1b]0;title\x07plain \x1b[31mred\x1b[0m <script>\n")
    assert show(log)[0] == {"text/plain": "plain \x1b[31mred\x1b[0m <script>"}
    table = views.Table([1], lambda items: {"text/plain": f"{len(items)} item", "text/html": "<p>1</p>"})
    assert show(table)[0] == {"text/plain": "1 item", "text/html": "<p>1</p>"} and table == [1]


def test_revisions_are_a_list_and_a_table(snapshot: SnapshotAssertion) -> None:
    data = [
        {"number": 3, "outcome": "live", "rolled_back_to": 1},
        {"number": 2, "outcome": "failed", "rolled_back_to": 0},
        {"number": 1, "outcome": "kept", "rolled_back_to": 0},
    ]
    common = {"models": ["iris:1"], "created_time": "2026-11-22T17:00:00.000Z", "bundle_digest": "0123456789abcdef" * 4}
    revisions = Revisions(({**row, **common} for row in data), serving=3)
    assert revisions == [{**row, **common} for row in data] and json.loads(json.dumps(revisions)) == revisions
    assert "'bundle_digest': '01234567'}" in repr(revisions)
    assert revisions.kept == [1]
    assert views.revisions_bundle(revisions)["text/plain"] == snapshot
    shell = InteractiveShell()
    shell.run_line_magic("load_ext", "mldeploy_jupyter")
    assert shell.display_formatter.format(revisions)[0] == views.revisions_bundle(revisions)


def test_tables_escape_their_text(snapshot: SnapshotAssertion) -> None:
    record = SimpleNamespace(size=1_234_000)
    model = SimpleNamespace(
        name="<b>x</b>",
        version=3,
        record=record,
        tags={"a": "<script>alert(1)</script>"},
        description="two\nlines",
        model_framework="ScikitLearn",
        model_framework_version=None,
        created_time="2026-11-22T17:00:00.000Z",
    )
    bundle = views.models_bundle([model])
    assert "<script>" not in bundle["text/html"] and "<b>x" not in bundle["text/html"]
    assert bundle == snapshot
    assert views.model_bundle(model) == snapshot


@pytest.mark.parametrize(("state", "shown"), [("Failed", False), ("Cancelled", False), ("Deploying", True)])
def test_a_service_that_never_was_live_has_no_keys_to_show(folder: Path, state: str, shown: bool) -> None:
    ws = Workspace.create("w", path=str(folder))
    store = ws.folder.open_store()
    # The lease says that a deployment under way has a runner.
    store.leases.acquire("svc", "d", 60.0, identify_process())
    cancelled = {"code": "cancelled"} if state == "Cancelled" else None
    store.save_service(ServiceRecord("svc", state=state if state == "Deploying" else "Failed", error=cancelled))
    service = Webservice(ws, "svc")
    assert ("Keys" in views.service_bundle(service)["text/plain"]) is shown
    assert f"state:            {state}\n" in run_line("service show svc").text  # as `service list`, not in v1's words


def test_images_are_a_table() -> None:
    id = f"sha256:{'5b1de09a' * 8}"
    used = ["svc revision 2", "svc revision 1"]
    made = [ListedImage(id, "mldeploy-0f1e2d3c/svc:2", "2026-11-27T09:02:41.000Z", used, serves=True, size=285_431_350)]
    shown = views.as_table(made)
    text = shown.bundle()["text/plain"].splitlines()
    assert text[0].split() == ["IMAGE", "ID", "MADE", "SIZE", "USED", "BY"]
    assert "5b1de09a5b1d" in text[1] and "285.4 MB" in text[1] and "svc revision 2, svc revision 1 (serves)" in text[1]
    assert shown == made and shown.bundle()["text/html"].count("<tr>") == 2


def test_latency_runs_are_a_table() -> None:
    from tests.unit.latency.made_samples import make_result, steady

    shown = views.as_table([make_result(steady(200)), make_result(steady(50))])
    text = shown.bundle()["text/plain"].splitlines()
    assert text[0].split() == ["RUN", "BEGUN", "SERVICES", "LOAD", "REQUESTS", "p50", "p95", "p99", "STATE"]
    assert len(text) == 3 and "100/s" in text[1] and shown.bundle()["text/html"].count("<tr>") == 3


def test_what_a_command_returns_is_shown_as_its_text(folder: Path) -> None:
    from mldeploy_jupyter.api.models.package import ModelPackage
    from mldeploy_jupyter.core.files import write_json
    from mldeploy_jupyter.deployment import packages
    from mldeploy_jupyter.deployment.images.registries import Pushed
    from mldeploy_jupyter.deployment.prune import PruneReport

    ws = Workspace.create("w", path=str(folder))
    path = packages.package_folder(ws.folder, "20260101000000-abcdef")
    path.mkdir(parents=True)
    made = {"state": "Succeeded", "location": "mldeploy-w/churn:1", "image_id": "sha256:5b1d"}
    write_json(path / packages.RECORD, made)
    shell = InteractiveShell()
    shell.run_line_magic("load_ext", "mldeploy_jupyter")
    shown = [
        shell.display_formatter.format(value)[0]["text/plain"]
        for value in (ModelPackage(ws, path.name), Pushed("r/x:1", "sha256:a", "2 layers"), PruneReport(images=2))
    ]
    assert shown[0].splitlines() == [
        f"package:  {path.name}",
        "image:    mldeploy-w/churn:1",
        "image id: sha256:5b1d",
    ]
    assert shown[1:] == [
        "Pushed r/x:1: 2 layers\nsha256:a",
        "Removed 2 images and layers of images (0 bytes)",
    ]
