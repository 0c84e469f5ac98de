"""Images of a workspace: settings that cannot be one, and what is pushed and exported under which name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.api import images
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import ImageError, UserErrorException
from mldeploy_jupyter.core.records import RevisionRecord, ServiceRecord
from mldeploy_jupyter.deployment.images import registries
from mldeploy_jupyter.targets import TargetFailure


@pytest.fixture
def ws(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.delenv("MLDEPLOY_IMAGE_REGISTRY", raising=False)
    ws = Workspace.create("test")
    store = ws.folder.open_store()
    store.save_service(ServiceRecord("svc", "docker", revision=1))
    store.add_revision(RevisionRecord("svc", image="ws/svc:1", image_id="sha256:1"))
    return ws


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("base_image", "python:{python}-slim"),
        ("base_image", "here:5000/base@sha256:" + "a" * 64),
        ("image_registry", "here:5000/team/"),
        ("image_registry", ""),
        ("base_image", None),
    ],
)
def test_a_setting_that_can_be_one_stays_as_it_is(name: str, value: str | None) -> None:
    assert images.check_image_setting(name, value) == value


@pytest.mark.parametrize(
    ("name", "value"), [("base_image", "Not A Name"), ("base_image", 5), ("image_registry", "https://here/team")]
)
def test_a_setting_that_cannot_be_one_is_refused(name: str, value: Any) -> None:
    with pytest.raises(UserErrorException, match=f"{name} cannot be") as refused:
        images.check_image_setting(name, value)
    assert refused.value.why and refused.value.hint.startswith("such as ")


def test_a_push_goes_to_the_name_that_is_given_or_to_the_workspace_s_registry(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed: list[tuple[str, str]] = []
    told: list[tuple[str, float | None]] = []

    def push(source: str, target: str, emit: Any) -> registries.Pushed:
        pushed.append((source, target))
        emit("push", "log", "one layer")
        emit("push", "progress", "half", fraction=0.5)
        return registries.Pushed(target)

    monkeypatch.setattr(registries, "push", push)
    with pytest.raises(UserErrorException, match="there is no registry to push svc to"):
        images.push_image(ws, "svc")
    images.push_image(ws, "svc", "there/own:2", lambda text, fraction: told.append((text, fraction)))
    ws.update(image_registry="here:5000/team")
    images.push_image(ws, "svc")
    images.push_image(ws, "here:5000/team/x:3")
    assert pushed == [
        ("ws/svc:1", "there/own:2"),
        ("ws/svc:1", "here:5000/team/svc:1"),
        ("here:5000/team/x:3", "here:5000/team/x:3"),
    ]
    assert told == [("one layer", None), ("half", 0.5)]


def test_an_export_has_the_name_without_a_registry(
    ws: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registries, "export", lambda source, path, tag: len(f"{source} {path} {tag}"))
    assert images.export_image(ws, "svc", "out.tar") == len("ws/svc:1 out.tar svc:1")


def test_what_an_engine_failed_with_has_three_lines() -> None:
    def fail() -> None:
        raise TargetFailure({"code": "engine-absent", "message": "no socket"}, "image")

    with pytest.raises(ImageError) as failed:
        images.explained(fail)
    assert failed.value.what and failed.value.why and failed.value.hint and failed.value.code == "engine-absent"
