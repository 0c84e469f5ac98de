"""Which image a name means, what is listed, and how far a push has come."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mldeploy_jupyter import docker_engine
from mldeploy_jupyter.core.errors import ImageError, StorageError
from mldeploy_jupyter.core.files import write_json
from mldeploy_jupyter.core.records import RevisionRecord, ServiceRecord
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
from mldeploy_jupyter.deployment.images import registries
from tests.queries import count_queries


def add_revision(workspace: WorkspaceFolder, number: int, **fields: Any) -> None:
    store = workspace.open_store()
    if store.get_service("svc") is None:
        store.save_service(ServiceRecord("svc", "docker", revision=number))
    store.add_revision(RevisionRecord("svc", **fields))


def add_package(workspace: WorkspaceFolder, id: str, **fields: Any) -> None:
    path = workspace.root / "packages" / id / "package.json"
    path.parent.mkdir(parents=True)
    write_json(path, {"id": id, "reference": "here:5000/team/package:1", **fields})


def test_a_name_means_a_service_a_package_or_an_image(workspace: WorkspaceFolder) -> None:
    add_revision(workspace, 1, image="ws/svc:1", image_id="sha256:1")
    add_package(workspace, "20260101-aa", location="here:5000/team/package:1", image_id="sha256:2")
    add_package(workspace, "20260102-bb", reference="own:2", location="own:2", kept="oci:sha256:3")
    find = lambda name: registries.find_reference(workspace, name)  # noqa: E731
    assert find("svc") == ("ws/svc:1", "svc:1")
    assert find("20260101-aa") == ("here:5000/team/package:1", "team/package:1")
    assert find("20260102-bb") == find("own:2") == ("oci:sha256:3", "own:2")
    assert find("localhost/x:1") == ("localhost/x:1", "x:1")
    assert find("other/x@sha256:ab") == ("other/x@sha256:ab", "other/x")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"location": "/folder", "dockerfile": True}, "it is a Dockerfile and what it copies"),
        ({"location": ""}, "it was not made"),
    ],
)
def test_a_package_without_an_image_is_refused(workspace: WorkspaceFolder, fields: dict[str, Any], why: str) -> None:
    add_package(workspace, "20260101-aa", **fields)
    with pytest.raises(ImageError, match="has no image") as refused:
        registries.find_reference(workspace, "20260101-aa")
    assert refused.value.why == why and refused.value.code == "ImageNotFound"


@pytest.mark.parametrize(("revision", "why"), [(0, "it has never been live"), (1, "it runs as a process")])
def test_a_service_without_an_image_is_refused(workspace: WorkspaceFolder, revision: int, why: str) -> None:
    workspace.open_store().save_service(ServiceRecord("svc", "local", revision=revision))
    if revision:
        workspace.open_store().add_revision(RevisionRecord("svc"))
    with pytest.raises(ImageError, match="the service svc has no image") as refused:
        registries.find_reference(workspace, "svc")
    assert refused.value.why == why


def test_a_list_has_each_image_once_with_all_that_use_it(
    workspace: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registries, "_sizes", lambda ids: {"sha256:1": 5})
    add_revision(workspace, 2, image="ws/svc:1", image_id="sha256:1", created_time="2026-01-01T00:00:00Z")
    add_revision(workspace, 2, image="ws/svc:1", image_id="sha256:1", created_time="2026-01-03T00:00:00Z")
    add_revision(workspace, 2)  # a process
    add_package(
        workspace,
        "20260102-aa",
        location="package:1",
        image_id="sha256:2",
        digest="sha256:d",
        created_time="2026-01-02T00:00:00Z",
    )
    first, second = registries.list_images(workspace)
    assert (first.id, first.used_by, first.serves) == ("sha256:1", ["svc revision 2", "svc revision 1"], True)
    assert (first.created, first.size) == ("2026-01-03T00:00:00Z", 5)
    assert (second.reference, second.used_by, second.serves) == ("package:1", ["package 20260102-aa"], False)
    assert (second.digest, second.size) == ("sha256:d", None)


@pytest.mark.parametrize("count", [1, 20])
def test_a_list_asks_the_engine_once_and_the_store_twice(
    workspace: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    for number in range(count):
        add_revision(workspace, number, image=f"ws/svc:{number}", image_id=f"sha256:{number}")
    asked: list[str] = []

    class Api:
        def __getattr__(self, name: str) -> Any:
            def ask(*_: object, **__: object) -> list[dict[str, Any]]:
                asked.append(name)
                by_digest = {"Id": "sha256:else", "RepoDigests": ["ws/svc@sha256:0"], "Size": 7}
                return [by_digest, *({"Id": f"sha256:{number}", "Size": number} for number in range(1, count))]

            return ask

    engine = SimpleNamespace(endpoint=None, client=SimpleNamespace(api=Api()))
    monkeypatch.setattr(docker_engine, "open_engine", lambda: engine)
    workspace.open_store().list_services()
    with count_queries(workspace) as queries:
        listed = registries.list_images(workspace)
    assert {one.id: one.size for one in listed} == {"sha256:0": 7, **{f"sha256:{n}": n for n in range(1, count)}}
    assert asked == ["images"] and sum(query.startswith("SELECT") for query in queries) == 2


def test_a_push_says_what_is_sent_and_what_was_there() -> None:
    told: list[tuple[str, str, Any]] = []
    now = iter([0.0, 1.0, 2.0])
    progress = registries._PushProgress(
        lambda stage, kind, text="", **data: told.append((kind, text, data.get("fraction"))), lambda: next(now)
    )
    progress.show({"id": "aa", "status": "Pushing", "progressDetail": {"current": 500_000, "total": 2_000_000}})
    progress.show({"id": "bb", "status": "Layer already exists"})
    progress.show({"id": "aa", "status": "Pushing", "progressDetail": {"current": 2_000_000, "total": 2_000_000}})
    progress.show({"id": "aa", "status": "Pushed"})
    progress.show({"aux": {"Digest": "sha256:d"}})
    assert progress.digest == "sha256:d"
    assert told[0] == ("progress", "500.0 kB of 2.0 MB, about 3 s left", 0.25)
    assert ("log", "layer bb  layer already exists", None) in told
    assert progress.summary() == "1 of 2 layers were new, 2.0 MB"


def test_a_push_of_known_layers_says_so() -> None:
    progress = registries._PushProgress(lambda stage, kind, text="", **data: None, lambda: 0.0)
    progress.show({"id": "bb", "status": "Layer already exists"})
    assert progress.summary() == "every layer was there already"


def test_an_export_replaces_nothing_and_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = folder / "there.tar"
    there.write_text("mine")
    with pytest.raises(StorageError, match="exists already"):
        registries.export("name", there, "tag:1")
    assert there.read_text() == "mine"
    monkeypatch.setattr(registries, "_save", lambda name, path: path.write_text("image"))
    with pytest.raises(StorageError, match="could not be written"):
        registries.export("name", folder / "no" / "out.tar", "tag:1")
    assert registries.export("name", folder / "out.tar", "tag:1") == 5
    assert sorted(path.name for path in folder.glob("*.tar*")) == ["out.tar", "there.tar"]
    assert not list(folder.glob(".*.part"))
