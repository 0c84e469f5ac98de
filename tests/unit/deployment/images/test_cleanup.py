"""Which images of an engine a prune removes; the engine's answers are given."""

from __future__ import annotations

from typing import Any

import pytest

from mldeploy_jupyter.core.records import RevisionRecord, ServiceRecord
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
from mldeploy_jupyter.deployment.images import cleanup

NOW = 2_000_000_000.0
OLD, NEW = "2020-01-01T00:00:00.5Z", "2033-05-18T03:33:00Z"  # the second is within an hour before NOW


class Images:
    """An engine that knows images, each with names, layers and the time it was made."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Any]] = {}
        self.in_use: set[str] = set()
        self.client = self
        self.api = self

    def add(self, id: str, *tags: str, layers: str = "", created: str = OLD) -> None:
        self.found[id] = {"Id": id, "RepoTags": [*tags], "RootFS": {"Layers": [*layers]}, "Created": created}

    def images(self) -> list[dict[str, Any]]:
        return [{"Id": id, "RepoTags": entry["RepoTags"] or None} for id, entry in self.found.items()]

    def inspect_image(self, id: str) -> dict[str, Any]:
        return self.found[id]

    def remove_image(self, name: str) -> None:
        if name in self.in_use:
            raise OSError("a container uses it")
        for entry in self.found.values():
            if name in entry["RepoTags"]:
                entry["RepoTags"].remove(name)
        self.found = {id: entry for id, entry in self.found.items() if entry["RepoTags"]}

    def tags(self) -> set[str]:
        return {tag for entry in self.found.values() for tag in entry["RepoTags"]}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Images:
    images = Images()
    monkeypatch.setattr(cleanup, "_find_engine", lambda: images)
    return images


def unused(workspace: WorkspaceFolder) -> list[str]:
    return cleanup.list_unused_images(workspace, clock=lambda: NOW)


def test_images_that_a_revision_can_be_served_from_stay(workspace: WorkspaceFolder, engine: Images) -> None:
    prefix, store = f"mldeploy-{workspace.id[:8]}", workspace.open_store()
    store.save_service(ServiceRecord("svc", "docker", revision=3))
    for number, outcome in enumerate(("kept", "failed", "live", "pending"), 1):
        store.add_revision(
            RevisionRecord("svc", outcome=outcome, image=f"{prefix}/svc:{number}", image_id=f"id{number}")
        )
        engine.add(f"id{number}", f"{prefix}/svc:{number}")
    engine.add("id9", f"{prefix}/gone:1", "theirs:1")
    engine.found["id3"]["RepoTags"].append(f"{prefix}/gone:2")  # the image of what serves, made for another service
    engine.add("id10", "mldeploy-00000000/svc:1")  # another workspace's
    assert sorted(unused(workspace)) == [f"{prefix}/gone:1", f"{prefix}/svc:2"]
    assert cleanup.remove_unused_images(workspace, clock=lambda: NOW) == 2
    assert "theirs:1" in engine.tags() and f"{prefix}/gone:2" in engine.tags()
    assert unused(workspace) == []


def test_layers_go_with_the_last_image_that_has_them(workspace: WorkspaceFolder, engine: Images) -> None:
    gone = f"mldeploy-{workspace.id[:8]}/gone:1"
    engine.add("image", "theirs:1", layers="abc")
    engine.add("old", gone, layers="abxyz")
    engine.add("step-ab", "mldeploy-layers:server-1", layers="ab")
    engine.add("step-abx", "mldeploy-layers:model-1", layers="abx")
    engine.add("step-new", "mldeploy-layers:model-2", layers="abn", created=NEW)  # a build is in progress
    engine.add("step-q", "mldeploy-layers:server-2", layers="q")
    assert sorted(unused(workspace)) == sorted([gone, "mldeploy-layers:model-1", "mldeploy-layers:server-2"])


def test_what_cannot_be_removed_is_tried_once(workspace: WorkspaceFolder, engine: Images) -> None:
    gone = f"mldeploy-{workspace.id[:8]}/gone:1"
    engine.add("old", gone)
    engine.in_use.add(gone)
    assert cleanup.remove_unused_images(workspace, clock=lambda: NOW) == 0
    assert engine.tags() == {gone}


def test_without_an_engine_there_is_nothing_to_remove(
    workspace: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "_find_engine", lambda: None)
    assert unused(workspace) == [] and cleanup.remove_unused_images(workspace, clock=lambda: NOW) == 0
