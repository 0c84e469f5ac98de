"""The code of a deployment is what it was when the deployment was asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.core.errors import EntryScriptError
from mldeploy_jupyter.core.records import DeploymentRequest
from mldeploy_jupyter.core.script.notebook_cells import script_digest
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
from mldeploy_jupyter.deployment.plan import collect_inputs
from mldeploy_jupyter.deployment.source import snapshot as source_snapshot

SCRIPT = "import helper\nimport package\ndef init(): pass\ndef run(data): return helper.answer\n"


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The folder of a deployment."""
    return tmp_path / "deployments" / "d1"


@pytest.fixture
def source(folder: Path) -> Path:
    """A folder with a script, a helper module and a package with data."""
    source = folder / "src"
    (source / "package").mkdir(parents=True)
    (source / "score.py").write_text(SCRIPT)
    (source / "helper.py").write_text("answer = 1\n")
    (source / "package" / "__init__.py").touch()
    (source / "package" / "words.txt").write_text("one")
    return source


def _request(source: Path, *, directory: bool = False, **more: Any) -> DeploymentRequest:
    data = {"entry_script": "score.py", "entry_path": str(source / "score.py")}
    if directory:
        data["source_directory"] = str(source)
    digest = script_digest((source / "score.py").read_bytes())
    return DeploymentRequest("svc", "local", inference_config=data, **{"script_digest": digest, **more})


@pytest.mark.parametrize("directory", [False, True])
def test_code_that_is_changed_after_the_call_is_deployed_as_it_was(
    workspace: WorkspaceFolder, source: Path, kept: Path, directory: bool
) -> None:
    request = _request(source, directory=directory)
    source_snapshot.take_snapshot(request, kept)
    (source / "score.py").write_text("def init(): pass\ndef run(data): return 2\n")
    (source / "helper.py").unlink()
    (source / "package" / "words.txt").write_text("two")
    files = collect_inputs(request, workspace, workspace.open_store(), source_snapshot.read_snapshot(kept)).source
    assert sorted(files) == ["helper.py", "package/__init__.py", "package/words.txt", "score.py"]
    assert (files["score.py"].read_text(), files["helper.py"].read_text()) == (SCRIPT, "answer = 1\n")
    assert files["package/words.txt"].read_text() == "two"  # no code: read when the bundle is made
    assert not files["score.py"].stat().st_mode & 0o077
    source_snapshot.remove_snapshot(kept)
    assert os.listdir(kept) == []


def test_a_script_that_changes_while_it_is_called_is_still_refused(
    workspace: WorkspaceFolder, source: Path, kept: Path
) -> None:
    request = _request(source)
    (source / "score.py").write_text(SCRIPT + "# changed\n")
    source_snapshot.take_snapshot(request, kept)
    assert source_snapshot.read_snapshot(kept) == {}
    with pytest.raises(EntryScriptError) as caught:
        collect_inputs(request, workspace, workspace.open_store(), source_snapshot.read_snapshot(kept))
    assert caught.value.code == "ScriptChanged"


def test_nothing_is_copied_of_a_deployment_that_reads_no_source(source: Path, kept: Path) -> None:
    source_snapshot.take_snapshot(_request(source, script_digest=""), kept)
    assert not kept.exists()


def test_of_much_code_only_the_script_is_copied(source: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_snapshot, "LIMIT_FILES", 2)
    source_snapshot.take_snapshot(_request(source), kept)
    files = source_snapshot.read_snapshot(kept)
    assert files["score.py"].is_relative_to(kept) and files["helper.py"] == source / "helper.py"


@pytest.mark.parametrize("text", ["", "[]", '{"score.py": 3}', "\0"])
def test_a_damaged_list_is_as_none(source: Path, kept: Path, text: str) -> None:
    source_snapshot.take_snapshot(_request(source), kept)
    (kept / source_snapshot.SOURCE_LIST).write_text(text)
    assert set(source_snapshot.read_snapshot(kept)) <= {"score.py"}


def test_a_missing_script_is_left_to_the_deployment(source: Path, kept: Path) -> None:
    request = _request(source)
    (source / "score.py").unlink()
    source_snapshot.take_snapshot(request, kept)
    assert source_snapshot.read_snapshot(kept) == {}
