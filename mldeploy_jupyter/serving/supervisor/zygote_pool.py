"""The supervisor's side of forking: keeps the right zygote (`zygote.py`), and has it fork.

A fork is refused, and a new interpreter used, whenever that is safer: the reason is logged once and is in `status`.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..log.service_log import ServiceLog
from ..settings import Settings
from ..system.json_file import read_json, write_json
from ..system.process_state import become_subreaper
from .spawn import Run, SpawnedProcess
from .zygote_process import ANSWER, ForkUnsafe, Key, ZygoteProcess

FILE = "preload.json"

ATTEMPTS = 4  # zygotes in a row, each without the module that spoilt the one before

NAMES_KEPT = 20_000


@dataclass
class Learned:
    """What was found out about the modules of one interpreter. `excluded` maps a module to the reason."""

    python: str
    modules: list[str]
    excluded: dict[str, str]
    off: str = ""  # why nothing is forked at all


class ZygotePool:
    """At most one zygote, for what was deployed last. `take` may be called from any thread."""

    def __init__(self, folder: Path, log: ServiceLog, in_main: Run) -> None:
        self._path = folder / FILE
        self._log = log
        self._in_main = in_main
        self._lock = threading.Lock()
        self._zygote: ZygoteProcess | None = None
        self._spare: SpawnedProcess | None = None
        self._closed = False
        self._said = ""
        self.on_change: Callable[[], None] = lambda: None
        self.possible = become_subreaper()
        written = read_json(self._path) or {}
        self._learned = Learned(
            str(written.get("python", "")), list(written.get("modules", [])), dict(written.get("excluded", {}))
        )

    def take(
        self, settings: Settings, give_up: Callable[[], bool] = lambda: False, wait: bool = True
    ) -> SpawnedProcess | None:
        """A forked process that fits `settings` and waits for its first order; None where there must be a new one.

        `wait` waits for imports, until `give_up()`; without it a zygote that is not ready is no help.
        """
        if not self.possible or not self._lock.acquire(blocking=wait):
            return None
        try:
            for _ in range(ATTEMPTS):
                if self._closed or self._learned.off:
                    return None
                try:
                    return self._fork(settings, give_up, wait)
                except ForkUnsafe as spoilt:
                    self._drop()
                    if self._closed:
                        return None
                    if spoilt.module:
                        self._learned.excluded[spoilt.module] = str(spoilt)
                        self._log.write(f"{spoilt.module} is not imported ahead: {spoilt}")
                        continue
                    self._say(f"workers are not forked: {spoilt}")
                    return None
            self._learned.off = "several modules in a row made forking unsafe"
            self._say(f"workers are not forked: {self._learned.off}")
            return None
        finally:
            self._lock.release()

    def begin(self, settings: Settings) -> None:
        """Starts on the imports, and does not wait for them: a `take` that fits does."""
        with self._lock:
            if not self.possible or self._closed or self._learned.off or self._zygote is not None:
                return
            try:
                zygote = self._start(settings)
                zygote.begin(self._names(zygote, settings))
            except ForkUnsafe:  # `take` finds out, and says so
                self._drop()

    def prepare(self, settings: Settings) -> None:
        """Has the next fork ready: called when nobody waits."""
        with self._lock:
            try:
                zygote = self._zygote
                if self._closed or self._learned.off or zygote is None or zygote.key != _key(settings):
                    return
                self._import(zygote, settings, lambda: False)
                if self._spare is None:
                    self._spare = zygote.fork()
                    self.on_change()
            except ForkUnsafe as spoilt:
                self._drop()
                if spoilt.module:
                    self._learned.excluded[spoilt.module] = str(spoilt)
                self._log.write(f"the process that workers are forked from is given up: {spoilt}")

    def learn(self, settings: Settings, modules: list[str]) -> None:
        """`modules` are what a worker that serves has loaded: the next one will need them, too."""
        with self._lock:
            if settings.python != self._learned.python:
                self._learned = Learned(settings.python, [], {})
            known = set(self._learned.modules)
            new = [name for name in modules if name not in known]
            if not new:
                return
            self._learned.modules = [*self._learned.modules, *new][:NAMES_KEPT]
            data = {"python": settings.python, "modules": self._learned.modules, "excluded": self._learned.excluded}
            try:
                write_json(self._path, data, durable=False)
            except OSError as error:
                self._log.write(f"the list of modules cannot be written down: {error}")

    def distrust(self, reason: str) -> None:
        """A worker failed that was forked, and did not in a new interpreter: no more forks of this kind."""
        with self._lock:
            self._learned.off = reason
            self._drop()
            self._say(f"workers are not forked any more: {reason}")

    def close(self) -> None:
        """Ends the zygote. Whoever waits for it gets None. May be called while another thread waits in `take`."""
        self._closed = True
        zygote = self._zygote
        if zygote is not None:
            zygote.kill()
        with self._lock:
            self._drop()

    def fits(self, settings: Settings) -> bool:
        zygote = self._zygote
        return zygote is not None and zygote.alive and zygote.key == _key(settings)

    def describe(self) -> dict[str, Any]:
        zygote, spare = self._zygote, self._spare
        alive = zygote is not None and zygote.alive
        return {
            "forking": alive,
            "pid": zygote.born.pid if zygote is not None and alive else None,
            "spare": spare.pid if spare is not None else None,
            "modules": zygote.modules if zygote is not None and alive else 0,
            "excluded": dict(self._learned.excluded),
            "reason": self._learned.off or ("" if alive else self._said),
        }

    def processes(self) -> list[tuple[int, str]]:
        """Pid and mark of what lives here, for whoever ends what is left."""
        zygote, spare = self._zygote, self._spare
        found = [(zygote.born.pid, zygote.born.mark)] if zygote is not None and zygote.alive else []
        return [*found, (spare.pid, spare.mark)] if spare is not None else found

    def _fork(self, settings: Settings, give_up: Callable[[], bool], wait: bool) -> SpawnedProcess | None:
        key = _key(settings)
        zygote = self._zygote
        if zygote is None or zygote.key != key or not zygote.alive:
            if not wait and zygote is not None:
                threading.Thread(target=self._renew, args=(settings,), daemon=True).start()
                return None
            self._drop()
            zygote = self._start(settings)
        if self._import(zygote, settings, give_up) is False:
            return None
        if self._spare is not None:
            born, self._spare = self._spare, None
            if os.waitid(os.P_PID, born.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
                return self._looked_after(zygote, born)
            born.discard()
        return self._looked_after(zygote, zygote.fork())

    def _start(self, settings: Settings) -> ZygoteProcess:
        if settings.python != self._learned.python:
            self._learned = Learned(settings.python, [], {})
        try:
            zygote = ZygoteProcess(_key(settings), settings, self._log, self._in_main, self._on_death)
        except OSError as error:
            raise ForkUnsafe(f"{error}") from error
        self._zygote = zygote
        self.on_change()
        return zygote

    def _looked_after(self, zygote: ZygoteProcess, born: SpawnedProcess) -> SpawnedProcess:
        """Asks whether the imported files are still the same; the answer is read when the worker is ready."""
        number = zygote.send("look")

        def changed() -> str:
            with self._lock:
                try:
                    answer = zygote.await_("answer", number, lambda: False, ANSWER) if zygote.alive else None
                except ForkUnsafe:
                    answer = None
                found = str((answer or {}).get("changed", ""))
                if found and zygote is self._zygote:
                    self._log.write(f"{found} has changed; importing anew")
                    self._drop()
                return found

        born.changed = changed
        return born

    def _import(self, zygote: ZygoteProcess, settings: Settings, give_up: Callable[[], bool]) -> bool:
        names = self._names(zygote, settings)
        if names:
            self._discard_spare()  # it was forked before
        return zygote.prepare(names, give_up)

    def _names(self, zygote: ZygoteProcess, settings: Settings) -> list[str]:
        """What it is to import beside what it was asked for already."""
        wanted = [*settings.preload, *self._learned.modules]
        out = self._learned.excluded
        return [n for n in dict.fromkeys(wanted) if n not in zygote.asked and not any(_below(n, o) for o in out)]

    def _renew(self, settings: Settings) -> None:
        """A zygote in the place of one that has died or is out of date, for the next time."""
        born = self.take(settings)
        if born is not None:
            with self._lock:
                if self._spare is None and not self._closed and self.fits(settings):
                    self._spare = born
                    return
            born.discard()

    def _on_death(self, zygote: ZygoteProcess) -> None:
        if zygote is self._zygote and not self._closed:
            self._log.write(f"process {zygote.born.pid}, which workers are forked from, has died; starting another")
            if zygote.may_return():
                threading.Thread(target=self._renew, args=(zygote.settings,), daemon=True).start()

    def _drop(self) -> None:
        zygote, self._zygote = self._zygote, None
        self._discard_spare()
        if zygote is not None:
            zygote.kill()
        self.on_change()

    def _discard_spare(self) -> None:
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.discard()

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._log.write(text)


def _below(name: str, module: str) -> bool:
    return name == module or name.startswith(module + ".")


def _key(settings: Settings) -> Key:
    """Two revisions with the same key may share a zygote: interpreter, server, environment."""
    server = settings.server_digest or _server_digest(settings.server_path)
    return (settings.python, server, repr(sorted(settings.env.items())))


_digests: dict[tuple[int, ...], bytes] = {}


def _server_digest(path: str) -> str:
    """What the server's source is; the folder is a new one for every bundle, its files are mostly the same."""
    if not path:
        return ""
    digest = hashlib.sha256()
    root = Path(path) / "mldeploy_serving"
    if len(_digests) > 1000:
        _digests.clear()
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            if name.endswith(".py"):
                file = os.path.join(folder, name)
                found = os.stat(file)
                identity = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
                if identity not in _digests:
                    _digests[identity] = hashlib.sha256(Path(file).read_bytes()).digest()
                digest.update(os.path.relpath(file, root).encode() + _digests[identity])
    return digest.hexdigest()
