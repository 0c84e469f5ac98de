"""Every file of a workspace empty, cut, garbage, of wrong types, of a newer version or missing; and every bad row.

Whatever is damaged: no command ends in a traceback, a running service keeps answering and can be stopped and deleted,
and one bad row hides no other.
"""

from __future__ import annotations

import io
import json
import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import requests

from mldeploy_jupyter import Model, Webservice
from mldeploy_jupyter.commands import Context, open_workspace, run
from mldeploy_jupyter.core.errors import MldeployError
from tests.polling import wait_until

from .conftest import Site, live, update

# Relative to the workspace's folder; `*` for the deployment or the bundle.
SERVICE_FILES = ("supervisor.json", "live.json", "workers.json", "preload.json", "keys.json", "logs/service.log")
FILES = (
    "config.json",
    *(f"services/svc/{name}" for name in SERVICE_FILES),
    "deployments/*/events.jsonl",
    "deployments/*/request.json",
    "deployments/*/ahead.json",
    "bundles/*/bundle.json",
)

DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    "empty": lambda content: b"",
    "cut": lambda content: content[: len(content) // 2],
    "garbage": lambda content: os.urandom(200),
    "list": lambda content: b"[1, 2]",
    "wrong types": lambda content: json.dumps({key: [None] for key in _keys(content)}).encode(),
    "other types": lambda content: json.dumps(dict.fromkeys(_keys(content), "text")).encode(),
    "newer": lambda content: json.dumps({**{key: {"new": 1} for key in _keys(content)}, "format": 99}).encode(),
    "missing": lambda content: None,
}

# Commands that look or call, in the order in which a user would try them.
LOOKS = (
    ["service", "list"],
    ["service", "show", "svc"],
    ["service", "get-logs", "svc"],
    ["service", "get-keys", "svc"],
    ["service", "wait", "svc"],
    ["model", "list"],
    ["prune", "--dry-run"],
)


def _keys(content: bytes) -> list[str]:
    try:
        data = json.loads(content.splitlines()[0] if content.count(b"\n{") else content)
    except (ValueError, IndexError):
        return ["pid", "port"]
    return list(data) if isinstance(data, dict) else ["pid"]


def attempt(words: list[str]) -> str:
    """What the command answers: its text, or the text of an error with a hint. A defect raises."""
    context = Context(open_workspace, out=io.StringIO(), err=io.StringIO())
    try:
        return run(words, context=context).text
    except MldeployError as error:
        assert error.hint, error
        return str(error)


def damage(path: Path, how: str) -> None:
    content = DAMAGE[how](path.read_bytes())
    if content is None:
        path.unlink()
    else:
        path.chmod(0o600)
        path.write_bytes(content)


@pytest.mark.parametrize("how", DAMAGE)
def test_a_running_service_survives_any_damaged_file(site: Site, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.chdir(site.folder)
    service = live(site)
    uri, key = service.scoring_uri, service.get_keys()[0]

    def answers() -> bool:
        return requests.post(uri, json=1, headers={"Authorization": f"Bearer {key}"}, timeout=20).status_code == 200

    for pattern in FILES:
        for path in sorted(site.ws.folder.root.glob(pattern)):
            before = path.read_bytes()
            damage(path, how)
            said = {" ".join(words): attempt(words) for words in LOOKS}
            if path.name == "config.json":  # the error names it, and nothing is lost when it is right again
                assert answers() and "config.json" in said["service list"], said
                path.write_bytes(before)
                continue
            if path.name == "keys.json":
                key = Webservice(site.ws, "svc").get_keys()[0] if how == "missing" else key  # it has new ones
            assert answers(), path
            assert "svc" in said["service list"] and "Live" in said["service list"], (path, said)
            if path.name != "keys.json" or how != "missing":
                path.write_bytes(before)
    for pattern in FILES[1:]:
        for path in sorted(site.ws.folder.root.glob(pattern)):
            damage(path, how)
    key = Webservice(site.ws, "svc").get_keys()[0] if how == "missing" else key
    assert answers()
    assert attempt(["service", "stop", "svc"]).startswith("Stopped")
    wait_until(lambda: site.processes() == [], what=lambda: str(site.processes()))
    attempt(["service", "start", "svc"])
    assert attempt(["service", "delete", "svc"]) == "Deleted svc"
    wait_until(lambda: site.processes() == [], what=lambda: str(site.processes()))
    attempt(["prune"])
    site.script(2)
    assert live(site).run({})["answer"] == 2


@pytest.mark.parametrize("how", ["empty", "missing", "backup"])
def test_a_lost_or_older_store_finds_what_runs(site: Site, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.chdir(site.folder)
    model = Model.register(site.ws, site.write("1", "m.txt"), "m")
    service = live(site, models=[model])
    (site.ws.folder.root / "backup").mkdir()
    _replace_store(site, "copy")
    update(site, service)  # revision 2
    service.wait_for_deployment()
    revision = service.revision
    uri = service.scoring_uri

    def lose() -> None:
        _replace_store(site, how)
        assert requests.get(uri.replace("/score", "/"), timeout=20).status_code == 200

    lose()
    said = attempt(["service", "list"])
    assert "svc" in said and "Live" in said
    assert Webservice(site.ws, "svc").revision == revision and Model(site.ws, "m").version == 1
    lose()
    attempt(["prune", "--keep-deployments", "0"])  # removes nothing that runs
    assert "answer" in attempt(["service", "run", "svc", "-d", "1"])
    lose()
    site.script(2)
    update(site, service)
    service.wait_for_deployment()
    assert service.run({})["answer"] == 2
    lose()
    assert attempt(["service", "stop", "svc"]).startswith("Stopped")
    lose_stopped = how if how != "backup" else "missing"
    _replace_store(site, lose_stopped)
    assert "Stopped" in attempt(["service", "list"])
    _replace_store(site, lose_stopped)
    assert attempt(["service", "start", "svc"]) == "Started svc"
    assert service.run({})["answer"] == 2
    lose()
    assert attempt(["service", "delete", "svc"]) == "Deleted svc"
    attempt(["prune", "--keep-deployments", "0"])
    assert attempt(["service", "list"]).startswith("No services") and list(site.ws.folder.services.iterdir()) == []


def _replace_store(site: Site, how: str) -> None:
    """Copies the store to `backup/`, puts that copy back, empties the store or removes it."""
    site.ws.folder.open_store().close()
    root = site.ws.folder.root
    if how == "copy":
        with closing(sqlite3.connect(root / "store.db")) as source, closing(sqlite3.connect(root / "backup/b")) as to:
            source.backup(to)
        return
    for path in root.glob("store.db*"):
        path.unlink()
    if how == "empty":
        (root / "store.db").touch()
    elif how == "backup":
        (root / "store.db").write_bytes((root / "backup" / "b").read_bytes())


@pytest.mark.parametrize("files", [("supervisor.json",), ("supervisor.json", "control.sock"), ("control.sock",)])
@pytest.mark.parametrize("name", ["short", "l" * 100])
def test_a_supervisor_is_found_without_its_files(
    monkeypatch: pytest.MonkeyPatch, files: tuple[str, ...], name: str
) -> None:
    with tempfile.TemporaryDirectory(prefix="mldeploy-") as place:
        # Where the path is long, the socket is in the folder for temporary files.
        folder = Path(place, name)
        folder.mkdir()
        _check_found_without(
            folder, monkeypatch, files, "Unhealthy" if "control.sock" in files and name == "short" else "Live"
        )


def _check_found_without(folder: Path, monkeypatch: pytest.MonkeyPatch, files: tuple[str, ...], expected: str) -> None:
    site = Site(folder)
    site.script(1)
    monkeypatch.chdir(folder)
    live(site)
    for file in files:
        (site.ws.folder.services / "svc" / file).unlink(missing_ok=True)
    assert expected in attempt(["service", "list"])
    assert attempt(["service", "stop", "svc"]).startswith("Stopped")
    wait_until(lambda: site.processes() == [], what=lambda: str(site.processes()))
    assert attempt(["service", "delete", "svc"]) == "Deleted svc"


ROWS = ("NULL", "''", "'garbage'", "'[1]'", '\'{"state": 5, "revision": "x", "endpoint": [], "files": 1}\'')


@pytest.mark.parametrize("value", ROWS)
def test_a_bad_row_hides_no_other(site: Site, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.chdir(site.folder)
    for name in ("good", "bad"):
        Model.register(site.ws, site.write(name, f"{name}.txt"), name)
    live(site)
    with closing(sqlite3.connect(site.ws.folder.root / "store.db")) as store:
        for table in ("services", "revisions", "deployments"):
            store.execute("PRAGMA ignore_check_constraints=1")
            _set_data(store, table, "1", value)
        _set_data(store, "models", "name = 'bad'", value)
        store.commit()
    assert "good" in attempt(["model", "list"]) and "bad" in attempt(["model", "list"])
    for words in LOOKS:
        attempt(words)
    assert "svc" in attempt(["service", "list"])
    with pytest.raises(MldeployError, match="bad:1 in the workspace's store is damaged"):
        Model(site.ws, "bad").download(str(site.folder / "out"))
    assert "Deleted" in attempt(["model", "delete", "bad:1"])
    assert attempt(["service", "stop", "svc"]).startswith("Stopped")
    assert attempt(["service", "delete", "svc"]) == "Deleted svc"
    attempt(["prune", "--keep-deployments", "0"])
    assert Webservice.list(site.ws) == []


def _set_data(store: sqlite3.Connection, table: str, where: str, value: str) -> None:
    """Writes the value where JSON should be; where a NULL is refused, a text that is not JSON."""
    try:
        store.execute(f"UPDATE mldeploy_{table} SET data = {value} WHERE {where}")
    except sqlite3.IntegrityError:
        store.execute(f"UPDATE mldeploy_{table} SET data = 'null' WHERE {where}")
