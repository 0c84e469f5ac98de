"""Keeps a zygote that fits the deployed revision, with a spare fork, and learns which modules it should import.

Where forking is not safe, a new interpreter is used; the reason is logged once and is in the service's status.
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
from ..system import caller_environment, procfs
from ..system.child_process import RunInMain, SpawnedProcess
from ..system.json_file import read_json, write_json
from ..system.process_state import become_subreaper
from .zygote_process import ANSWER_TIMEOUT, ForkUnsafe, ZygoteKey, ZygoteProcess

FILE = "preload.json"

ATTEMPTS = 4  # zygotes in a row, each without the module that made the one before it unsafe

MAX_NAMES = 20_000  # names of modules in the file

_MAX_DIGESTS = 1000  # files whose digests are cached

CreateZygote = Callable[
    [ZygoteKey, Settings, ServiceLog, RunInMain, Callable[[ZygoteProcess], None], SpawnedProcess | None], ZygoteProcess
]  # see `ZygoteProcess`


@dataclass
class LearnedModules:
    """What was learned about the modules of one interpreter. `excluded` maps a module to the reason."""

    python: str
    modules: list[str]
    excluded: dict[str, str]
    forking_off: str = ""  # why nothing is forked at all


class ZygotePool:
    """At most one zygote, which fits the latest deployment. Every public method may be called from any thread.

    `on_change` is called when the processes change, see `list_processes`.
    """

    def __init__(
        self,
        folder: Path,
        log: ServiceLog,
        in_main: RunInMain,
        on_change: Callable[[], None],
        create_zygote: CreateZygote = ZygoteProcess,
    ) -> None:
        self._create_zygote = create_zygote
        self._path = folder / FILE
        self._log = log
        self._in_main = in_main
        self._on_change = on_change
        self._lock = threading.Lock()
        self._zygote: ZygoteProcess | None = None
        self._spare: SpawnedProcess | None = None
        self._closed = False
        self._logged_reason = ""
        self._can_adopt = become_subreaper()  # a fork's own parent ends at once, see `zygote/__main__.py`
        data = read_json(self._path) or {}
        modules, excluded = data.get("modules"), data.get("excluded")
        self._learned = LearnedModules(
            str(data.get("python", "")),
            [name for name in modules if isinstance(name, str)] if isinstance(modules, list) else [],
            {str(name): str(why) for name, why in excluded.items()} if isinstance(excluded, dict) else {},
        )

    def acquire(
        self, settings: Settings, give_up: Callable[[], bool] = lambda: False, wait: bool = True
    ) -> SpawnedProcess | None:
        """A fork that fits `settings` and waits for its first order; None where a new interpreter is needed.

        Waits until the zygote has imported its modules, or `give_up()` is true. Without `wait`, a zygote that is not
        ready is not used.
        """
        if not self._can_adopt or not self._lock.acquire(blocking=wait):
            return None
        try:
            for _ in range(ATTEMPTS):
                if self._closed or self._learned.forking_off:
                    return None
                try:
                    return self._fork(settings, give_up, wait)
                except ForkUnsafe as unsafe:
                    self._drop_zygote()
                    if self._closed:
                        return None
                    if not unsafe.module:
                        self._log_once(f"workers are not forked: {unsafe}")
                        return None
                    self._exclude(unsafe)
                    self._log.write(f"{unsafe.module} is not imported in advance: {unsafe}")
            self._learned.forking_off = "several modules in a row made forking unsafe"
            self._log_once(f"workers are not forked: {self._learned.forking_off}")
            return None
        finally:
            self._lock.release()

    def begin_imports(self, settings: Settings, process: SpawnedProcess) -> None:
        """Makes `process`, a zygote that was just spawned, the pool's, and begins its imports.

        Does not wait: the next `acquire` that fits does.
        """
        with self._lock:
            if not self._can_adopt or self._closed or self._learned.forking_off or self._zygote is not None:
                process.discard()
                return
            try:
                zygote = self._start_zygote(settings, process)
                zygote.begin_imports(self._list_wanted(zygote, settings))
            except ForkUnsafe:  # the error is reported by the next `acquire`
                self._drop_zygote()

    def prepare_spare(self, settings: Settings) -> None:
        """Imports learned modules and forks a spare process for the next `acquire`. Slow: not on the request path."""
        with self._lock:
            try:
                zygote = self._zygote
                if self._closed or self._learned.forking_off or zygote is None or zygote.key != _zygote_key(settings):
                    return
                self._import(zygote, settings, lambda: False)
                if self._spare is None:
                    self._spare = zygote.fork()
                    self._on_change()
            except ForkUnsafe as unsafe:
                self._drop_zygote()
                if self._closed:
                    return
                if unsafe.module:
                    self._exclude(unsafe)
                self._log.write(f"the process from which workers are forked is ended: {unsafe}")

    def learn(self, settings: Settings, modules: list[str]) -> None:
        """Adds the modules that a live worker has loaded: the next worker will need them too."""
        with self._lock:
            if settings.python != self._learned.python:
                self._learned = LearnedModules(settings.python, [], {})
            known = set(self._learned.modules)
            new = [name for name in modules if name not in known]
            if not new:
                return
            self._learned.modules = [*self._learned.modules, *new][:MAX_NAMES]
            self._write_learned()

    def stop_forking(self, reason: str) -> None:
        """Forks nothing more for this interpreter, because a worker failed that only started in a new one."""
        with self._lock:
            self._learned.forking_off = reason
            self._drop_zygote()
            self._log_once(f"workers are no longer forked: {reason}")

    def close(self) -> None:
        """Ends the zygote. A thread that waits in `acquire` gets None."""
        self._closed = True
        zygote = self._zygote
        if zygote is not None:
            zygote.kill()
        with self._lock:
            self._drop_zygote()

    def check(self) -> None:
        """Gives up a zygote that has nothing to do and answers nothing, and starts another. Waits for its answer.

        One that is in use has its own time limits.
        """
        if not self._lock.acquire(blocking=False):
            return
        try:
            zygote = self._zygote
            if zygote is None or not zygote.alive or zygote.busy or self._closed:
                return
            try:
                zygote.ping()
            except ForkUnsafe as unsafe:
                if self._closed:
                    return
                text = f"process {zygote.process.pid}, from which workers are forked, does not answer ({unsafe})"
                self._log.write(f"{text}; starting another", level="warning")
                self._drop_zygote()
                threading.Thread(target=self._replace_zygote, args=(zygote.settings,), daemon=True).start()
        finally:
            self._lock.release()

    def fits(self, settings: Settings) -> bool:
        """Whether a zygote runs that can be forked for `settings`."""
        zygote = self._zygote
        return zygote is not None and zygote.alive and zygote.key == _zygote_key(settings)

    def describe(self) -> dict[str, Any]:
        zygote, spare = self._zygote, self._spare
        alive = zygote is not None and zygote.alive
        return {
            "forking": alive,
            "pid": zygote.process.pid if zygote is not None and alive else None,
            "spare": spare.pid if spare is not None else None,
            "modules": zygote.module_count if zygote is not None and alive else 0,
            "excluded": dict(self._learned.excluded),
            "reason": self._learned.forking_off or ("" if alive else self._logged_reason),
        }

    def list_processes(self) -> list[tuple[int, str]]:
        """Pid and mark of the zygote and of the spare fork."""
        zygote, spare = self._zygote, self._spare
        found = [(zygote.process.pid, zygote.process.mark)] if zygote is not None and zygote.alive else []
        return [*found, (spare.pid, spare.mark)] if spare is not None else found

    def _fork(self, settings: Settings, give_up: Callable[[], bool], wait: bool) -> SpawnedProcess | None:
        key = _zygote_key(settings)
        zygote = self._zygote
        if zygote is None or zygote.key != key or not zygote.alive:
            if not wait and zygote is not None:
                threading.Thread(target=self._replace_zygote, args=(settings,), daemon=True).start()
                return None
            self._drop_zygote()
            zygote = self._start_zygote(settings)
        if not self._import(zygote, settings, give_up):
            return None
        process, self._spare = self._spare, None
        if process is not None and (
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) or procfs.is_stopped(process.pid)
        ):
            process.discard()  # it has died, or never moves again
            process = None
        return self._check_files_later(zygote, process or zygote.fork())

    def _start_zygote(self, settings: Settings, process: SpawnedProcess | None = None) -> ZygoteProcess:
        if settings.python != self._learned.python:
            self._learned = LearnedModules(settings.python, [], {})
        try:
            zygote = self._create_zygote(
                _zygote_key(settings), settings, self._log, self._in_main, self._handle_death, process
            )
        except OSError as error:
            raise ForkUnsafe(f"{error}") from error
        self._zygote = zygote
        self._on_change()
        return zygote

    def _check_files_later(self, zygote: ZygoteProcess, process: SpawnedProcess) -> SpawnedProcess:
        """Orders a check whether imported files have changed; the answer is read when the worker is ready."""
        number = zygote.send("look")

        def find_changed_file() -> str:
            with self._lock:
                try:
                    answer = zygote.await_event("answer", number, ANSWER_TIMEOUT) if zygote.alive else None
                except ForkUnsafe:
                    answer = None
                changed = str((answer or {}).get("changed", ""))
                if changed and zygote is self._zygote:
                    self._log.write(f"{changed} has changed; importing it again")
                    self._drop_zygote()
                return changed

        process.find_changed_file = find_changed_file
        return process

    def _import(self, zygote: ZygoteProcess, settings: Settings, give_up: Callable[[], bool]) -> bool:
        names = self._list_wanted(zygote, settings)
        if names:
            self._discard_spare()  # it was forked before these imports
        return zygote.import_modules(names, give_up)

    def _list_wanted(self, zygote: ZygoteProcess, settings: Settings) -> list[str]:
        """The modules that the zygote should import and was not told to yet."""
        wanted = dict.fromkeys([*settings.preload, *self._learned.modules])
        return [name for name in wanted if name not in zygote.requested_modules and not self._is_excluded(name)]

    def _exclude(self, unsafe: ForkUnsafe) -> None:
        self._learned.excluded[unsafe.module] = str(unsafe)
        self._write_learned()

    def _write_learned(self) -> None:
        learned = self._learned
        data = {"python": learned.python, "modules": learned.modules, "excluded": learned.excluded}
        try:
            write_json(self._path, data, durable=False)
        except OSError as error:
            self._log.write(f"the list of modules cannot be recorded: {error}")

    def _is_excluded(self, name: str) -> bool:
        return any(f"{name}.".startswith(f"{module}.") for module in self._learned.excluded)

    def _replace_zygote(self, settings: Settings) -> None:
        """Starts a zygote in the place of one that died or no longer fits, and keeps its first fork as the spare."""
        process = self.acquire(settings)
        if process is not None:
            with self._lock:
                if self._spare is None and not self._closed and self.fits(settings):
                    self._spare = process
                    return
            process.discard()

    def _handle_death(self, zygote: ZygoteProcess) -> None:
        if zygote is self._zygote and not self._closed:
            self._log.write(f"process {zygote.process.pid}, which workers are forked from, has died; starting another")
            if zygote.lived_long_enough():
                threading.Thread(target=self._replace_zygote, args=(zygote.settings,), daemon=True).start()

    def _drop_zygote(self) -> None:
        zygote, self._zygote = self._zygote, None
        self._discard_spare()
        if zygote is not None:
            zygote.kill()
        self._on_change()

    def _discard_spare(self) -> None:
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.discard()

    def _log_once(self, text: str) -> None:
        if text != self._logged_reason:
            self._logged_reason = text
            self._log.write(text)


def _zygote_key(settings: Settings) -> ZygoteKey:
    server = settings.server_digest or digest_server(settings.server_path)
    inherited = caller_environment.digest(settings.inherited or os.environ)
    return (settings.python, server, inherited + repr(sorted(settings.env.items())))


_digests: dict[tuple[int, ...], bytes] = {}


def digest_server(path: str) -> str:
    """A digest of the server's source. Each bundle has its own folder, but most of its files are the same files."""
    if not path:
        return ""
    digest = hashlib.sha256()
    root = Path(path) / "mldeploy_serving"
    if len(_digests) > _MAX_DIGESTS:
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
