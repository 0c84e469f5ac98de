"""What a script writes below its model or working folder stays with its revision, also as root."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mldeploy_jupyter import Model
from tests.integration.deployment.conftest import Site
from tests.polling import wait_until

COUNTING = """
import os
import sqlite3

def init():
    global base
    base = sqlite3.connect(os.path.join(os.environ["AZUREML_MODEL_DIR"], "facts.db"), check_same_thread=False)

def run(data):
    base.execute("insert into facts values (1)")
    base.commit()
    with open("seen.txt", "a") as file:
        file.write("x")
    return [base.execute("select count(*) from facts").fetchone()[0], os.path.getsize("seen.txt")]
"""

# Destroys everything that it can reach: its model, its own source, its folders.
DESTROYING = """
import os, mmap, shutil

def init():
    folder = os.environ["AZUREML_MODEL_DIR"]
    path = os.path.join(folder, "facts.db")
    os.chmod(path, 0o777)
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[:6] = b"spoilt"
    os.truncate(path, 10)
    os.rename(path, path + ".old")
    with open(__file__, "a") as file:
        file.write("raise SystemExit")
    for name in os.listdir(".."):
        shutil.rmtree(os.path.join("..", name))

def run(data):
    return "done"
"""


@pytest.fixture
def model(site: Site) -> Model:
    with sqlite3.connect(site.folder / "facts.db") as base:
        base.execute("create table facts(a)")
    base.close()
    return Model.register(site.ws, str(site.folder / "facts.db"), "facts")


def folders(site: Site) -> list[str]:
    return sorted(path.name for path in (site.ws.folder.services / "svc/revisions").iterdir())


def test_each_service_and_revision_begins_with_the_registered_bytes(site: Site, model: Model) -> None:
    site.write(COUNTING)
    first = site.deploy(models=[model])
    assert [first.run("") for _ in range(2)] == [[1, 1], [2, 2]]
    second = site.deploy("other", models=[model])
    assert second.run("") == [1, 1]

    first.restart()  # the same revision: its files stay
    assert first.run("") == [3, 3]
    first.stop()
    first.start()
    assert first.run("") == [4, 4]

    first.reload(wait=True)
    assert first.run("") == [1, 1]
    first.rollback(wait=True)
    assert first.run("") == [1, 1]
    first.update(models=[model], wait=True)  # keeps the script, but not what it wrote
    assert first.run("") == [1, 1]
    assert second.run("") == [2, 2]
    wait_until(lambda: folders(site) == ["4"], what=lambda: f"only the live revision's folder: {folders(site)}")


def test_a_script_that_destroys_its_folders_destroys_its_own_only(site: Site, model: Model) -> None:
    site.write(DESTROYING)
    assert site.deploy(models=[model]).run("") == "done"
    registered = Path(model.download(str(site.folder / "out")))
    assert registered.read_bytes() == (site.folder / "facts.db").read_bytes()
    assert site.deploy("other", models=[model]).run("") == "done"
    site.write(COUNTING)
    assert site.deploy("third", models=[model]).run("") == [1, 1]


def test_an_update_of_a_stopped_service_leaves_one_copy(site: Site, model: Model) -> None:
    site.write(COUNTING)
    service = site.deploy(models=[model])
    assert service.run("") == [1, 1]
    service.stop()
    service.update(models=[model], wait=True)
    assert service.run("") == [1, 1]
    wait_until(lambda: folders(site) == ["2"], what=lambda: f"only the live revision's folder: {folders(site)}")


def test_a_failed_deployment_leaves_no_copy(site: Site, model: Model) -> None:
    site.write("def init(): raise ValueError('no')\ndef run(data): return 1\n")
    service = site.deploy(models=[model])
    wait_until(lambda: service.state == "Failed")
    wait_until(lambda: folders(site) == [], what=lambda: f"no folder is left: {folders(site)}")
