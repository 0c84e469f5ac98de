"""Which services in containers have no workspace any more."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mldeploy_jupyter.deployment.services.lost_services import describe_lost_services
from mldeploy_jupyter.targets.docker import lost_services, names
from mldeploy_jupyter.targets.docker.containers import origin_labels


class Containers:
    """An engine with these containers and volumes, each its labels."""

    def __init__(self, *labels: dict[str, str], volumes: tuple[dict[str, str], ...] = ()) -> None:
        self.labels, self.volume_labels = labels, volumes
        self.endpoint = None
        self.client = SimpleNamespace(api=self)

    def containers(self, all: bool, filters: dict[str, Any]) -> list[dict[str, Any]]:
        return self._with_labels(self.labels, filters) if all else []

    def volumes(self, filters: dict[str, Any]) -> dict[str, Any]:
        return {"Volumes": self._with_labels(self.volume_labels, filters) or None}

    def _with_labels(self, labels: tuple[dict[str, str], ...], filters: dict[str, Any]) -> list[dict[str, Any]]:
        wanted = [tuple(label.split("=", 1)) for label in filters["label"]]
        return [
            {"Id": "1", "Labels": found}
            for found in labels
            if {name for name, *_ in wanted} <= found.keys()
            if {tuple(one) for one in wanted if len(one) == 2} <= set(found.items())
        ]


def labels(root: Path | str, workspace: str = "w1", **more: str) -> dict[str, str]:
    own = {names.WORKSPACE: workspace, names.SERVICE: "churn", names.ROOT: str(root), **origin_labels()}
    return {**own, **{f"{names.PREFIX}.{name}": value for name, value in more.items()}}


def list_lost(*containers: dict[str, str], known: tuple[str, ...] = ()) -> list[str]:
    return [one.root for one in lost_services.list_lost_services(Containers(*containers), known)]  # type: ignore[arg-type]


def test_a_service_whose_workspace_was_deleted_is_found_once(tmp_path: Path) -> None:
    gone = tmp_path / "gone" / ".mldeploy"
    assert list_lost(labels(gone, role="listener"), labels(gone, role="service")) == [str(gone)]


def test_a_volume_without_a_container_is_found(tmp_path: Path) -> None:
    gone = tmp_path / "gone" / ".mldeploy"
    engine = Containers(volumes=(labels(gone), {names.WORKSPACE: "w1", names.SERVICE: "of-an-older-version"}))
    assert [str(one) for one in lost_services.list_lost_services(engine, ())] == [f"churn of {tmp_path / 'gone'}"]  # type: ignore[arg-type]


def test_a_workspace_that_was_moved_keeps_its_containers(tmp_path: Path) -> None:
    assert list_lost(labels(tmp_path / "gone"), known=("w1",)) == []


@pytest.mark.parametrize("more", [{"host": "another"}, {"user": "4711"}])
def test_containers_of_other_machines_and_users_are_left_alone(tmp_path: Path, more: dict[str, str]) -> None:
    assert list_lost(labels(tmp_path / "gone", **more)) == []


def test_containers_of_older_versions_are_left_alone(tmp_path: Path) -> None:
    older = labels(tmp_path / "gone")
    del older[names.ROOT]
    assert list_lost(older) == []


@pytest.mark.parametrize(("id", "expected"), [("w1", 0), ("another", 1), (None, 0)])
def test_another_workspace_may_be_in_the_place(tmp_path: Path, id: str | None, expected: int) -> None:
    """One whose settings are lost may be made again with its id."""
    if id:
        (tmp_path / "config.json").write_text(json.dumps({"id": id}))
    assert len(list_lost(labels(tmp_path))) == expected


def test_a_folder_that_may_not_be_looked_into_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(self: Path) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "lstat", refuse)
    assert list_lost(labels(tmp_path / "gone")) == []


def test_what_is_said_of_them() -> None:
    found = [lost_services.LostService(f"/data/{name}/.mldeploy", name, "w") for name in ("a", "b", "c\n\x1b[2J")]
    assert describe_lost_services([]) == ""
    assert describe_lost_services(found[:1]) == (
        "1 service in containers has no workspace: a of /data/a. End it with: mldeploy prune --lost-services. "
        "If the workspace was only moved, run a command in it first"
    )
    assert "3 services in containers have no workspace: a of /data/a and 2 more" in describe_lost_services(found)
    assert "\n" not in describe_lost_services(found[2:]) and "\x1b" not in describe_lost_services(found[2:])
