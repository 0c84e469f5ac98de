"""Every kind of file and row that a workspace and a user have, and the ways in which each can be damaged."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

WORKSPACE, USER = ".mldeploy", "user"  # below the folder of a life; `user` has the user's data and cache

# Kinds of files as patterns of their paths, whose `*` is one name and whose last `**` is anything below. A test fails
# when a life leaves a file that is not here. Of services, all but `other` are damaged; it shows what hides others.
FILES = (
    ".mldeploy/.gitignore",
    ".mldeploy/artifacts/.lock",
    ".mldeploy/artifacts/blobs/*/*",
    ".mldeploy/artifacts/files/journals/*.jsonl",
    ".mldeploy/artifacts/verified/*",
    ".mldeploy/bundles/*/app/**",
    ".mldeploy/bundles/*/bundle.json",
    ".mldeploy/bundles/*/environment.lock",
    ".mldeploy/bundles/*/server/mldeploy_serving/**",
    ".mldeploy/cache/models/*/*/**",
    ".mldeploy/cells/*.json",
    ".mldeploy/cells/.lock",
    ".mldeploy/config.json",
    ".mldeploy/deployments/*/ahead.json",
    ".mldeploy/deployments/*/cancel",
    ".mldeploy/deployments/*/events.jsonl",
    ".mldeploy/deployments/*/request.json",
    ".mldeploy/deployments/*/runner.log",
    ".mldeploy/deployments/*/source.json",
    ".mldeploy/deployments/*/source/**",
    ".mldeploy/runs/*/metrics.jsonl",
    ".mldeploy/runs/*/out/**",
    ".mldeploy/runs/*/properties.json",
    ".mldeploy/runs/*/run.json",
    ".mldeploy/services/*/.keys.json.lock",
    ".mldeploy/services/*/.live.json.next",
    ".mldeploy/services/*/control.sock",
    ".mldeploy/services/*/failure.json",
    ".mldeploy/services/*/keys.json",
    ".mldeploy/services/*/keys.json.unconfirmed",
    ".mldeploy/services/*/live.json",
    ".mldeploy/services/*/lock",
    ".mldeploy/services/*/logs/service.log",
    ".mldeploy/services/*/logs/supervisor.log",
    ".mldeploy/services/*/preload.json",
    ".mldeploy/services/*/revisions/*/app/**",
    ".mldeploy/services/*/supervisor.json",
    ".mldeploy/services/*/workers.json",
    ".mldeploy/store.db",
    ".mldeploy/store.db-shm",
    ".mldeploy/store.db-wal",
    ".mldeploy/store.db.reserve",
    "user/cache/environments/*/bin/python",
    "user/cache/environments/*/mldeploy-environment.json",
    "user/cache/environments/*/mldeploy.lock",
    "user/cache/environments/*/pyvenv.cfg",
    "user/cache/held/*",
    "user/cache/locks/*.json",
    "user/data/workspaces.json",
    "user/data/workspaces.lock",
)

# What uv and Python put into an environment; of it only what we rely on is damaged.
OTHERS = ("user/cache/environments/*/**",)

# Files on their way: beside their final name, renamed a moment later, removed by a prune when a kill left them.
PASSING = ("*.tmp", ".*.json.[0-9]*.[0-9]*", ".building-*", "store.db-journal")

FOLDERS = (
    ".mldeploy/artifacts",
    ".mldeploy/artifacts/blobs",
    ".mldeploy/artifacts/files",
    ".mldeploy/artifacts/files/journals",
    ".mldeploy/artifacts/tmp",
    ".mldeploy/artifacts/verified",
    ".mldeploy/bundles",
    ".mldeploy/bundles/*",
    ".mldeploy/cache",
    ".mldeploy/cache/models",
    ".mldeploy/cells",
    ".mldeploy/deployments",
    ".mldeploy/deployments/*",
    ".mldeploy/runs",
    ".mldeploy/runs/*",
    ".mldeploy/services",
    ".mldeploy/services/*",
    ".mldeploy/services/*/logs",
    ".mldeploy/services/*/revisions",
    ".mldeploy/services/*/revisions/*",
    "user/cache",
    "user/cache/environments",
    "user/cache/environments/*",
    "user/cache/held",
    "user/cache/locks",
    "user/data",
)

# Without these nothing can be done but to name them: settings and store say what else there is.
ESSENTIAL = (".mldeploy/config.json", ".mldeploy/store.db", ".mldeploy/store.db-wal", ".mldeploy/store.db-shm")


def unknown_files(folder: Path) -> list[str]:
    """The files below a life that no kind describes."""
    names = [name for name in walk(folder) if name.split("/")[0] in (WORKSPACE, USER)]
    return sorted(
        name
        for name in names
        if not any(_matches(name, kind) for kind in (*FILES, *OTHERS))
        and not any(fnmatchcase(part, passing) for part in name.split("/") for passing in PASSING)
    )


def walk(folder: Path) -> Iterator[str]:
    """The relative path of every entry below `folder` that is not a folder."""
    for place, _, files in os.walk(folder):
        yield from (os.path.relpath(os.path.join(place, file), folder) for file in files)


def find(folder: Path, kind: str) -> list[Path]:
    """What there is of a kind, without what belongs to the service `other` alone."""
    pattern = f"{kind[:-2]}*" if kind.endswith("/**") else kind
    found = sorted(path for path in folder.glob(pattern) if path.is_symlink() or path.exists())
    if kind.endswith("/**"):  # a few that matter: whole folders would take long
        found = sorted(path for top in found for path in ([top] if top.is_file() else top.rglob("*")) if path.is_file())
        found = [path for path in found if path.name in ("score.py", "m.txt", "big.bin", "__init__.py")]
    if not found and "/**" not in kind:  # of a moment that the life's end is not: where it would be
        place, _, name = kind.rpartition("/")
        found = [] if "*" in name else sorted(path / name for path in folder.glob(place) if path.is_dir())
    return [path for path in found if "/services/other" not in str(path)]


def _matches(name: str, kind: str) -> bool:
    if kind.endswith("/**"):
        depth = kind.count("/")
        return name.count("/") >= depth and _matches("/".join(name.split("/")[:depth]), kind[:-3])
    parts, wanted = name.split("/"), kind.split("/")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _other_types(value: Any) -> Any:
    if isinstance(value, dict):
        return [*value]
    if isinstance(value, list):
        return {"0": value[0] if value else None}
    return {str: 7, int: "text", bool: "yes", float: "text"}.get(type(value), {"new": 1})


def _change_json(content: bytes, change: Callable[[dict[str, Any]], Any]) -> bytes:
    """The file with `change` applied to its object, or to that of each line; other files are JSON of no use."""
    try:
        return json.dumps(change(dict(json.loads(content)))).encode()
    except (ValueError, TypeError):
        pass
    lines = []
    for line in content.splitlines():
        try:
            lines.append(json.dumps(change(dict(json.loads(line)))).encode())
        except (ValueError, TypeError):
            lines.append(b'{"pid": [], "a": {}}')
    return b"\n".join([*lines, b""])


def _nested(data: Any, depth: int = 2) -> Any:
    """The object with every innermost value of another type: what `_other_types` of the top level never reaches."""
    if isinstance(data, dict) and data and depth:
        return {key: _nested(value, depth - 1) for key, value in data.items()}
    return _other_types(data)


REWRITES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut": lambda content: content[: len(content) // 2],
    "garbage": lambda content: bytes(range(256)),
    "list": lambda content: b"[1, 2]",
    "other types": lambda content: _change_json(content, lambda d: {key: _other_types(d[key]) for key in d}),
    "nested types": lambda content: _change_json(content, _nested),
    "null": lambda content: _change_json(content, lambda d: dict.fromkeys(d)),
    "newer": lambda content: _change_json(content, lambda d: {**d, "format": 99, "version": 99, "new": {"a": 1}}),
    "older": lambda content: _change_json(content, lambda d: dict(list(d.items())[:1])),
    "deep": lambda content: b"[" * 100_000,
    "huge number": lambda content: _change_json(
        content, lambda d: {key: 10**30 if isinstance(d[key], int) else d[key] for key in d}
    ),
}

FILE_DAMAGE = (*REWRITES, "missing", "folder", "unreadable")

FOLDER_DAMAGE = ("missing", "file", "unreadable")


def damage(path: Path, how: str) -> None:
    """Damages what is at `path`; nothing is there afterwards where nothing was, or where it was of another kind."""
    if how in REWRITES:
        if path.is_file():
            content = path.read_bytes()
            path.chmod(0o600)
            path.write_bytes(REWRITES[how](content))
        elif not path.is_dir():
            path.unlink(missing_ok=True)
            path.write_bytes(REWRITES[how](b"{}"))
    elif how == "unreadable":
        if path.exists() and not path.is_symlink():
            path.chmod(0)
    else:
        remove(path)
        if how == "folder":
            path.mkdir()
            (path / "in the way").touch()
        elif how == "file":
            path.write_text("in the way")


def remove(path: Path) -> None:
    """Removes a file or a folder, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# Table -> its columns that are damaged, and the condition that leaves one row for comparison.
ROWS = {
    "models": (("name", "version", "digest", "created_time", "deleted", "data", "details"), "name != 'tree'"),
    "services": (("name", "created_time", "data"), "name != 'other'"),
    "revisions": (("service", "number", "bundle_digest", "outcome", "data"), "service != 'other'"),
    "deployments": (("id", "service", "state", "created_time", "data"), "service != 'other'"),
    "leases": (("service", "holder", "expires", "runner"), "service != 'other'"),
    "environments": (("name", "version", "created_time", "data"), "1"),
    "meta": (("value",), "1"),
}

VALUES: dict[str, Any] = {
    "NULL": None,
    "empty": "",
    "garbage": "\x1b[31mgarbage\ufffd",
    "bytes": b"\xff\xfe\x00",
    "number": 7,
    "negative": -1,
    "huge": 2**62,
    "list": "[1]",
    "newer": "Hibernating",  # a word of a newer version, or a reference to what is not there
    "null": "null",
    "no keys": "{}",
    "other types": _other_types,
    "nested types": _nested,
    "dangling": lambda data: {
        **data,
        **{key: "nothing" for key in ("deployment_id", "bundle_digest", "target", "folder") if key in data},
        **{key: 99 for key in ("revision", "rolled_back_to") if key in data},
        **{key: ["nothing:9"] for key in ("models",) if key in data},
        **{key: {"f": ["0" * 64, 1]} for key in ("files",) if key in data},
    },
    "newer words": lambda data: {**data, "state": "Hibernating", "operation": "split", "outcome": "halved", "new": {}},
}


def damage_row(store: Path, table: str, column: str, value: Any) -> None:
    """Gives the column of every row but that of `other` the value, as far as the table takes it."""
    with closing(sqlite3.connect(store)) as connection:
        where = ROWS[table][1]
        query = f"SELECT rowid, {column} FROM mldeploy_{table} WHERE {where}"
        for rowid, old in connection.execute(query).fetchall():
            new = value
            if callable(value):
                try:
                    data = json.loads(old)
                except (ValueError, TypeError):
                    continue
                new = json.dumps(value(data) if isinstance(data, dict) else {})
            try:
                connection.execute(f"UPDATE mldeploy_{table} SET {column} = ? WHERE rowid = ?", (new, rowid))
            except sqlite3.IntegrityError:  # it is a key or must not be NULL
                continue
        connection.commit()
