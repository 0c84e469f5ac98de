"""Every kind of file and row, damaged in every way, under every command.

Whatever is damaged: no command ends in a traceback or takes long, the other services stay in the list, an error names
the file and the next command, and a look, deletes and a prune leave no process, socket or file.

In CI those that once found a fault; all with MLDEPLOY_DAMAGE_EVERY=1 (any number N: every Nth), which takes hours.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from . import inventory
from .attempts import can_drop_rights
from .world import World, living, try_damage

EVERY = int(os.environ.get("MLDEPLOY_DAMAGE_EVERY", "0"))

W = ".mldeploy"

LOOKED_AT = (
    (f"{W}/artifacts/.lock", "folder"),
    (f"{W}/artifacts/files/journals", "file"),
    (f"{W}/bundles", "file"),
    (f"{W}/bundles/*/bundle.json", "nested types"),
    (f"{W}/config.json", "cut"),
    (f"{W}/deployments/*/events.jsonl", "nested types"),
    (f"{W}/deployments/*/events.jsonl", "folder"),
    (f"{W}/deployments/*/events.jsonl", "deep"),
    (f"{W}/services", "unreadable"),
    (f"{W}/services/*", "file"),
    (f"{W}/store.db", "garbage"),
    ("user/data/workspaces.json", "garbage"),
)

CHANGED = ((f"{W}/services", "file"), (f"{W}/services/*/revisions", "missing"))

ROWS = (
    ("deployments", "data", "dangling"),
    ("models", "version", "garbage"),
    ("revisions", "data", "nested types"),
    ("services", "data", "dangling"),
    ("services", "name", "bytes"),
)


def choose(chosen: tuple[tuple[str, ...], ...], every: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return every[random.randrange(EVERY) :: EVERY] if EVERY else list(chosen)


EVERY_FILE: list[tuple[str, ...]] = [
    *((kind, how) for kind in inventory.FILES for how in inventory.FILE_DAMAGE),
    *((kind, how) for kind in inventory.FOLDERS for how in inventory.FOLDER_DAMAGE),
]

EVERY_ROW: list[tuple[str, ...]] = [
    (table, column, name)
    for table, (columns, _) in inventory.ROWS.items()
    for column in columns
    for name, value in inventory.VALUES.items()
    if not callable(value) or column in ("data", "details", "runner")
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with living(tmp_path_factory.mktemp("life")) as world:
        yield world


def test_a_life_leaves_no_file_that_the_table_does_not_know(world: World) -> None:
    assert world.unknown == set()
    gone = [kind for kind in inventory.FILES if not world.find(kind)]
    assert set(gone) <= {f"{W}/store.db-shm", f"{W}/store.db-wal"}, "kinds that a life does not leave"


def files_damage(world: World, kind: str, how: str) -> Callable[[], None]:
    def damage() -> None:
        for path in world.find(kind):
            inventory.damage(path, how)

    return damage


def try_file(world: World, kind: str, how: str, *, changes: bool, tmp_path: Path) -> None:
    if how == "unreadable" and not can_drop_rights(tmp_path):
        pytest.skip("this process may read every file, and cannot give that up")
    trial = try_damage(
        world,
        f"{kind} {how}",
        files_damage(world, kind, how),
        starts=changes,
        changes=changes,
        essential=kind in inventory.ESSENTIAL,
        as_user=how == "unreadable",
    )
    assert trial.problems == [], "\n".join(trial.problems)
    if kind in inventory.ESSENTIAL and how in ("cut", "garbage"):
        name = kind.rpartition("/")[2]
        assert name in trial.refusals["service list"] and "hint: " in trial.refusals["service list"]


@pytest.mark.parametrize(("kind", "how"), choose(LOOKED_AT, EVERY_FILE))
def test_a_damaged_file_is_seen_and_got_rid_of(world: World, tmp_path: Path, kind: str, how: str) -> None:
    try_file(world, kind, how, changes=False, tmp_path=tmp_path)


@pytest.mark.parametrize(("kind", "how"), choose(CHANGED, EVERY_FILE))
def test_a_running_service_over_damaged_files_can_be_changed(world: World, tmp_path: Path, kind: str, how: str) -> None:
    try_file(world, kind, how, changes=True, tmp_path=tmp_path)


@pytest.mark.parametrize(("table", "column", "value"), choose(ROWS, EVERY_ROW))
def test_a_damaged_row_is_seen_and_got_rid_of(world: World, table: str, column: str, value: str) -> None:
    damage = partial(inventory.damage_row, world.root / "store.db", table, column, inventory.VALUES[value])
    trial = try_damage(
        world, f"{table}.{column} {value}", damage, starts=False, changes=bool(EVERY), essential=table == "meta"
    )
    assert trial.problems == [], "\n".join(trial.problems)
