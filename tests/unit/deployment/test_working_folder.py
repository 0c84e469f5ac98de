"""A working folder belongs to one revision: what is written there reaches no bundle, blob or other revision."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mldeploy_jupyter.core.artifacts.artifact_store import ArtifactStore
from mldeploy_jupyter.core.bundle import builder
from mldeploy_jupyter.core.errors import StorageError
from mldeploy_jupyter.deployment import working_folder


@pytest.fixture
def artifacts(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(str(tmp_path / "artifacts"))


@pytest.fixture
def bundle(tmp_path: Path, artifacts: ArtifactStore) -> builder.Bundle:
    """A bundle with a registered model and one that never was."""
    for name, text in (("score.py", "def init(): ..."), ("facts.db", "registered"), ("plain.pkl", "never registered")):
        (tmp_path / name).write_text(text)
    _, _, files = artifacts.put(tmp_path / "facts.db")
    plain = ArtifactStore(str(tmp_path / "elsewhere")).put(tmp_path / "plain.pkl")[2]
    models = [
        builder.BundleModel("facts", 3, files),
        builder.BundleModel("plain.pkl", 0, plain, {"plain.pkl": tmp_path / "plain.pkl"}),
    ]
    source = {"score.py": tmp_path / "score.py"}
    return builder.build(builder.BundleContent("source", source, "score.py", models), tmp_path / "bundles")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_working_folder_is_a_private_copy(tmp_path: Path, bundle: builder.Bundle, artifacts: ArtifactStore) -> None:
    first, second = (working_folder.working_folder(tmp_path / "svc", number) for number in (1, 2))
    working_folder.create(bundle, artifacts, first)
    expected = {
        "source/score.py": b"def init(): ...",
        "azureml-models/facts/3/facts.db": b"registered",
        "azureml-models/plain.pkl/0/plain.pkl": b"never registered",
    }
    assert contents(first) == expected
    before = contents(bundle.path)
    for path in contents(first):
        (first / path).write_bytes(b"changed")
    (first / "seen.txt").write_text("x")
    working_folder.create(bundle, artifacts, second)
    assert contents(second) == expected
    assert contents(bundle.path) == before


def test_registered_models_are_not_stored_in_the_bundle_too(bundle: builder.Bundle) -> None:
    assert not list(bundle.path.rglob("facts.db"))


def test_a_damaged_file_is_not_deployed(tmp_path: Path, bundle: builder.Bundle, artifacts: ArtifactStore) -> None:
    (bundle.app / "source/score.py").write_text("def init(): another()")
    with pytest.raises(StorageError, match=r"the bundle is damaged: app/source/score\.py"):
        working_folder.create(bundle, artifacts, tmp_path / "svc/revisions/1/app")


def test_a_model_that_left_the_registry_is_taken_from_the_bundle_of_an_earlier_version(
    tmp_path: Path, bundle: builder.Bundle, artifacts: ArtifactStore
) -> None:
    artifacts.sweep(set())
    with pytest.raises(StorageError, match="gone from the artifacts"):
        working_folder.create(bundle, artifacts, tmp_path / "svc/revisions/1/app")
    kept = bundle.app / "azureml-models/facts/3/facts.db"
    kept.parent.mkdir(parents=True)
    kept.write_text("registered")
    kept.write_text("changed by a service of that version")
    with pytest.raises(StorageError, match="gone from the artifacts"):
        working_folder.create(bundle, artifacts, tmp_path / "svc/revisions/3/app")
    kept.write_text("registered")
    working_folder.create(bundle, artifacts, tmp_path / "svc/revisions/2/app")
    assert (tmp_path / "svc/revisions/2/app/azureml-models/facts/3/facts.db").read_text() == "registered"


def test_what_killed_deployments_left_is_removed_and_what_serves_is_not(tmp_path: Path) -> None:
    service = tmp_path / "svc"
    for number in (1, 2, 3):
        working_folder.working_folder(service, number).mkdir(parents=True)
    (service / "live.json").write_text(json.dumps({"revision": 2}))
    working_folder.remove_unused(service)
    assert [path.name for path in (service / "revisions").iterdir()] == ["2"]
