"""A life that is lived once and put back before every trial: damage it, try every command, and leave nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mldeploy_jupyter import Model, Webservice, Workspace
from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.core.store import database
from mldeploy_jupyter.deployment.prune import prune_workspace
from tests.polling import wait_until
from tests.processes import list_processes_below

from . import inventory
from .attempts import CHANGES, LOOKS, Attempt, Refused, carry_out, command
from .life import live_a_life

Damage = Callable[[], object]


class World:
    """The folder of a life, which is the current directory, and a copy of it as it was at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._kept = folder / "world", folder / "kept"
        self.folder.mkdir()
        self.unknown: set[str] = set()

    def live(self) -> None:
        live_a_life(self.folder, lambda: self.unknown.update(inventory.unknown_files(self.folder)))
        database._close_all()  # merges the log into the store
        self.folder.rename(self._kept)
        self.restore()

    @property
    def root(self) -> Path:
        return self.folder / inventory.WORKSPACE

    def restore(self) -> None:
        """Puts everything back as it was. Nothing may run."""
        database._close_all()
        if self.folder.exists():
            subprocess.run(["chmod", "-R", "u+rwX", str(self.folder)], check=False)
            shutil.rmtree(self.folder)
        subprocess.run(["cp", "-a", "--reflink=auto", str(self._kept), str(self.folder)], check=True)
        os.chdir(self.folder)

    def find(self, kind: str) -> list[Path]:
        return inventory.find(self.folder, kind)


class Trial:
    """Tries commands over one damage, and notes what is wrong."""

    def __init__(self, world: World, title: str, *, essential: bool = False, as_user: bool = False) -> None:
        self.world, self.title = world, title
        self.essential, self.as_user = essential, as_user
        self.problems: list[str] = []
        self.refusals: dict[str, str] = {}
        self.slowest = ("", 0.0)

    def note(self, what: str, problem: object) -> None:
        self.problems.append(f"{self.title}: {what}: {problem}")

    def attempt(self, name: str, attempt: Attempt) -> str | None:
        """What the command answers; None when it was refused or is wrong."""
        began = time.monotonic()
        try:
            text, refused = carry_out(attempt, as_user=self.as_user)
        except AssertionError as error:
            self.note(name, error)
            return None
        took = time.monotonic() - began
        if took > self.slowest[1]:
            self.slowest = (name, took)
        if refused:
            self.refusals[name] = text
        return None if refused else text

    def look(self) -> None:
        for name, attempt in LOOKS.items():
            text = self.attempt(name, attempt)
            if text is not None and name in ("service list", "%services") and "other" not in text:
                self.note(name, f"the other service is hidden:\n{text}")
            listed = name in ("service list", "%services", "service.list", "model list")
            if text is None and listed and not self.essential and name in self.refusals:
                self.note(name, f"refused:\n{self.refusals[name]}")

    def change(self, damage: Damage) -> None:
        for name, attempt in CHANGES.items():
            damage()
            text = self.attempt(name, attempt)
            said = self.refusals.get(name, "") if text is None else ""
            must = name in ("service stop", "service delete") and not self.essential
            if must and said and "there is no service" not in said:
                self.note(name, f"refused:\n{said}")
            if self.attempt("service list", LOOKS["service list"]) is None and not self.essential:
                self.note(name, f"then no list: {self.refusals.get('service list')}")

    def clear(self) -> None:
        """Deletes and prunes until nothing is left, by commands alone."""
        services = self.attempt("list to delete", lambda: "\n".join(s.name for s in Webservice.list(_open())))
        for name in (services or "").split():
            if self.attempt(f"service delete {name}", command("service", "delete", name)) is None:
                self.note(f"service delete {name}", self.refusals.get(f"service delete {name}"))
        for model in (
            self.attempt("models to delete", lambda: "\n".join(m.id for m in Model.list(_open()))) or ""
        ).split():
            if self.attempt(f"model delete {model}", command("model", "delete", model)) is None:
                self.note(f"model delete {model}", self.refusals.get(f"model delete {model}"))
        pruned = self.attempt("the last prune", _prune_everything)
        way_on = re.search(r"hint: move it elsewhere: mv (\S+) (\S+)$", self.refusals.get("the last prune", ""))
        if pruned is None and way_on:
            os.rename(*way_on.groups())
            pruned = self.attempt("the prune after that", _prune_everything)
        if pruned is None:
            self.note("the last prune", self.refusals)
        self.check_that_nothing_is_left()

    def check_that_nothing_is_left(self) -> None:
        folder, root = self.world.folder, self.world.root
        try:
            wait_until(
                lambda: list_processes_below(folder) == [],
                60,
                what=lambda: f"processes are left: {list_processes_below(folder)}",
            )
        except AssertionError as error:
            self.note("at the end", error)
            for line in list_processes_below(folder):
                os.kill(int(line.split()[0]), 9)
            wait_until(lambda: list_processes_below(folder) == [])
        for name in ("services", "deployments", "bundles", "artifacts/tmp", "artifacts/blobs"):
            place = root / name
            left = (
                [str(path.relative_to(root)) for path in place.rglob("*") if not path.is_dir()]
                if place.is_dir()
                else []
            )
            if left:
                self.note("at the end", f"files are left: {left[:5]}")
        left = [name for name in inventory.walk(root) if name.endswith((".tmp", ".sock"))]
        if left:
            self.note("at the end", f"files are left: {left}")


def _open() -> Workspace:
    return Workspace.get(path=".")


def _prune_everything() -> str:
    return str(prune_workspace(_open().folder, keep_deployments=0, clock=lambda: time.time() + 30 * 86400))


def mend_essential(world: World) -> None:
    """What the errors say: put the store aside, correct the settings or make them again."""
    config, store = world.root / "config.json", world.root / "store.db"
    try:
        _open().folder.open_store().list_services()
        return
    except (MldeployError, Refused):
        pass
    if config.exists():
        inventory.remove(config)
    database._close_all()
    for path in (store, store.with_name("store.db-wal"), store.with_name("store.db-shm")):
        if path.exists():
            try:
                if path.name != "store.db" or path.is_dir() or not path.read_bytes().startswith(b"SQLite"):
                    inventory.remove(path)
            except OSError:
                inventory.remove(path)
    carry_out(command("workspace", "create", "--exist-ok"))
    try:
        _open().folder.open_store().list_services()
    except MldeployError:
        inventory.remove(store)


def try_damage(world: World, title: str, damage: Damage, *, starts: bool, changes: bool, **more: bool) -> Trial:
    """One trial: the life, with `svc` running when it `starts`; damaged; looked at, changed with `changes`, cleared."""
    world.restore()
    trial = Trial(world, title, **more)
    if starts and trial.attempt("the first start", command("service", "start", "svc")) is None:
        trial.note("the first start", trial.refusals)
    damage()
    trial.look()
    if changes:
        trial.change(damage)
        damage()
    subprocess.run(["chmod", "-R", "u+rwX", str(world.folder)], check=False)
    if more.get("essential"):
        mend_essential(world)
    trial.as_user = False
    trial.clear()
    return trial


@contextmanager
def living(folder: Path) -> Iterator[World]:
    """A world below `folder`, with a user's data and cache in it too. What it started has ended afterwards."""
    before, here = dict(os.environ), os.getcwd()
    world = World(folder)
    os.environ["MLDEPLOY_HOME"] = str(world.folder / inventory.USER / "data")
    os.environ["MLDEPLOY_CACHE"] = str(world.folder / inventory.USER / "cache")
    os.chdir(world.folder)
    try:
        world.live()
        yield world
    finally:
        for line in list_processes_below(world.folder):
            os.kill(int(line.split()[0]), 9)
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)
        database._close_all()
