"""On a disk that is full or read-only, what is there can be seen and used, and space can be made.

Needs root, for a small file system of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mldeploy_jupyter import Webservice
from mldeploy_jupyter.core.store import database
from tests.polling import wait_until

from .conftest import Site, live

MLDEPLOY = [sys.executable, "-m", "mldeploy_jupyter.cli"]


class Disk:
    """A file system of 24 MB with a workspace, whose commands run in processes of their own, as in a shell."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self) -> None:
        # What the workspace would do by itself before the disk is full; another program takes all that is left.
        with (self.path / "filler").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(64 * 1024))
            except OSError:
                pass
            try:
                while True:
                    file.write(bytes(512))
            except OSError:
                pass

    def run(self, *words: str) -> str:
        """The output of a command that succeeds."""
        done = self.attempt(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def attempt(self, *words: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([*MLDEPLOY, *words], cwd=self.path, capture_output=True, text=True, timeout=120)
        assert "Traceback" not in done.stderr, done.stderr
        return done


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield Disk(place)
    if "ro," in subprocess.run(["findmnt", "-n", "-o", "OPTIONS", str(place)], capture_output=True, text=True).stdout:
        subprocess.run(["umount", str(place)], check=True)  # a test that failed
    (place / "filler").unlink(missing_ok=True)
    site = Site(place)
    for service in Webservice.list(site.ws):
        service.delete()
    wait_until(lambda: site.processes() == [], what=lambda: f"processes are left: {site.processes()}")
    database._close_all()  # an open store keeps its disk
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def site(disk: Disk) -> Site:
    site = Site(disk.path)
    site.script(1)
    live(site)
    return site


def wait_for_runners(site: Site) -> None:
    """A runner that ends opens the store, which lays the reserve down again, and writes what is left to write."""
    leases = site.ws.folder.open_store().leases
    wait_until(lambda: all(leases.get(service.name) is None for service in Webservice.list(site.ws)))
    database._close_all()


def check_that_it_can_be_seen_and_used(disk: Disk) -> None:
    assert "svc" in disk.run("service", "list") and "Live" in disk.run("service", "show", "svc")
    assert "listening" in disk.run("service", "get-logs", "svc")
    assert '"answer": 1' in disk.run("service", "run", "svc", "-d", "{}")
    disk.run("model", "list")
    disk.run("service", "get-keys", "svc")


def test_a_full_disk_can_be_tidied_up(disk: Disk, site: Site) -> None:
    disk.fill()
    check_that_it_can_be_seen_and_used(disk)
    disk.run("service", "stop", "svc")
    assert "Stopped" in disk.run("service", "list")
    disk.run("service", "delete", "svc")
    assert "svc" not in disk.run("service", "list")
    disk.run("prune", "--keep-deployments", "0")
    (disk.path / "filler").unlink()
    site.script(2)
    assert live(site).run({})["answer"] == 2


def test_a_deployment_on_a_full_disk_names_the_disk(disk: Disk) -> None:
    site = Site(disk.path)
    site.script(1)
    site.ws.folder.open_store()
    disk.fill()
    os.truncate(disk.path / "filler", (disk.path / "filler").stat().st_size - 400 * 1024)  # too little for the server
    failed = disk.attempt("model", "deploy", "-n", "late", "--es", "score.py").stderr
    assert f"error: the disk of {site.ws.folder.bundles} is full" in failed and "mldeploy prune; nothing was" in failed


def test_without_the_reserve_a_service_can_be_deleted(disk: Disk, site: Site) -> None:
    site.deploy("other").wait_for_deployment(timeout_sec=240)  # has the same bundle, which frees nothing with the first
    wait_for_runners(site)
    (site.ws.folder.root / "store.db.reserve").unlink()
    disk.fill()
    disk.run("service", "list")
    disk.run("service", "get-logs", "svc")
    disk.run("service", "stop", "svc")
    disk.fill()
    disk.run("service", "delete", "svc")
    assert '"svc"' not in disk.run("service", "list", "--json")
    disk.fill()
    disk.run("service", "delete", "other")
    disk.run("prune", "--keep-deployments", "0")
    root = site.ws.folder.root
    assert [path for name in ("services", "bundles") for path in (root / name).iterdir()] == []
    store = site.ws.folder.open_store()
    assert (store.get_service("svc"), store.list_revisions("svc"), store.list_deployments()) == (None, [], [])


def test_without_the_reserve_a_model_can_be_deleted_and_a_prune_ends(disk: Disk) -> None:
    site = Site(disk.path)
    (disk.path / "m.bin").write_bytes(os.urandom(1024 * 1024))
    disk.run("model", "register", "-n", "m", "-p", "m.bin")
    database._close_all()
    (site.ws.folder.root / "store.db.reserve").unlink()
    disk.fill()
    assert "Nothing to remove" in disk.run("prune")
    disk.run("model", "delete", "m:1")
    assert "No models" in disk.run("model", "list")


def test_without_the_reserve_a_service_can_be_stopped_and_its_keys_stay(disk: Disk, site: Site) -> None:
    wait_for_runners(site)
    before, folder = disk.run("service", "get-keys", "svc"), site.ws.folder.services / "svc"
    names = sorted(os.listdir(folder))
    (site.ws.folder.root / "store.db.reserve").unlink()  # another program has taken what was released
    disk.fill()
    refused = disk.attempt("service", "regen-key", "svc", "-k", "primary")
    assert refused.returncode == 1 and "is full" in refused.stderr and "the keys are as they were" in refused.stderr
    assert disk.run("service", "get-keys", "svc") == before and sorted(os.listdir(folder)) == names
    check_that_it_can_be_seen_and_used(disk)
    disk.run("service", "stop", "svc")
    assert "Stopped" in disk.run("service", "list")


def test_a_read_only_disk_can_be_read_and_its_services_stopped(disk: Disk, site: Site) -> None:
    wait_for_runners(site)  # who closes the store last removes the files that its users share
    # What is open already stays writable, so the service need not be stopped.
    subprocess.run(["mount", "--bind", str(disk.path), str(disk.path)], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(disk.path)], check=True)
    check_that_it_can_be_seen_and_used(disk)
    disk.run("service", "stop", "svc")
    assert "Live" not in disk.run("service", "list")
    for words in (["service", "delete", "svc"], ["prune"], ["model", "register", "-n", "m", "-p", "score.py"]):
        refused = disk.attempt(*words)
        assert refused.returncode == 0 or "read-only" in refused.stderr.lower(), refused
    subprocess.run(["umount", str(disk.path)], check=True)
    assert "svc" in disk.run("service", "list")
