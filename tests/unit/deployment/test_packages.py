"""The record of a package, from its beginning to its end; no image is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.core.files import read_json, write_json
from mldeploy_jupyter.core.journal.journal import read_events
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
from mldeploy_jupyter.deployment import packages
from mldeploy_jupyter.deployment.packages import PackageRequest

NOW = "2026-05-04T03:02:01.000Z"


def begin(workspace: WorkspaceFolder, **fields: Any) -> str:
    request = PackageRequest(["m:1"], {"entry_script": "score.py"}, **fields)
    return packages.begin_package(workspace, request, now=lambda: NOW)


def test_a_package_that_was_begun_has_a_name_and_runs(workspace: WorkspaceFolder) -> None:
    id = begin(workspace)
    record = packages.read_package(workspace, id)
    assert id.startswith("20260504030201-")
    assert record["state"] == "Running" and record["models"] == ["m:1"] and record["location"] == ""
    stamp = id.partition("-")[0]
    assert record["reference"] == f"mldeploy-{workspace.id[:8]}/package:{stamp}"
    assert [*read_events(packages.package_journal(workspace, id))] == []


def test_names_are_the_caller_s_and_the_registry_the_workspace_s(
    workspace: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLDEPLOY_IMAGE_REGISTRY", "here:5000/team/")
    record = packages.read_package(workspace, begin(workspace, name="own", label="7", password="s3cr3t"))
    assert record["reference"] == "here:5000/team/own:7"
    assert "s3cr3t" not in str(record) and "s3cr3t" not in repr(PackageRequest(password="s3cr3t"))


def test_a_package_whose_process_died_has_failed(workspace: WorkspaceFolder) -> None:
    id = begin(workspace)
    path = packages.package_folder(workspace, id) / packages.RECORD
    record = read_json(path)
    write_json(path, {**record, "process": {**record["process"], "started": "0"}})
    read = packages.read_package(workspace, id)
    assert read["state"] == "Failed" and read["error"]["what"] == "the process that made the package has ended"


@pytest.mark.parametrize("id", ["", "gone", "../x", "20260504030201-zz", "20260504030201-abcdef"])
def test_an_id_that_names_no_package_reads_as_nothing(workspace: WorkspaceFolder, id: str) -> None:
    assert packages.read_package(workspace, id) == {}
    packages.remove_package(workspace, id)


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (ImageError("no such base", why="gone", hint="name another"), "no such base"),
        (OSError(28, "No space left on device"), "the package could not be made"),
        (ZeroDivisionError("ours"), "ZeroDivisionError"),
    ],
)
def test_a_failure_is_in_the_record_and_in_the_journal(
    workspace: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch, error: Exception, what: str
) -> None:
    def fail(*args: Any) -> dict[str, Any]:
        raise error

    monkeypatch.setattr(packages, "_make", fail)
    id = begin(workspace)
    record = packages.make_package(workspace, id, PackageRequest())
    assert record == packages.read_package(workspace, id)
    assert record["state"] == "Failed" and what in str(record["error"])
    assert record["error"]["hint"] and record["finished_time"]
    last = [*read_events(packages.package_journal(workspace, id))][-1]
    assert (last.kind, last.data["state"], last.data["cause"]) == ("state", "failed", record["error"])


def test_a_package_that_was_removed_is_gone(workspace: WorkspaceFolder) -> None:
    id = begin(workspace)
    packages.remove_package(workspace, id)
    assert packages.read_package(workspace, id) == {} and not Path(packages.package_folder(workspace, id)).exists()
