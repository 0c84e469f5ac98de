"""A workspace with a small entry script, and a check at the end that no process of its services is left."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from mldeploy_jupyter import InferenceConfig, LocalWebservice, Model, Webservice, Workspace
from mldeploy_jupyter.deployment import query_status
from tests.engines.postgres import postgres, postgres_url  # noqa: F401
from tests.polling import wait_until
from tests.processes import list_processes_below

SCRIPT = """
import json

def init():
    print("init of {answer}")

def run(data):
    return {{"answer": {answer}, "sent": json.loads(data)}}
"""

SLOW = "import time\n\ndef init():\n    time.sleep(600)\n\ndef run(data):\n    return 1\n"

GATED = """
import os, time

def init():
    while not os.path.exists({gate!r}):
        time.sleep(0.02)
    {then}

def run(data):
    return {{"answer": 2}}
"""

BROKEN = "def init():\n    raise ValueError('no such thing')\n\ndef run(data):\n    return 1\n"


def ready(service: Webservice) -> bool:
    """Whether a worker answers requests now."""
    try:
        return requests.get(service.scoring_uri.replace("/score", "/ready"), timeout=60).status_code == 200
    except requests.ConnectionError:
        return False


class Site:
    """A workspace in an empty folder, and short ways to deploy into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ws = Workspace.create(path=str(folder), exist_ok=True)

    def write(self, text: str, name: str = "score.py") -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def script(self, answer: object) -> None:
        self.write(SCRIPT.format(answer=answer))

    def deploy(
        self, name: str = "svc", *, models: list[Model] | None = None, overwrite: bool = True, **config: object
    ) -> Webservice:
        return Model.deploy(
            self.ws,
            name,
            models or [],
            InferenceConfig(entry_script=str(self.folder / "score.py")),
            LocalWebservice.deploy_configuration(**config),
            overwrite=overwrite,
        )

    def processes(self) -> list[str]:
        """Every process whose command line or working folder belongs to this workspace."""
        return list_processes_below(self.folder)


def live(site: Site, **config: object) -> Webservice:
    service = site.deploy(**config)
    service.wait_for_deployment(timeout_sec=240)
    return service


def update(site: Site, service: Webservice, **options: bool) -> None:
    service.update(inference_config=InferenceConfig(entry_script=str(site.folder / "score.py")), **options)


def gated(site: Site, then: str = "pass") -> Path:
    """Writes a script whose `init()` waits until the file that is returned exists, and then continues with `then`."""
    gate = site.folder / "gate"
    site.write(GATED.format(gate=str(gate), then=then))
    return gate


def wait_until_loading(site: Site, name: str = "svc") -> None:
    """Waits until the supervisor loads the service's new revision: its journal has "rollout" before that."""
    store = site.ws.folder.open_store()

    def is_loading() -> bool:
        record = store.get_service(name)
        assert record is not None
        last = query_status(site.ws.folder, record).details.get("last_deploy") or {}
        return (last.get("deployment_id"), last.get("outcome")) == (record.deployment_id, "running")

    wait_until(is_loading, what="the supervisor to be asked")


def ask(service: Webservice) -> object:
    key = {"Authorization": f"Bearer {service.get_keys()[0]}"}
    return requests.post(service.scoring_uri, json=1, headers=key, timeout=60).json()["answer"]


def supervisor_pid(site: Site) -> int:
    return int(query_status(site.ws.folder, site.ws.folder.open_store().get_service("svc")).endpoint.details["pid"])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    site.script(1)
    yield site
    for service in Webservice.list(site.ws):
        service.delete()
    wait_until(lambda: site.processes() == [], what=lambda: f"processes are left: {site.processes()}")


@pytest.fixture
def memory_cgroup() -> Iterator[Path]:
    """A memory cgroup of 200 MB that this process may fill with others (root, cgroup v1 or v2)."""
    for root in (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")):
        group = root / f"mldeploy-test-{os.getpid()}"
        limit = "memory.limit_in_bytes" if root.name == "memory" else "memory.max"
        try:
            group.mkdir()
            (group / limit).write_text(str(200 * 1024 * 1024))
        except OSError:
            if group.exists():
                group.rmdir()
            continue
        break
    else:
        pytest.skip("no memory cgroup can be made here: run the tests as root on a machine with cgroups")
    yield group
    subprocess.run(["rmdir", str(group)], check=False)
