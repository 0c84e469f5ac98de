"""Several processes at one workspace: no number is assigned twice, and no process waits forever."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.api.models import Model
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.store.store import Store
from mldeploy_jupyter.core.workspace.folder import list_workspaces

ROUNDS = 25

# Says it is ready, waits for a line, then works: so all of them begin at the same moment.
READY = "import sys, json\nprint('ready', flush=True)\nsys.stdin.readline()\n"

REGISTER = f"""
from mldeploy_jupyter.api.models import Model
from mldeploy_jupyter.api.workspace import Workspace
ws = Workspace.get(path=sys.argv[1])
ws.folder.open_store()
{READY}
for _ in range({ROUNDS}):
    print(json.dumps(Model.register(ws, sys.argv[2], "same", tags={{"by": sys.argv[2]}}).version))
"""

TAG = f"""
from mldeploy_jupyter.api.models import Model
from mldeploy_jupyter.api.workspace import Workspace
model = Model(Workspace.get(path=sys.argv[1]), "tagged")
{READY}
for number in range({ROUNDS}):
    model.add_tags({{f"{{sys.argv[2]}}-{{number}}": number}})
    model.remove_tags([f"{{sys.argv[2]}}-{{number - 1}}"] if number % 2 else [])
"""

LEASE = f"""
from mldeploy_jupyter.core.errors import DeploymentInProgress
from mldeploy_jupyter.core.store.store import Store
store = Store(sys.argv[1])
{READY}
for number in range({ROUNDS}):
    try:
        store.leases.acquire(f"service-{{number}}", sys.argv[2], 600, {{}})
        print(json.dumps(number))
    except DeploymentInProgress as error:
        assert error.deployment_id != sys.argv[2]
"""

FIRST = f"""
from mldeploy_jupyter.core.workspace.folder import ensure_workspace
{READY}
folder = ensure_workspace(sys.argv[1], announce=lambda line: None)
folder.open_store().add_environment("e", {{}})
print(json.dumps([folder.config.id]))
"""


def run_at_once(script: str, *arguments: tuple[str, ...]) -> list[list[Any]]:
    """Runs the script once for each tuple of arguments, all at the same time: the JSON lines of each."""
    command = [sys.executable, "-W", "error", "-c", "import sys, json\n" + script]
    children = [
        subprocess.Popen([*command, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for args in arguments
    ]
    try:
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        outputs = [child.communicate(timeout=120)[0] for child in children]
        assert [child.returncode for child in children] == [0] * len(children)
    finally:
        for child in children:
            child.kill()
            child.communicate()
    return [
        [json.loads(line) for line in output.splitlines() if not line.startswith(("Registering", "Created"))]
        for output in outputs
    ]


def test_two_processes_that_register_one_name_get_different_versions(store_url: str, tmp_path: Path) -> None:
    ws = Workspace.create(path=tmp_path, store=store_url)
    for name in ("a.pkl", "b.pkl"):
        (tmp_path / name).write_bytes(name.encode())
    place = str(tmp_path)
    first, second = run_at_once(REGISTER, (place, f"{place}/a.pkl"), (place, f"{place}/b.pkl"))
    assert sorted(first + second) == list(range(1, 2 * ROUNDS + 1))
    for version in first:
        model = Model(ws, "same", version=version)
        assert model.tags == {"by": f"{place}/a.pkl"} and model.files == ["a.pkl"]
    ws.folder.open_store().close()


def test_tags_of_two_processes_are_all_kept(store_url: str, tmp_path: Path) -> None:
    ws = Workspace.create(path=tmp_path, store=store_url)
    (tmp_path / "m.pkl").write_bytes(b"")
    Model.register(ws, tmp_path / "m.pkl", "tagged")
    run_at_once(TAG, (str(tmp_path), "a"), (str(tmp_path), "b"))
    # Each removed its even tags up to the last odd one.
    kept = {number for number in range(ROUNDS) if number % 2 or number == ROUNDS - 1}
    assert Model(ws, "tagged").tags == {f"{who}-{number}": number for who in "ab" for number in kept}
    ws.folder.open_store().close()


def test_one_of_several_processes_gets_a_lease(store_url: str) -> None:
    got = run_at_once(LEASE, *((store_url, f"d{number}") for number in range(3)))
    assert sorted(number for numbers in got for number in numbers) == list(range(ROUNDS))
    store = Store(store_url)
    for holder, numbers in enumerate(got):
        for number in numbers:
            assert store.leases.get(f"service-{number}").holder == f"d{holder}"  # type: ignore[union-attr]
    store.close()


@pytest.mark.parametrize("attempt", range(3))
def test_processes_that_create_a_workspace_at_once_create_one(tmp_path: Path, attempt: int) -> None:
    ids = run_at_once(FIRST, *((str(tmp_path),) for _ in range(3)))
    assert ids[0] == ids[1] == ids[2]
    folder = next(folder for folder in list_workspaces() if folder.root.parent == tmp_path)
    assert [folder.config.id] == ids[0][0]
    assert [entry["version"] for entry in folder.open_store().list_environments()] == [3, 2, 1]
