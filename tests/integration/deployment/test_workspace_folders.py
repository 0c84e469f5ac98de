"""Services of workspaces that were copied or moved, or that have unusual names."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mldeploy_jupyter import Webservice
from mldeploy_jupyter.core.store import database
from mldeploy_jupyter.core.workspace import folder as workspace
from mldeploy_jupyter.deployment import delete_service, query_status
from tests.polling import wait_until
from tests.unit.commands.support import run_line

from .conftest import Site, ask, live, update


def test_a_copied_workspace_does_not_command_the_services_of_the_original(site: Site, tmp_path: Path) -> None:
    service = live(site)
    copy = tmp_path / "copy" / ".mldeploy"
    original = site.folder / ".mldeploy"
    database._close_all()
    wait_until(lambda: not list(original.glob("store.db-*")))  # the runner has closed the store, too
    shutil.copytree(original, copy, ignore=lambda _, names: [n for n in names if n.endswith(".sock")])
    folder = workspace.load_workspace(copy)
    record = site.ws.folder.open_store().get_service("svc")
    assert query_status(folder, record).state == "Stopped"
    delete_service(folder, "svc")
    assert not (copy / "services" / "svc").exists()
    assert (service.state, ask(service)) == ("Healthy", 1)


def test_the_supervisor_of_a_moved_workspace_is_found_again(site: Site, tmp_path: Path) -> None:
    service = live(site)
    old, new = site.folder / ".mldeploy", tmp_path.parent / "moved" / ".mldeploy"  # short: a socket is in it
    new.parent.mkdir()
    record = site.ws.folder.open_store().get_service("svc")
    old.rename(new)
    try:
        assert query_status(workspace.load_workspace(new), record).state == "Live"
        assert new in [found.root for found in workspace.list_workspaces()]  # its supervisor tells where it is now
    finally:
        new.rename(old)
    assert service.state == "Healthy"


@pytest.mark.parametrize("copied", [False, True], ids=["moved", "copied"])
def test_a_stopped_service_starts_where_its_workspace_was_moved_to(site: Site, tmp_path: Path, copied: bool) -> None:
    live(site).stop()
    old, new = site.folder / ".mldeploy", tmp_path.parent / f"new-{copied}" / ".mldeploy"
    database._close_all()
    wait_until(lambda: not list(old.glob("store.db-*")))  # the runner has closed the store, too
    new.parent.mkdir()
    if copied:
        shutil.copytree(old, new)
    else:
        old.rename(new)
    moved = Site(new.parent)
    (service,) = Webservice.list(moved.ws)
    try:
        assert str(new.parent) in run_line(f"service list --all -w {new.parent}").text
        service.start()
        assert ask(service) == 1
        revision = moved.ws.folder.open_store().get_revision("svc", 1)
        assert revision is not None and revision.settings["app_root"].startswith(f"{new}/")
    finally:
        service.delete()
        wait_until(lambda: moved.processes() == [], what=lambda: f"processes are left: {moved.processes()}")
        database._close_all()
        if copied:
            shutil.rmtree(new.parent)
        else:
            new.rename(old)


@pytest.mark.parametrize("name", ["two:parts", "line\nbreak", "a b%c;d'e", "ü" * 60])
def test_a_workspace_may_have_any_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    odd = Site(tmp_path / name)
    odd.script(1)
    service = live(odd)
    try:
        odd.script(2)
        update(odd, service, wait=True)
        service.stop()
        service.start()
        assert ask(service) == 2
    finally:
        service.delete()
    wait_until(lambda: odd.processes() == [], what=lambda: f"processes are left: {odd.processes()}")
