"""The exception of one request is found in the service's log, and named by its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.core.bundle import builder
from mldeploy_jupyter.core.diagnosis import Cause
from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.core.script import notebook_cells
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
from mldeploy_jupyter.deployment.services.request_errors import find_request_error

SCRIPT = "def init():\n    pass\n\ndef run(data):\n    return data['x']\n"


@pytest.fixture
def script(workspace: WorkspaceFolder, service: ServiceRecord) -> Path:
    """The script of revision 1, in its bundle."""
    source = workspace.root.parent / "score.py"
    source.write_text(SCRIPT)
    content = builder.BundleContent("source", {"score.py": source}, "score.py")
    bundle = builder.build(content, workspace.bundles)
    workspace.open_store().update_revision("svc", 1, bundle_digest=bundle.digest)
    workspace.open_store().update_service("svc", revision=1)
    return bundle.app / bundle.entry_script


def find(workspace: WorkspaceFolder, request_id: str, *lines: str) -> tuple[str, str, Cause | None]:
    logs = workspace.services / "svc" / "logs"
    logs.mkdir(parents=True)
    (logs / "service.log").write_text("".join(f"2026-11-22T10:00:00.000Z [r1 42] {line}\n" for line in lines))
    service = workspace.open_store().get_service("svc")
    assert service is not None
    return find_request_error(workspace, service, request_id)


def test_the_line_of_the_script_is_named(workspace: WorkspaceFolder, script: Path) -> None:
    frame = f'  File "{script}", line 5, in run'
    found = find(workspace, "abc", "[abc] run() raised KeyError: 'x'", f"[abc] {frame}", "[other] run() raised A: b")
    assert found == ("KeyError: 'x'", "score.py line 5", None)


def test_the_line_of_the_cell_is_named_where_a_cell_wrote_the_script(workspace: WorkspaceFolder, script: Path) -> None:
    digest = notebook_cells.script_digest(SCRIPT)
    cell = notebook_cells.CellRecord(digest, "score.py", f"%%entry_script score.py\n{SCRIPT}", execution_count=3)
    notebook_cells.save_cell(workspace.cells, cell)
    found = find(workspace, "abc", "[abc] run() raised KeyError: 'x'", f'[abc]   File "{script}", line 5, in run')
    assert found == ("KeyError: 'x'", "cell [3] line 6", None)


def test_a_message_of_several_lines_is_whole(workspace: WorkspaceFolder, script: Path) -> None:
    lines = (
        "run() raised ValueError: wrong names",
        "unseen:",
        "- c",
        "",
        "Traceback (most recent call last):",
        "  File",
    )
    found = find(workspace, "abc", *(f"[abc] {line}" for line in lines))
    assert found[0] == "ValueError: wrong names unseen: - c"


def test_an_exception_in_a_library_has_no_line(workspace: WorkspaceFolder, script: Path) -> None:
    found = find(workspace, "abc", "[abc] run() raised A: b", '[abc]   File "/lib/x.py", line 5, in f')
    assert found == ("A: b", "", None)


@pytest.mark.parametrize("request_id", ["", "abc"])
def test_a_service_without_a_bundle_or_a_request_without_an_id_has_no_error(
    workspace: WorkspaceFolder, service: ServiceRecord, request_id: str
) -> None:
    assert find_request_error(workspace, service, request_id) == ("", "", None)


def test_a_name_that_the_script_lacks_has_a_cause_with_the_way_out(workspace: WorkspaceFolder, script: Path) -> None:
    text = "[abc] run() raised NameError: name 'model' is not defined"
    raised, where, cause = find(workspace, "abc", text, f'[abc]   File "{script}", line 5, in run')
    assert (raised, where) == ("NameError: name 'model' is not defined", "score.py line 5")
    assert cause is not None and cause.code == "name-error"
    assert cause.hint == "define model before this line, save score.py, then update svc again"
