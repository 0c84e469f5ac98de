"""Every file of a workspace empty, cut, garbage, of wrong types, of a newer version or missing; and every bad row.

Whatever is damaged: no command ends in a traceback, a running service goes on answering and can be stopped and deleted,
and one bad row hides no other.
"""

from __future__ import annotations

import io
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import requests

from mldeploy_jupyter import Model, Webservice
from mldeploy_jupyter.commands import Context, open_workspace, run
from mldeploy_jupyter.core.errors import MldeployError
from tests.polling import wait_until

from .conftest import Site, live

# Relative to the workspace's folder; `*` for the deployment or the bundle.
SERVICE_FILES = ("supervisor.json", "live.json", "workers.json", "preload.json", "keys.json", "logs/service.log")
FILES = (
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
            if path.name == "keys.json":
                key = Webservice(site.ws, "svc").get_keys()[0] if how == "missing" else key  # it has new ones
            assert answers(), path
            assert "svc" in said["service list"] and "Live" in said["service list"], (path, said)
            if path.name != "keys.json" or how != "missing":
                path.write_bytes(before)
    for pattern in FILES:
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
    """Writes the value where JSON should be; where a NULL is refused, a text that is no JSON."""
    try:
        store.execute(f"UPDATE mldeploy_{table} SET data = {value} WHERE {where}")
    except sqlite3.IntegrityError:
        store.execute(f"UPDATE mldeploy_{table} SET data = 'null' WHERE {where}")
